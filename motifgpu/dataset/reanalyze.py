"""A micrograph of a run, analysed again from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from motifgpu.analysis import Analysis
from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.dataset import tasks
from motifgpu.dataset.job import Job, make_options
from motifgpu.io.micrograph import Micrograph
from motifgpu.store import layout

if TYPE_CHECKING:
    from motifgpu.dataset.results import Run


def read_again(found: Run, micrograph: str) -> Micrograph:
    """Return one micrograph of a run, read from its file.

    Raises
    ------
    StageError
        If there is none of this name.
    MicrographReadError
        If its file is missing or has changed.
    """
    return _read(found, micrograph)[0].micrographs[0]


def analyze_again(found: Run, micrograph: str) -> Analysis:
    """Return the analysis of one micrograph; see `motifgpu.Run.analysis`."""
    loaded, job = _read(found, micrograph)
    [analysis] = tasks.compute([loaded], job)[0].found
    if not isinstance(analysis, Analysis):
        raise analysis
    return analysis


def _read(found: Run, micrograph: str) -> tuple[tasks.Loaded, Job]:
    """Return the file of a micrograph, with this one alone, and the job of the run."""
    key, _, place = micrograph.rpartition("-")
    file = found.path / layout.FILES / f"{key}.json"
    if not (key and place.isdigit() and file.exists()):
        raise StageError(
            layout.STAGE,
            f"{found.path} has no micrograph {micrograph!r}",
            "choose a name from the column micrograph of micrographs.parquet",
        )
    record = layout.read_json(file)
    parameters = dict(found.about["parameters"])
    signal, digest = parameters.pop("signal"), parameters.pop("dictionary")
    job = Job(str(found.path.absolute()), make_options(parameters), signal, digest=digest)
    loaded = tasks.read_file(record["path"], job)
    if loaded.status != tasks.DONE:
        raise MicrographReadError(record["path"], loaded.reason)
    if loaded.key != key:
        raise MicrographReadError(record["path"], "its content is another than in the run; run again")
    loaded.micrographs = loaded.micrographs[int(place) : int(place) + 1]
    return loaded, job
