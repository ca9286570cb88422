"""The work on a batch of files, in three steps that can overlap: load, compute, save.

A batch is a pure function of paths and job: it writes under keys of its own and returns a small summary, so
it can run in this process, in another, or on another machine that sees the same files.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from motifgpu.analysis import Analysis
from motifgpu.core.device import GpuMissingError
from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.core.files import shown_path
from motifgpu.dataset.job import Job
from motifgpu.io.formats.guard import read_guarded
from motifgpu.io.micrograph import Micrograph
from motifgpu.options import Options
from motifgpu.pipeline import analyze_batch
from motifgpu.store import layout
from motifgpu.store.entries import (
    DONE,
    OF_FILE,
    QUARANTINED,
    UNREAD,
    Entry,
    Result,
    entry_name,
    is_whole,
    kept_title,
    read_entry,
    read_result,
    write_entry,
    write_result,
)
from motifgpu.store.write import copy_columns, save_micrograph

# What became of a file, beside what its entry says: known from before, in a folder that is gone, or STOP,
# which is no file's fault and ends the run.
KNOWN, GONE, STOP = "known", "gone", "stop"
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
        What became of each file: ``path``, ``status``, ``reason`` and how many ``micrographs``,
        ``columns`` and ``points``, which are columns with a patch, it has.
    """
    return save(compute(each_once(load(paths, job), job), job), job)


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
            return Loaded(path, GONE, f"the input folder {shown_path(folder)} is gone")
        return Loaded(path, UNREAD, error.strerror or str(error))
    key = job.key(path, facts["sha256"])
    if skip_known and is_whole(job.root, key):
        return Loaded(path, KNOWN, key=key, facts=facts)
    try:
        micrographs = read_guarded(path, job.signal, seconds=job.seconds, name=OF_FILE)
        found = Loaded(path, DONE, "", key, facts, micrographs)
    except MicrographReadError as error:
        found = Loaded(path, QUARANTINED, error.why, key, facts)
    except Exception as error:  # of this process, such as too little memory for the pixels
        return Loaded(path, UNREAD, f"it could not be read here ({type(error).__name__}: {error})")
    return Loaded(path, UNREAD, _CHANGED, facts=facts) if _changed(path, facts) else found


_CHANGED = "it changed while it was read"
_NO_FILES = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


def facts_of(path: str) -> dict[str, Any]:
    """Return what tells one content of a file from another, and the file from others.

    Raises
    ------
    OSError
        If it cannot be read, or is no file: whoever opens a pipe waits for ever, and a device has no end.
    """
    _check_is_file(path, os.stat(path))
    with open(path, "rb", opener=_open_at_once) as file:
        before = os.fstat(file.fileno())
        _check_is_file(path, before)  # again, of what was opened
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": sha256, **facts_of_state(before)}


