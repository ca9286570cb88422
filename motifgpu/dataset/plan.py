"""What a run will take, before it runs: measured on a few of its files."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.core import device
from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.dataset import pooled as pool
from motifgpu.dataset import tasks
from motifgpu.dataset.executors import usual_workers
from motifgpu.dataset.inputs import expand
from motifgpu.dataset.job import SECONDS, Job, make_options
from motifgpu.dataset.memory import peak_bytes
from motifgpu.dataset.schedule import batch_size, batches, size_of
from motifgpu.dictionary import MotifDictionary
from motifgpu.store import layout
from motifgpu.store.entries import DONE

PROBES = 3
_START = 3.0  # s until a worker is ready
_TABLES = 0.003  # s a micrograph, for the tables
# Of learning a dictionary, CPU seconds and bytes per sampled column (benchmarks/bench_dictionary.py).
_LEARN_S, _LEARN_BYTES = 45e-6, 2_000


@dataclass(frozen=True)
class RunPlan:
    """What a run takes, as far as a few of its files tell.

    Attributes
    ----------
    files, bytes : int
        Of the input.
    probed : tuple of str
        Files that were analysed for this.
    unreadable : tuple of str
        Those of them that cannot be.
    columns, points : int
        Expected number of atom columns, and of those with a patch, whole or cut, which get a motif.
    workers, batches : int
        Processes, and batches that the files go in.
    cpu_seconds : float
        Of all processes together.
    seconds : float
        Until it is done, if the processors have nothing else to do.
    memory_bytes : int
        Of all processes together, at most.
    store_bytes : int
        On the disk.
    """

    files: int
    bytes: int
    probed: tuple[str, ...]
    unreadable: tuple[str, ...]
    columns: int
    points: int
    workers: int
    batches: int
    cpu_seconds: float
    seconds: float
    memory_bytes: int
    store_bytes: int

    def summary(self) -> dict[str, Any]:
        """Return the figures as a dict that JSON can hold."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            f"{self.files:,} files, {self.bytes / 2**20:,.1f} MB, about {self.columns:,} atom columns, "
            f"{self.points:,} of them with a patch",
            f"  {self.workers} processes, {self.batches:,} batches",
            f"  time    {self.seconds:,.0f} s ({self.cpu_seconds:,.0f} s of CPU)",
            f"  memory  {self.memory_bytes / 2**20:,.0f} MB in all",
            f"  disk    {self.store_bytes / 2**20:,.1f} MB",
        ]
        lines += [f"  cannot be analysed: {path}" for path in self.unreadable]
        return "\n".join(lines)


def plan_run(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str] = "out.motif",
    dictionary: str | os.PathLike[str] | MotifDictionary | None = None,
    pooled: bool = False,
    workers: int | None = None,
    signal: str | None = None,
    seconds: float = SECONDS,
    probes: int = PROBES,
    **options: Any,
) -> RunPlan:
    """Say what `motifgpu.run` will take, by analysing a few of the files: small, usual and large ones.

    Parameters
    ----------
    paths, out, dictionary, pooled, workers, signal, seconds, **options
        As `motifgpu.run` will get them.
    probes : int
        How many files are analysed.

    Returns
    -------
    RunPlan

    Raises
    ------
    StageError
        As `motifgpu.run`, and if none of the probed files can be analysed.
    """
    files = expand(paths, Path(out)).files
    if dictionary is not None and not isinstance(dictionary, MotifDictionary):
        dictionary = MotifDictionary.load(dictionary)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        layout.make_folders(root)
        if dictionary is not None:
            dictionary.save(root / layout.DICTIONARY)
        job = Job(folder, make_options(options), signal, seconds, dictionary.digest if dictionary else None)
        if workers is None:
            workers = usual_workers(job)
        sizes = np.array([size_of(path) for path in files])
        chosen = [files[k] for k in _probes(sizes, check_integer(probes, "plan", "probes", 1))]
        tasks.process(chosen[:1], job)  # compiles and fills caches
        (root / layout.RESULTS).rename(root / "warm")
        layout.make_folders(root)
        begun = time.process_time()
        found = [tasks.process([path], job)[0] for path in chosen]
        cpu = time.process_time() - begun
        written = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    unreadable = tuple(one["path"] for one in found if one["status"] != DONE)
    if len(unreadable) == len(found):
        problem = f"none of {len(found)} files can be analysed, because of {found[0]['path']}: "
        raise StageError("plan", problem + found[0]["reason"], "repair that, or give other files")
    probed = sum(size_of(path) for path in chosen)
    scale = sizes.sum() / max(probed, 1)
    columns, points = (sum(one[name] for one in found) * scale for name in ("columns", "points"))
    sample = min(1.0, pool.MICROGRAPHS / len(files)) if pooled else 0.0
    looked_at = min(points * sample, pool.COLUMNS)
    alone = _TABLES * len(files) + _LEARN_S * looked_at  # s of this process, after the others
    shared = cpu * scale * (1 + sample)
    return RunPlan(
        files=len(files),
        bytes=int(sizes.sum()),
        probed=tuple(chosen),
        unreadable=unreadable,
        columns=round(columns),
        points=round(points),
        workers=workers,
        batches=len(batches(files, batch_size(job), workers)),
        cpu_seconds=shared + alone,
        seconds=_START * (1 + pooled) + shared / min(workers, device.threads()) + alone,
        memory_bytes=round((workers + (workers > 1)) * peak_bytes() + _LEARN_BYTES * looked_at),
        store_bytes=round(written * scale),
    )


def _probes(sizes: np.ndarray, number: int) -> Sequence[int]:
    """Return which files are analysed: those in the middle of as many parts by size, so their sum is fair."""
    order = np.argsort(sizes, kind="stable")
    number = min(number, len(order))
    return [int(order[(2 * k + 1) * len(order) // (2 * number)]) for k in range(number)]
