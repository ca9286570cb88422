"""One process working in the folder of a run: its lock, its workers, its records and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from motifgpu.core.files import shown_path
from motifgpu.dataset import manifest
from motifgpu.dataset.executors import Executor, choose_executor
from motifgpu.dataset.job import Job
from motifgpu.dataset.records import Records, clear_leftovers
from motifgpu.dataset.schedule import Schedule
from motifgpu.dataset.shards import Shard, forget_shards, write_shard
from motifgpu.store.lock import locked
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

    def __init__(
        self,
        job: Job,
        executor: Executor,
        records: Records,
        progress: Progress | None,
        complete: bool,
        may_go: bool = False,
    ) -> None:
        self._root, self._records = job.root, records
        self._schedule = Schedule(executor, records, job, progress, may_go)
        self._progress = progress
        self._left_out: list[str] = []
        self._complete = complete  # whether the tables hold all that was known when the session began

    def work(self, files: Sequence[str], *, retry: bool = False, verify: bool = False) -> list[str]:
        """Do those of the files that are not done; see `Schedule.work`.

        Raises
        ------
        RunInterrupted
            After Ctrl-C.
        StageError
            If something is wrong that is no file's fault.
        """
        schedule, before = self._schedule, self._schedule.analysed
        try:
            return schedule.work(files, retry=retry, verify=verify)
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

    def leave_out(self, folders: Sequence[str]) -> None:
        """Say in run.json which folders of earlier results were left out of the inputs."""
        self._left_out = [shown_path(folder) for folder in folders]

    def finish(self) -> None:
        """Make the tables, unless they hold all that is known.

        Raises
        ------
        RunInterrupted
            After Ctrl-C.
        """
        try:
            self._finish()
        except KeyboardInterrupt:
            self._end("interrupted")
            raise RunInterrupted(
                "interrupted while the tables were put together; all results are kept, and the same command "
                "continues"
            ) from None

    def _finish(self) -> None:
        self._records.tidy()
        damaged = self._records.damaged()
        if not self._complete or self._records.changed or damaged:
            if self._progress:
                self._progress("putting the tables together", 1.0)
            manifest.make_tables(self._root, self._records)
        self._end("complete")
        forget_shards(self._root)
        self._complete, self._records.changed = True, False

    def leave(self, shard: Shard) -> None:
        """End a shard's work, without tables."""
        write_shard(self._root, replace(shard, done=True))
        self._end("sharded")

    def stop(self, state: str) -> None:
        """End work on a part of the files, without tables, in the state that the run had before."""
        self._end(state)

    def _end(self, state: str) -> None:
        did = {**self._schedule.summary(), "left_out": self._left_out}
        manifest.end(self._root, state, did, self._records)


@contextmanager
def open_session(
    job: Job,
    *,
    client: Client | None = None,
    workers: int | None = None,
    shard: Shard | None = None,
    progress: Progress | None = None,
    dictionary: MotifDictionary | None = None,
    may_go: bool = False,
) -> Iterator[Session]:
    """Lock the folder of a run, make what is missing in it, and end the workers in the end.

    Parameters
    ----------
    job, client, workers, shard, progress, dictionary
        As `motifgpu.run` has them.
    may_go : bool
        As `motifgpu.dataset.schedule.Schedule` has it.

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
    with locked(root, None if shard is None else (shard.i, shard.n)):
        executor = choose_executor(job, client, workers)
        try:
            complete = manifest.begin(root, job, dictionary)
            if shard is None:
                clear_leftovers(root)
            else:
                write_shard(root, shard)
            records = Records(root, whole=shard is None)
            yield Session(job, executor, records, progress, complete, may_go)
        finally:
            executor.close()
