"""The work on a batch of files, in three steps that can overlap: load, compute, save.

A batch is a pure function of paths and job: it writes under keys of its own and returns a small summary, so
it can run in this process, in another, or on another machine that sees the same files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from motifgpu.analysis import Analysis
from motifgpu.core.device import GpuMissingError
from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.dataset.job import Job
from motifgpu.io.formats.guard import read_guarded
from motifgpu.io.micrograph import Micrograph
from motifgpu.options import Options
from motifgpu.pipeline import analyze_batch
from motifgpu.store import layout
from motifgpu.store.write import save_micrograph, save_record

# What became of a file: done, quarantined for what it holds, unread because it could not be opened (which a
# rerun tries again), or known from before. STOP is no file's fault and ends the run.
DONE, QUARANTINED, UNREAD, KNOWN, STOP = "done", "quarantined", "unread", "known", "stop"
_AT_ONCE = 64  # micrographs whose patches are held at once, for files that hold hundreds
Summary = dict[str, Any]
Found = Analysis | MicrographReadError | StageError


@dataclass
class Loaded:
    """A file on its way: what it is, its micrographs, and what came of them."""

    path: str
    status: str = DONE
    reason: str = ""
    key: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    micrographs: list[Micrograph] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)


def process(paths: Sequence[str], job: Job) -> list[Summary]:
    """Read, analyse and save files.

    Parameters
    ----------
    paths : sequence of str
    job : Job

    Returns
    -------
    list of dict
        What became of each file: ``path``, ``status``, ``key``, ``reason`` and how many ``micrographs``,
        ``columns`` and ``points``, which are columns with a patch, it has.
    """
    return save(compute(load(paths, job), job), job)


def load(paths: Sequence[str], job: Job) -> list[Loaded]:
    """Read files; what goes wrong is said in the result."""
    return [read_file(path, job, skip_known=True) for path in paths]


def read_file(path: str, job: Job, *, skip_known: bool = False) -> Loaded:
    """Read a file, unless it is known and those are skipped."""
    try:
        facts = facts_of(path)
    except OSError as error:
        folder = os.path.dirname(path)
        if isinstance(error, FileNotFoundError) and not os.path.isdir(folder):
            return Loaded(path, STOP, f"the input folder {folder} is gone")
        return Loaded(path, UNREAD, error.strerror or str(error))
    key = job.key(facts["sha256"])
    if skip_known and (job.root / layout.FILES / f"{key}.json").exists():
        return Loaded(path, KNOWN, key=key, facts=facts)
    try:
        micrographs = read_guarded(path, job.signal, seconds=job.seconds)
    except MicrographReadError as error:
        if _changed(path, facts):
            return Loaded(path, UNREAD, "it changed while it was read")
        return Loaded(path, QUARANTINED, error.why, key, facts)
    if _changed(path, facts):
        return Loaded(path, UNREAD, "it changed while it was read")
    return Loaded(path, DONE, "", key, facts, micrographs)


def facts_of(path: str) -> dict[str, Any]:
    """Return what tells one content of a file from another.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    before = os.stat(path)
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": sha256, "bytes": before.st_size, "mtime_ns": before.st_mtime_ns}


def _changed(path: str, facts: dict[str, Any]) -> bool:
    try:
        now = os.stat(path)
    except OSError:
        return True
    return (now.st_size, now.st_mtime_ns) != (facts["bytes"], facts["mtime_ns"])


def compute(batch: Sequence[Loaded], job: Job) -> list[Loaded]:
    """Analyse the micrographs of files that were read, all in one set of launches."""
    micrographs = [micrograph for file in batch for micrograph in file.micrographs]
    try:
        options = job.full_options if micrographs else job.options
        found = [
            one
            for first in range(0, len(micrographs), _AT_ONCE)
            for one in _analyzed(micrographs[first : first + _AT_ONCE], options)
        ]
    except (GpuMissingError, StageError, OSError) as error:  # none of which is a file's fault
        for file in batch:
            file.status, file.reason = STOP, str(error)
        return list(batch)
    for file in batch:
        file.found, found = found[: len(file.micrographs)], found[len(file.micrographs) :]
    return list(batch)


def _analyzed(micrographs: Sequence[Micrograph], options: Options) -> list[Found]:
    try:
        return analyze_batch(micrographs, options)
    except GpuMissingError:
        raise
    except Exception as error:  # nothing that a file holds may stop a run
        if len(micrographs) > 1:
            return [one for micrograph in micrographs for one in _analyzed([micrograph], options)]
        return [StageError("run", f"{type(error).__name__}: {error}", "please report it with the file")]


def save(batch: Sequence[Loaded], job: Job) -> list[Summary]:
    """Write what was found, each file's record last; what goes wrong is said in the result."""
    return [_save(file, job) for file in batch]


def _save(file: Loaded, job: Job) -> Summary:
    kept: list[Summary] = []
    failed: list[dict[str, Any]] = []
    try:
        for place, (micrograph, one) in enumerate(zip(file.micrographs, file.found, strict=False)):
            if isinstance(one, Analysis):
                kept.append(save_micrograph(job.root, f"{file.key}-{place}", one))
            else:
                failed.append({"title": micrograph.title, "reason": _reason(one)})
        if file.status == DONE and not kept:
            file.status, file.reason = QUARANTINED, failed[0]["reason"]
        if file.status in (DONE, QUARANTINED, UNREAD):
            save_record(job.root, file.key or unread_key(file.path), _record(file, kept, failed))
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        file.status, file.reason = STOP, f"cannot write{name}: {error.strerror or error}"
    return {
        "path": file.path,
        "status": file.status,
        "key": file.key,
        "reason": file.reason,
        "facts": file.facts,
        "micrographs": len(kept),
        "failed": len(failed),
        "columns": sum(one["columns"] for one in kept),
        "points": sum(one["points"] for one in kept),
    }


def _reason(error: Found) -> str:
    return error.why if isinstance(error, MicrographReadError) else str(error)


def _record(file: Loaded, kept: list[Summary], failed: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "path": file.path,
        "status": file.status,
        "reason": file.reason,
        **file.facts,
        "micrographs": kept,
        "failed": failed if file.status == DONE else [],
    }


def unread_key(path: str) -> str:
    """Return the name of the record of a file whose content is not known."""
    return "unread-" + hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:20]
