"""What a run will take, before it runs: measured on a few of its files."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from motifgpu.core import device
from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.text import counted
from motifgpu.dataset import pooled as pool
from motifgpu.dataset import tasks
from motifgpu.dataset.executors import usual_workers
from motifgpu.dataset.inputs import expand
from motifgpu.dataset.job import SECONDS, Job, make_options
from motifgpu.dataset.memory import peak_bytes
from motifgpu.dataset.schedule import batch_size, batches, size_of
from motifgpu.dictionary import MotifDictionary
from motifgpu.io.formats import announced
from motifgpu.planning.cost import estimate
from motifgpu.store import layout
from motifgpu.store.entries import DONE

PROBES = 3
_HEADERS = 400  # files whose headers are looked at; the pixels of others follow from their bytes
_PIXEL_BYTES = 4  # of a file whose header is not looked at or says nothing
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
    pixels : int
        In all images, by the headers of the files; by their bytes where a format has none in front.
    largest : int
        Pixels in the images of the largest file.
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
    pixels: int
    largest: int
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
        pixels = f"{self.pixels / 1e6:,.1f} Mpx, the largest {self.largest / 1e6:,.1f}"
        lines = [
            f"{counted(self.files, 'file')}, {self.bytes / 2**20:,.1f} MB, {pixels}; about {self.columns:,} "
            f"atom columns, {self.points:,} of them with a patch",
            f"  {self.workers} processes, {self.batches:,} batches; analysed for this: {len(self.probed)}",
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
    """Say what `motifgpu.run` will take, by the headers of its files and by analysing a few of them.

    Analysed are small, usual and large ones. What they take is carried over to all by the number of pixels,
    and memory to the largest by `motifgpu.planning.cost.estimate`.

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
        pixels = _pixels(files, sizes)
        chosen = _probes(pixels, check_integer(probes, "plan", "probes", 1))
        tasks.process([files[chosen[0]]], job)  # compiles and fills caches
        (root / layout.RESULTS).rename(root / "warm")
        layout.make_folders(root)
        found, seconds_of, written = [], [], [_bytes_in(root)]
        for k in chosen:
            begun = time.process_time()
            found += tasks.process([files[k]], job)
            seconds_of.append(time.process_time() - begun)
            written.append(_bytes_in(root))
    unreadable = tuple(one["path"] for one in found if one["status"] != DONE)
    if len(unreadable) == len(found):
        problem = f"none of {len(found)} files can be analysed, because of {found[0]['path']}: "
        raise StageError("plan", problem + found[0]["reason"], "repair that, or give other files")
    probed = pixels[chosen]
    scale = pixels.sum() / max(probed.sum(), 1)
    columns, points = (sum(one[name] for one in found) * scale for name in ("columns", "points"))
    cpu = _carried_over(probed, seconds_of, pixels)
    sample = min(1.0, pool.MICROGRAPHS / len(files)) if pooled else 0.0
    looked_at = min(points * sample, pool.COLUMNS)
    alone = _TABLES * len(files) + _LEARN_S * looked_at  # s of this process, after the others
    shared = cpu * (1 + sample)
    return RunPlan(
        files=len(files),
        bytes=int(sizes.sum()),
        pixels=int(pixels.sum()),
        largest=int(pixels.max()),
        probed=tuple(files[k] for k in chosen),
        unreadable=unreadable,
        columns=round(columns),
        points=round(points),
        workers=workers,
        batches=len(batches(files, batch_size(job), workers)),
        cpu_seconds=float(shared + alone),
        seconds=float(_START * (1 + pooled) + shared / min(workers, device.threads()) + alone),
        memory_bytes=round((workers + (workers > 1)) * _peak(probed, pixels) + _LEARN_BYTES * looked_at),
        store_bytes=round(_carried_over(probed, np.diff(written), pixels) + written[0]),
    )


def _pixels(files: Sequence[str], sizes: np.ndarray) -> np.ndarray:
    """Return how many pixels each file has: as its header says, or by its bytes."""
    order = np.argsort(sizes, kind="stable")
    looked_at = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _HEADERS)).astype(int))]
    said = np.zeros(len(files))
    for k in looked_at:
        said[k] = sum(height * width for height, width in announced(Path(files[k])))
    kinds = np.array([Path(path).suffix.lower() for path in files])
    guessed = sizes / _PIXEL_BYTES
    for kind in np.unique(kinds):
        known = (kinds == kind) & (said > 0)
        if known.any():
            guessed[kinds == kind] = sizes[kinds == kind] * (said[known].sum() / sizes[known].sum())
    return np.where(said > 0, said, np.maximum(guessed, 1.0))


def _probes(pixels: np.ndarray, number: int) -> list[int]:
    """Return which files are analysed: those in the middle of as many parts by size."""
    order = np.argsort(pixels, kind="stable")
    number = min(number, len(order))
    return [int(order[(2 * k + 1) * len(order) // (2 * number)]) for k in range(number)]


def _carried_over(probed: np.ndarray, taken: Sequence[float] | np.ndarray, pixels: np.ndarray) -> float:
    """Return what all files take, if some take so much: a part for each file, and one for each pixel."""
    each = np.stack([np.ones(len(probed)), probed], axis=1)
    if np.ptp(probed) < 0.2 * probed.max():  # of one size, which tells nothing of the two parts
        return float(np.mean(taken) * pixels.sum() / probed.mean())
    (alone, by_pixel), _ = nnls(each / each.max(axis=0), np.asarray(taken, float))
    return float(alone * len(pixels) + by_pixel * pixels.sum() / probed.max())


def _peak(probed: np.ndarray, pixels: np.ndarray) -> float:
    """Return the most memory that a process takes: what it took, and what the largest file takes beyond."""
    sides = [math.isqrt(int(some.max())) for some in (pixels, probed)]
    largest, seen = (estimate((side, side)).bytes for side in sides)
    return peak_bytes() + max(0, largest - seen)


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
