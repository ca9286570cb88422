"""run.json and the tables: what a folder says about the run in it."""

from __future__ import annotations

import datetime
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.core import device
from motifgpu.core.errors import StageError
from motifgpu.core.files import write_text
from motifgpu.dataset.job import Job
from motifgpu.dataset.records import complaints, stored
from motifgpu.store import layout
from motifgpu.store.assemble import assemble

if TYPE_CHECKING:
    from motifgpu.dataset.schedule import Schedule
    from motifgpu.dictionary import MotifDictionary


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
        _ = job.analysis  # sees that it is this one
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


def end(root: Path, state: str, schedule: Schedule) -> None:
    """Say in run.json how a call ended, and write the quarantine list."""
    quarantined = write_quarantine(root)
    about = layout.read_json(root / layout.RUN)
    about |= {
        "state": state,
        "ended": _now(),
        "last_call": {
            "files": schedule.analysed,
            "points": schedule.points,
            "seconds": round(schedule.seconds, 3),
            "peak_bytes": schedule.peak_bytes,
        },
    }
    about["found"] = about["found"] | {"quarantined": quarantined}
    layout.write_json(root / layout.RUN, about)


def complete(root: Path, schedule: Schedule) -> None:
    """Write the tables, and say in run.json that all is there."""
    found = assemble(root, stored(root), shared_motifs(root))
    end(root, "complete", schedule)
    about = layout.read_json(root / layout.RUN)
    layout.write_json(root / layout.RUN, about | {"found": about["found"] | found})


def shared_motifs(root: Path) -> tuple[str, ...] | None:
    """Return the names of the motifs of the dictionary of a run; None where every micrograph has its own."""
    if layout.read_json(root / layout.RUN)["parameters"]["dictionary"] is None:
        return None
    from motifgpu.dictionary import MotifDictionary

    return MotifDictionary.load(root / layout.DICTIONARY).names


def write_quarantine(root: Path) -> int:
    """Write the quarantine list, a line a file or image, by path; return how many there are."""
    lines = [line for record in stored(root) for line in complaints(record)]
    lines.sort(key=lambda line: (line["path"], line["title"] or ""))
    write_text(root / layout.QUARANTINE, "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
    return len(lines)
