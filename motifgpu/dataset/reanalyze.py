"""A micrograph of a run, read or analysed again from its file."""

from __future__ import annotations

from dataclasses import replace

from motifgpu.analysis import Analysis
from motifgpu.core.errors import MicrographReadError
from motifgpu.core.files import real_path
from motifgpu.dataset import tasks
from motifgpu.dataset.job import Job, job_of
from motifgpu.io.micrograph import Micrograph
from motifgpu.store.entries import DONE
from motifgpu.store.read import RunFolder


def reread(run: RunFolder, micrograph: str) -> Micrograph:
    """Return one micrograph of a run, read from its file.

    Raises
    ------
    StageError
        If there is none of this name.
    MicrographReadError
        If its file is missing or has changed.
    """
    return _read(run, micrograph)[0].micrographs[0]


def reanalyze(run: RunFolder, micrograph: str) -> Analysis:
    """Return the analysis of one micrograph of a run, made again; see `motifgpu.Run.analysis`."""
    loaded, job = _read(run, micrograph)
    [analysis] = tasks.compute([loaded], job)[0].found
    if not isinstance(analysis, Analysis):
        raise analysis
    return analysis


def _read(run: RunFolder, micrograph: str) -> tuple[tasks.Loaded, Job]:
    """Return the file of a micrograph, with this one alone, and the job of the run."""
    found = run.find(micrograph)
    path = real_path(found.source)
    job = job_of(run.path, run.about)
    loaded = tasks.read_file(path, job)
    if loaded.status != DONE:
        raise MicrographReadError(path, loaded.reason)
    key, _, place = found.key.rpartition("-")
    if loaded.key != key:
        raise MicrographReadError(path, "its content is another than in the run; run again")
    wanted = loaded.micrographs[int(place)]
    loaded.micrographs = [replace(wanted, title=found.title)]
    return loaded, job
