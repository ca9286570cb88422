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
from motifgpu.dataset.records import complaints
from motifgpu.dictionary import MotifDictionary
from motifgpu.store import layout
from motifgpu.store.assemble import assemble
from motifgpu.store.read import read_records


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def begin(root: Path, job: Job, dictionary: MotifDictionary | None) -> bool:
    """Make the folders and run.json, or see that what is there has the same parameters.

    Returns
    -------
    bool
        Whether a run is there whose tables are complete.

    Raises
    ------
    StageError
        If the folder holds a run with other parameters or of another version or schema.
    OSError
        If it cannot be written.
    """
    path = root / layout.RUN
    about: dict[str, Any] = {"found": {}, "begun": _now()}
    if path.exists():
        about = layout.read_json(path)
        layout.check_schema(about.get("schema"), path, about.get("written_by"))
        check_same(root, about, job.parameters())
    layout.make_folders(root)
    if dictionary is not None:
        if not (root / layout.DICTIONARY).exists():
            dictionary.save(root / layout.DICTIONARY)
        _ = job.full_options  # sees that it is this one
    was_complete = about.get("state") == "complete"
    about |= {
        "schema": layout.SCHEMA,
        "written_by": device.versions().motifgpu,
        "state": "running",
        "parameters": job.parameters(),
        "versions": vars(device.versions()),
        "host": platform.node(),
    }
    layout.write_json(path, about)
    return was_complete


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


def end(root: Path, state: str, last_call: Mapping[str, Any], found: Mapping[str, int] | None = None) -> None:
    """Say in run.json how a call ended and what it did, and write the quarantine list.

    Parameters
    ----------
    root : Path
        Folder of the run.
    state : {"complete", "sharded", "interrupted", "stopped"}
    last_call : mapping
        What `Schedule.summary` says of the call.
    found : mapping, optional
        What `make_tables` counted, where the tables were made.
    """
    about = layout.read_json(root / layout.RUN)
    about |= {
        "state": state,
        "ended": _now(),
        "last_call": dict(last_call),
        "found": {**about["found"], **(found or {}), "quarantined": write_quarantine(root)},
    }
    layout.write_json(root / layout.RUN, about)


def make_tables(root: Path) -> dict[str, int]:
    """Write the tables of all that is known; return the numbers of micrographs, columns and points."""
    return assemble(root, read_records(root), shared_motifs(root))


def shared_motifs(root: Path) -> tuple[str, ...] | None:
    """Return the names of the motifs of the dictionary of a run; None where every micrograph has its own."""
    if layout.read_json(root / layout.RUN)["parameters"]["dictionary"] is None:
        return None
    return MotifDictionary.load(root / layout.DICTIONARY).names


def write_quarantine(root: Path) -> int:
    """Write the quarantine list, one line per file or image, by path; return their number."""
    lines = [line for record in read_records(root) for line in complaints(record)]
    lines.sort(key=lambda line: (line["path"], line["title"] or ""))
    write_text(root / layout.QUARANTINE, "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
    return len(lines)
