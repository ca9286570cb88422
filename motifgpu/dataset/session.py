"""One process working in the folder of a run: its lock, its workers, its records and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from motifgpu.dataset import manifest
from motifgpu.dataset.executors import Executor, choose_executor
from motifgpu.dataset.job import Job
from motifgpu.dataset.lock import locked
from motifgpu.dataset.records import Records, sweep
from motifgpu.dataset.schedule import Schedule
from motifgpu.store import layout
from motifgpu.store.within import check_links

if TYPE_CHECKING:
    from distributed import Client

    from motifgpu.dictionary import MotifDictionary

Progress = Callable[[str, float], None]


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


class Session:
    """Works on files, as often as asked; `open_session` makes one."""

    def __init__(self, job: Job, executor: Executor, progress: Progress | None, complete: bool) -> None:
        self._root, self._records = job.root, Records(job.root)
        self._schedule = Schedule(executor, self._records, job, progress)
        self._progress = progress
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
        schedule, before = self._schedule, self._schedule.analysed
        try:
            schedule.work(files, retry)
        except KeyboardInterrupt:
            self._end("interrupted")
            raise RunInterrupted(
                f"interrupted after {schedule.analysed - before:,} of {schedule.missing:,} files; all that "
                "is finished is kept, and the same command continues"
            ) from None
        except BaseException:
            with suppress(OSError):  # on a full disk the reason that is on its way says more
                self._end("stopped")
            raise
        self._complete &= schedule.analysed == before

    def finish(self) -> None:
        """Make the tables, unless they hold all that is known."""
        found = None
        if self._records.name_by_first_path() or not self._complete:
            if self._progress:
                self._progress("putting the tables together", 1.0)
            found = manifest.make_tables(self._root)
        self._end("complete", found)
        self._complete = True

    def leave(self) -> None:
        """End a shard's work, without tables."""
        self._end("sharded")

    def _end(self, state: str, found: dict[str, int] | None = None) -> None:
        manifest.end(self._root, state, self._schedule.summary(), found)


@contextmanager
def open_session(
    job: Job,
    *,
    client: Client | None = None,
    workers: int | None = None,
    shard: tuple[int, int] | None = None,
    progress: Progress | None = None,
    dictionary: MotifDictionary | None = None,
) -> Iterator[Session]:
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
    check_links(root)
    with locked(root, shard):
        if shard is None and (root / layout.FILES).is_dir():
            sweep(root)
        executor = choose_executor(job, client, workers)
        try:
            complete = manifest.begin(root, job, dictionary)
            yield Session(job, executor, progress, complete)
        finally:
            executor.close()
