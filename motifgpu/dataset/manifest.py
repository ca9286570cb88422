"""run.json and the tables: what a folder says about the run in it."""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motifgpu.core import device
from motifgpu.core.errors import StageError
from motifgpu.core.files import write_text
from motifgpu.dataset.job import Job
from motifgpu.dataset.migration import migrate
from motifgpu.dataset.records import Records
from motifgpu.dictionary import MotifDictionary
from motifgpu.store import layout
from motifgpu.store.assemble import assemble
from motifgpu.store.entries import read_entries

_OTHERS = (layout.QUARANTINE, layout.DICTIONARY)  # files with a checksum in run.json that are no tables


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def begin(root: Path, job: Job, dictionary: MotifDictionary | None) -> bool:
    """Make the folders and run.json, or see that what is there has the same parameters.

    Returns
    -------
    bool
        Whether a run is there whose tables are complete and whole.

    Raises
    ------
    StageError
        If the folder holds a run with other parameters or of another version or schema.
    OSError
        If it cannot be written.
    """
    about = _there(root, job)
    layout.make_folders(root)
    if dictionary is not None:
        about["tables"][layout.DICTIONARY] = _keep_dictionary(root, about["tables"], dictionary)
        _ = job.full_options  # sees that it is this one
    complete = about["state"] == "complete" and not layout.damage(root, about["tables"])
    about |= {
        "schema": layout.SCHEMA,
        "written_by": device.versions().motifgpu,
        "state": "running",
        "parameters": job.parameters(),
        "versions": vars(device.versions()),
        "host": platform.node(),
    }
    layout.write_run(root, about)
    return complete


def _there(root: Path, job: Job) -> dict[str, Any]:
    """Return what run.json says, and what a new one does where there is none or both of it are damaged.

    Raises
    ------
    StageError
        If what is there was made with other parameters or by another version.
    """
    about: dict[str, Any] = {"found": {}, "tables": {}, "state": "running", "begun": _now()}
    if not layout.holds_run(root):
        return about
    try:
        migrate(root, held=True)
        there = layout.read_run(root)
    except layout.RunDamagedError:
        done = [entry for entry in read_entries(root)[0] if entry.key]
        if done and not any(entry.key == job.key(entry.path, entry.facts["sha256"]) for entry in done):
            raise StageError(
                "run",
                f"{root / layout.RUN} and its copy are damaged, and the results in {root} are of other "
                "parameters or of another version",
                "run with those that they were made with, or choose another folder",
            ) from None
        return about
    check_same(root, there, job.parameters())
    return there


def _keep_dictionary(root: Path, sums: Mapping[str, str], dictionary: MotifDictionary) -> str:
    """Keep the dictionary of a run in its folder, again where it is damaged; return its checksum."""
    path = root / layout.DICTIONARY
    expected = sums.get(layout.DICTIONARY)
    try:
        there = MotifDictionary.load(path)
    except (FileNotFoundError, StageError):
        there = None
    damaged = expected is not None and layout.damage(root, {layout.DICTIONARY: expected})
    if there is None or (damaged and there.digest == dictionary.digest):
        dictionary.save(path)
    return layout.file_checksum(path)


def check_same(root: Path, about: dict[str, Any], parameters: dict[str, Any]) -> None:
    """Refuse to mix results of different parameters or versions in one folder.

    Raises
    ------
    StageError
        If they differ; it says in what.
    """
    there = {**about["parameters"], "version": about["written_by"]}
    here = {**parameters, "version": device.versions().motifgpu}
    other = [f"{k} {there.get(k)!r}, not {here.get(k)!r}" for k in here if there.get(k) != here.get(k)]
    if other:
        raise StageError(
            "run", f"{root} holds a run with {', '.join(other)}", "run with these, or choose another folder"
        )


def end(root: Path, state: str, last_call: Mapping[str, Any], records: Records) -> None:
    """Say in run.json how a call ended and what it did, and write the quarantine list.

    Parameters
    ----------
    root : Path
        Folder of the run.
    state : {"complete", "sharded", "interrupted", "stopped"}
    last_call : mapping
        What `Schedule.summary` says of the call.
    records : Records
    """
    about = layout.read_run(root)
    about |= {
        "state": state,
        "ended": _now(),
        "last_call": dict(last_call),
        "found": {**about["found"], "quarantined": _write_quarantine(root, about, records)},
    }
    layout.write_run(root, about)


def make_tables(root: Path, records: Records) -> None:
    """Write the tables of all that is known, and how many micrographs, columns and points there are."""
    found, checksums = assemble(root, records.whole(), shared_motifs(root))
    about = layout.read_run(root)
    about["found"] = {**about["found"], **found}
    kept = {name: about["tables"][name] for name in _OTHERS if name in about["tables"]}
    about["tables"] = {**checksums, **kept}
    layout.write_run(root, about)


def shared_motifs(root: Path) -> tuple[str, ...] | None:
    """Return the names of the motifs of the dictionary of a run; None where every micrograph has its own."""
    if layout.read_run(root)["parameters"]["dictionary"] is None:
        return None
    return MotifDictionary.load(root / layout.DICTIONARY).names


def _write_quarantine(root: Path, about: dict[str, Any], records: Records) -> int:
    """Write the quarantine list, one line per file or image, by path; return their number."""
    lines = records.complaints()
    text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
    write_text(root / layout.QUARANTINE, text)
    about["tables"] = {**about["tables"], layout.QUARANTINE: layout.checksum(text.encode())}
    return len(lines)
