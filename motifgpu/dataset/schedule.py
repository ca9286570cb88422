"""What a run does next: which files need work, which batch goes when, and what a worker's death means."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from motifgpu.core.errors import StageError
from motifgpu.dataset.executors import Executor
from motifgpu.dataset.job import Job
from motifgpu.dataset.records import Records
from motifgpu.dataset.tasks import GONE, STOP, Loaded, Summary, facts_of, save
from motifgpu.store.entries import DONE, QUARANTINED, UNREAD

PASSES = 3  # over files that are replaced while a run works
DEATHS = 3  # of workers that had only this file, after which it is left out
MOST_BYTES = 2**26  # of files in a batch
_BATCH, _GPU_BATCH = 4, 64  # files; a GPU needs many micrographs in a launch, a core's cache few
Report = Callable[[str, float], None]


@dataclass(frozen=True)
class _Batch:
    paths: tuple[str, ...]
    alone: bool = False
    deaths: int = 0


def batch_size(job: Job) -> int:
    """Return how many files go in a batch at most."""
    return _GPU_BATCH if job.on_gpu else _BATCH


def batches(files: Sequence[str], most: int, sharers: int) -> list[tuple[str, ...]]:
    """Part files into batches of at most `most` files and 64 MiB, small enough that all sharers get some."""
    most = max(1, min(most, len(files) // (4 * sharers)))
    found: list[tuple[str, ...]] = []
    held: list[str] = []
    size = 0
    for path in files:
        own = size_of(path)
        if held and (len(held) == most or size + own > MOST_BYTES):
            found.append(tuple(held))
            held, size = [], 0
        held.append(path)
        size += own
    return [*found, tuple(held)] if held else found


def size_of(path: str) -> int:
    """Return the bytes of a file, 0 where there is none."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


class Schedule:
    """Decides what is done next, gives it to an executor and keeps the records.

    Parameters
    ----------
    executor : Executor
    records : Records
    job : Job
    report : callable, optional
        Called as ``report(text, fraction)`` with rate, time left and how many are in quarantine.
    may_go : bool
        Whether a file whose folder is gone is left out, and does not end the run.
    """

    def __init__(
        self,
        executor: Executor,
        records: Records,
        job: Job,
        report: Report | None,
        may_go: bool = False,
    ) -> None:
        self._executor, self._records, self._job, self._report = executor, records, job, report
        self._may_go = may_go
        self._number = 0  # of the last batch
        self.missing = 0  # files that the last call of `work` found to do
        self.analysed = 0  # files, in all calls
        self._points = 0
        self._seconds = 0.0

    def work(self, files: Sequence[str], *, retry: bool = False, verify: bool = False) -> list[str]:
        """Do those of the files that are not done.

        Parameters
        ----------
        files : sequence of str
        retry : bool
            Do those in quarantine too.
        verify : bool
            Read all files again, and do those whose content changed.

        Returns
        -------
        list of str
            The files whose folder is gone.

        Raises
        ------
        StageError
            If something is wrong that is no file's fault. What was finished is kept.
        """
        missing = [path for path in files if not self._records.settled(path, retry=retry, verify=verify)]
        if retry:
            for path in missing:
                self._records.forget(path)
        gone: list[str] = []
        for _ in range(PASSES):
            gone += self._pass(missing, len(files))
            missing = [path for path in missing if path not in gone and self._records.replaced(path)]
            if not missing:
                break
        return gone

    def _pass(self, missing: Sequence[str], files: int) -> list[str]:
        """Do files, once each; return those whose folder is gone."""
        gone: list[str] = []
        self.missing = len(missing)
        waiting = deque(
            _Batch(paths) for paths in batches(missing, batch_size(self._job), self._executor.sharers)
        )
        flying: dict[int, _Batch] = {}
        begun, done = time.monotonic(), 0
        self._say(files, done, 0.0)
        while waiting or flying:
            while waiting and self._executor.has_room(waiting[0].alone):
                self._number += 1
                flying[self._number] = batch = waiting.popleft()
                self._executor.submit(self._number, batch.paths, batch.alone)
            number, summaries = self._executor.wait()
            batch = flying.pop(number)
            if summaries is None:
                deaths = batch.deaths + batch.alone
                if deaths < DEATHS:  # each file alone shows which of them it was
                    waiting.extendleft(_Batch((path,), True, deaths) for path in reversed(batch.paths))
                    continue
                summaries = [self._killer(path, deaths) for path in batch.paths]
            for summary in summaries:
                if summary["status"] == GONE and self._may_go:
                    gone.append(summary["path"])
                else:
                    self._take(summary)
            done += len(summaries)
            self._seconds = time.monotonic() - begun
            self._say(files, done, self._seconds)
        return gone

    def summary(self) -> dict[str, Any]:
        """Return what was done so far: files, points, seconds of the last call, most bytes of a worker."""
        return {
            "files": self.analysed,
            "points": self._points,
            "seconds": round(self._seconds, 3),
            "peak_bytes": self._executor.peak_bytes,
        }

    def _take(self, summary: Summary) -> None:
        if summary["status"] in (STOP, GONE):
            raise StageError(
                "run",
                summary["reason"],
                "repair that and run the same command again; what is finished is kept",
            )
        self._records.take(summary["path"])
        self.analysed += summary["status"] in (DONE, QUARANTINED)
        self._points += summary["points"]

    def _killer(self, path: str, deaths: int) -> Summary:
        """Put a file into quarantine that ended every process that worked on it."""
        reason = f"the process that analysed it died, {deaths} times in {deaths}"
        try:
            facts = facts_of(path)
        except OSError as error:
            reason, facts = error.strerror or str(error), {}
        if not facts:
            return save([Loaded(path, UNREAD, reason)], self._job)[0]
        key = self._job.key(path, facts["sha256"])
        return save([Loaded(path, QUARANTINED, reason, key, facts)], self._job)[0]

    def _say(self, files: int, done: int, seconds: float) -> None:
        """Report how many of the files are settled, those done before included."""
        if self._report is None:
            return
        settled = files - self.missing + done
        text = f"{settled:,} of {files:,} files"
        if done and seconds > 0:
            rate = done / seconds
            text += f", {rate:.3g}/s, {_duration((files - settled) / rate)} left"
        bad = len(self._records.quarantine)
        self._report(text + (f", {bad:,} in quarantine" if bad else ""), settled / max(files, 1))


def _duration(seconds: float) -> str:
    """Return a duration as one reads it: 42 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
