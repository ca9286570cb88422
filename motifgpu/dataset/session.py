"""One process at work in the folder of a run: its lock, its workers and its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from motifgpu.core import device
from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.dataset import manifest
from motifgpu.dataset.executors import Executor, Processes, ThisProcess
from motifgpu.dataset.job import Job
from motifgpu.dataset.lock import locked
from motifgpu.dataset.records import Records, sweep
from motifgpu.dataset.schedule import Schedule, batches
from motifgpu.store import layout

if TYPE_CHECKING:
    from distributed import Client

    from motifgpu.dictionary import MotifDictionary

Progress = Callable[[str, float], None]
_BATCH, _GPU_BATCH = 4, 64  # files; a GPU wants many micrographs in a launch, a core's cache few


class RunInterrupted(KeyboardInterrupt):
    """A run was interrupted; the message says how far it is and how to continue it.

    Examples
    --------
    The same call continues a run that was interrupted, here by its progress callback:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> import numpy as np
    >>> def interrupt(text, fraction):
    ...     raise KeyboardInterrupt
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
    ...     np.save(Path(folder) / "scan.npy", made.image)
    ...     out = Path(folder) / "out"
    ...     try:
    ...         motifgpu.run(folder, out, workers=1, structure=False, progress=interrupt)
    ...     except motifgpu.RunInterrupted:
    ...         run = motifgpu.run(folder, out, workers=1, structure=False)
    ...     run.micrographs.num_rows
    1
    """


class Campaign:
    """Works on files, as often as asked; `opened` makes one."""

    def __init__(self, job: Job, executor: Executor, progress: Progress | None, complete: bool) -> None:
        self.job, self.records = job, Records(job.root)
        self._schedule = Schedule(executor, self.records, job, progress)
        self._executor, self._progress = executor, progress
        self._complete = complete  # whether the tables hold all that is known

    def work(self, files: Sequence[str], retry: bool = False) -> None:
        """Do those of the files that are not done.

        Raises
        ------
        RunInterrupted
            After Ctrl-C.
        StageError
            If something is wrong that is no file's fault.
        """
        missing = [path for path in files if not self.records.settled(path, retry)]
        if retry:
            for path in missing:
                self.records.forget(path)
        before = self._schedule.analysed
        try:
            self._schedule.work(
                batches(missing, batch_size(self.job), self._executor.sharers), len(files) - len(missing)
            )
        except KeyboardInterrupt:
            manifest.end(self.job.root, "interrupted", self._schedule)
            raise RunInterrupted(
                f"interrupted after {self._schedule.analysed - before:,} of {len(missing):,} files; all that "
                "is finished is kept, and the same command goes on"
            ) from None
        except BaseException:
            with suppress(OSError):  # on a full disk the reason that is on its way says more
                manifest.end(self.job.root, "stopped", self._schedule)
            raise
        self._complete &= self._schedule.analysed == before

    def finish(self) -> None:
        """Make the tables, unless they hold all that is known."""
        if self.records.name_by_first_path() or not self._complete:
            if self._progress:
                self._progress("putting the tables together", 1.0)
            manifest.complete(self.job.root, self._schedule)
        else:
            manifest.end(self.job.root, "complete", self._schedule)
        self._complete = True

    def leave(self) -> None:
        """End a shard's work, without tables."""
        manifest.end(self.job.root, "sharded", self._schedule)


@contextmanager
def opened(
    job: Job,
    *,
    client: Client | None,
    workers: int | None,
    shard: tuple[int, int] | None,
    progress: Progress | None,
    dictionary: MotifDictionary | None = None,
) -> Iterator[Campaign]:
    """Lock the folder of a run, make what is missing in it, and end the workers in the end.

    Raises
    ------
    StageError
        If another process works there, or it holds a run with other parameters.
    OSError
        If it cannot be made or written.
    """
    root = job.root
    root.mkdir(parents=True, exist_ok=True)
    with locked(root, shard):
        if shard is None and (root / layout.FILES).is_dir():
            sweep(root)
        executor = _executor(job, client, workers)
        try:
            complete = manifest.begin(root, job, dictionary)
            yield Campaign(job, executor, progress, complete)
        finally:
            executor.close()


def on_gpu(job: Job) -> bool:
    """Say whether a GPU computes, as far as this machine can tell."""
    wanted = job.options.backend
    return wanted == "cupy" or (wanted == "auto" and device.gpu_problem() is None)


def usual_workers(job: Job) -> int:
    """Return how many processes work by default: one for each GPU, or for each processor."""
    return max(1, device.gpu_count()) if on_gpu(job) else device.threads()


def batch_size(job: Job) -> int:
    """Return how many files go in a batch at most."""
    return _GPU_BATCH if on_gpu(job) else _BATCH


def _executor(job: Job, client: Client | None, workers: int | None) -> Executor:
    if client is not None:
        if workers is not None:
            problem = f"workers is {workers} and there is a client"
            raise StageError("run", problem, "leave workers out: the cluster has its own")
        from motifgpu.dataset.cluster import Cluster

        return Cluster(job, client)
    workers = usual_workers(job) if workers is None else check_integer(workers, "run", "workers", 1)
    return ThisProcess(job) if workers == 1 else Processes(job, workers, on_gpu(job))
