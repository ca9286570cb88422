"""Reading ahead and writing behind, while this thread computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from motifgpu.dataset import tasks
from motifgpu.dataset.job import Job
from motifgpu.dataset.tasks import Loaded, Summary

Done = Callable[[int, list[Summary]], None]


class Prefetcher:
    """Works on batches one after another: the next one is read and the last one written meanwhile.

    At most one batch is read ahead and one waits to be written, so memory does not depend on how many there
    are.

    Parameters
    ----------
    job : Job
    done : callable
        Called as ``done(number, summaries)`` from the writing thread when a batch is on the disk.
    failed : callable, optional
        Called from the writing thread with whatever else ends the writing of a batch, so that somebody who
        waits for batches hears of it; `step` and `flush` raise it.
    """

    def __init__(self, job: Job, done: Done, failed: Callable[[BaseException], None] | None = None) -> None:
        self._job, self._done, self._failed = job, done, failed
        self._reader = ThreadPoolExecutor(1, "read-ahead")
        self._writer = ThreadPoolExecutor(1, "write-behind")
        self._waiting: deque[tuple[int, Sequence[str]]] = deque()
        self._reading: tuple[int, Future[list[Loaded]]] | None = None
        self._writing: Future[None] | None = None
        self._written: set[str] = set()  # keys of what is being written

    def submit(self, number: int, paths: Sequence[str]) -> None:
        """Take a batch on."""
        self._waiting.append((number, paths))
        self._read_ahead()

    @property
    def busy(self) -> bool:
        """Whether there is a batch to compute."""
        return self._reading is not None

    def step(self) -> None:
        """Compute the oldest batch and hand it to the writer."""
        assert self._reading is not None
        number, loading = self._reading
        loaded = loading.result()
        self._reading = None
        self._read_ahead()
        keys = {file.key for file in loaded if file.key}
        if keys & self._written:  # what is known when it is on the disk
            self.flush()
        self._written = keys
        computed = tasks.compute(tasks.each_once(loaded, self._job), self._job)
        if self._writing is not None:
            self._writing.result()
        self._writing = self._writer.submit(self._save, number, computed)

    def flush(self) -> None:
        """Wait until what was computed is on the disk."""
        if self._writing is not None:
            self._writing.result()

    def close(self) -> None:
        """Finish what is being written and drop what is not computed."""
        self._waiting.clear()
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._writer.shutdown(wait=True)

    def _read_ahead(self) -> None:
        if self._reading is None and self._waiting:
            number, paths = self._waiting.popleft()
            self._reading = number, self._reader.submit(tasks.load, paths, self._job)

    def _save(self, number: int, computed: list[Loaded]) -> None:
        try:
            self._done(number, tasks.save(computed, self._job))
        except BaseException as error:
            if self._failed is not None:
                self._failed(error)
            raise