def _check_is_file(path: str, state: os.stat_result) -> None:
    if stat.S_ISDIR(state.st_mode):
        os.scandir(path).close()  # which says why a folder could not be searched
    if not stat.S_ISREG(state.st_mode):
        kind = _NO_FILES.get(stat.S_IFMT(state.st_mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind} and no file", path)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def facts_of_state(state: os.stat_result) -> dict[str, Any]:
    """Return what an entry keeps of the state of a file; it changes with the file, even at equal times."""
    return {
        "bytes": state.st_size,
        "mtime_ns": state.st_mtime_ns,
        "ctime_ns": state.st_ctime_ns,
        "inode": state.st_ino,
    }


def _changed(path: str, facts: dict[str, Any]) -> bool:
    try:
        now = facts_of_state(os.stat(path))
    except OSError:
        return True
    return now != {name: facts[name] for name in now}


def each_once(batch: Sequence[Loaded], job: Job) -> list[Loaded]:
    """Return files that were read, of which those whose content is known by now need no analysis.

    Two processes that come upon one content at the same time both analyse it and write the same bytes: to
    wait for another, which may be killed or on another machine, would cost more than it saves.
    """
    keys: set[str] = set()
    for file in batch:
        if file.status == DONE and (file.key in keys or is_whole(job.root, file.key)):
            file.status, file.micrographs = KNOWN, []
        keys.add(file.key)
    return list(batch)


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
    except MemoryError as error:
        if len(batch) > 1:
            return [one for file in batch for one in compute([file], job)]
        batch[0].status, batch[0].reason = UNREAD, f"there was not enough memory {error}".strip()
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
        if isinstance(error, MemoryError):
            raise
        return [StageError("run", f"{type(error).__name__}: {error}", "please report it with the file")]


def save(batch: Sequence[Loaded], job: Job) -> list[Summary]:
    """Write what was found, each file's record last; what goes wrong is said in the result."""
    return [_save(file, job) for file in batch]


def _save(file: Loaded, job: Job) -> Summary:
    kept: tuple[dict[str, Any], ...] = ()
    try:
        if file.status == KNOWN:
            entry = _known(file, job)
        elif file.status in (DONE, QUARANTINED):
            result = _saved(file, job)
            kept = result.images
            write_result(job.root, result)
            entry = result.entry()
        else:
            entry = _unread(file, job)
        if file.status not in (GONE, STOP):
            write_entry(job.root, entry)
            file.status = KNOWN if file.status == KNOWN else entry.status
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        file.status, file.reason = STOP, f"cannot write{name}: {error.strerror or error}"
    except Exception as error:  # whatever it is, it has to be heard of
        file.status, file.reason = STOP, f"cannot save what was found ({type(error).__name__}: {error})"
    return {
        "path": file.path,
        "status": file.status,
        "reason": file.reason,
        "micrographs": len(kept),
        "columns": sum(one["columns"] for one in kept),
        "points": sum(one["points"] for one in kept),
    }


def _unread(file: Loaded, job: Job) -> Entry:
    """Return the entry of a file that cannot be read now: what was found in it before is kept."""
    with suppress(StageError):
        before = read_entry(job.root / layout.FILES / f"{entry_name(file.path)}.json")
        if before.status == DONE:
            return replace(before, reason=file.reason)
    return Entry(file.path, UNREAD, file.reason, "", file.facts)


def _known(file: Loaded, job: Job) -> Entry:
    """Return the entry of a file whose content another one has, with columns under its own name."""
    if not is_whole(job.root, file.key):
        return Entry(file.path, UNREAD, "a file of equal content could not be analysed", "", file.facts)
    result = read_result(job.root, file.key)
    if result.path == file.path:
        return replace(result.entry(), facts=file.facts)
    columns = copy_columns(job.root, result, file.path)
    return Entry(file.path, result.status, result.reason, result.key, file.facts, columns)


def _saved(file: Loaded, job: Job) -> Result:
    """Write what was found in a file, and return the record of its content."""
    images: list[Summary] = []
    failed: list[dict[str, Any]] = []
    checksums: dict[str, str] = {}
    columns: dict[str, str] = {}
    alone = len(file.micrographs) == 1
    for place, (micrograph, one) in enumerate(zip(file.micrographs, file.found, strict=False)):
        if isinstance(one, Analysis):
            saved = save_micrograph(job.root, f"{file.key}-{place}", file.path, one, alone)
            images.append(saved.summary)
            checksums |= saved.checksums
            columns |= saved.columns
        else:
            failed.append({**kept_title(micrograph.title), "reason": _reason(one)})
    status, reason = file.status, file.reason
    if status == DONE and not images:
        status, reason, failed = QUARANTINED, failed[0]["reason"], []
    return Result(
        file.key, file.path, status, reason, file.facts, tuple(images), tuple(failed), checksums, columns
    )


def _reason(error: Found) -> str:
    return error.why if isinstance(error, MicrographReadError) else str(error)
