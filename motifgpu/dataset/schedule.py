"""Which batch goes when, and what happens when a worker dies over one."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from motifgpu.core.errors import StageError
from motifgpu.dataset.executors import Executor
from motifgpu.dataset.job import Job
from motifgpu.dataset.records import Records
from motifgpu.dataset.tasks import DONE, QUARANTINED, STOP, Loaded, Summary, facts_of, save

DEATHS = 3  # of workers that had nothing but this file, after which it is left out
MOST_BYTES = 2**26  # of files in a batch
Report = Callable[[str, float], None]


@dataclass(frozen=True)
class _Batch:
    paths: tuple[str, ...]
    alone: bool = False
    deaths: int = 0


def batches(files: Sequence[str], most: int, sharers: int) -> list[tuple[str, ...]]:
    """Part files into batches of at most `most` files and 64 MiB, small enough that all sharers get some."""
    most = max(1, min(most, len(files) // (4 * sharers)))
    found: list[tuple[str, ...]] = []
    held: list[str] = []
    size = 0
    for path in files:
        own = _size(path)
        if held and (len(held) == most or size + own > MOST_BYTES):
            found.append(tuple(held))
            held, size = [], 0
        held.append(path)
        size += own
    return [*found, tuple(held)] if held else found


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


class Schedule:
    """Takes files through an executor and keeps the records.

    Parameters
    ----------
    executor : Executor
    records : Records
    job : Job
    report : callable, optional
        Called as ``report(text, fraction)`` with rate, time left and how many are in quarantine.
    """

    def __init__(self, executor: Executor, records: Records, job: Job, report: Report | None) -> None:
        self._executor, self._records, self._job, self._report = executor, records, job, report
        self._number = 0
        self.analysed = 0  # files
        self.points = 0
        self.seconds = 0.0

    def work(self, files: Sequence[Sequence[str]], known: int) -> None:
        """Do all batches; `known` files were done before, which the report counts in.

        Raises
        ------
        StageError
            If something is wrong that is no file's fault. What was finished is kept.
        """
        waiting = deque(_Batch(tuple(paths)) for paths in files)
        flying: dict[int, _Batch] = {}
        total = known + sum(map(len, files))
        begun = time.monotonic()
        done = 0
        self._say(known, total, 0, 0.0)
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
                self._take(summary)
                done += 1
            self.seconds = time.monotonic() - begun
            self._say(known + done, total, done, self.seconds)

    @property
    def peak_bytes(self) -> int:
        """The most memory that one worker used."""
        return self._executor.peak_bytes

    def _take(self, summary: Summary) -> None:
        if summary["status"] == STOP:
            raise StageError(
                "run",
                summary["reason"],
                "mend that and run the same command again; what is finished is kept",
            )
        self._records.take(summary)
        self.analysed += summary["status"] in (DONE, QUARANTINED)
        self.points += summary["points"]

    def _killer(self, path: str, deaths: int) -> Summary:
        """Put a file into quarantine that ended every process that worked on it."""
        reason = f"the process that analysed it died, {deaths} times in {deaths}"
        try:
            facts = facts_of(path)
        except OSError as error:
            reason, facts = error.strerror or str(error), {}
        key = self._job.key(facts["sha256"]) if facts else ""
        return save([Loaded(path, QUARANTINED, reason, key, facts)], self._job)[0]

    def _say(self, settled: int, total: int, done: int, elapsed: float) -> None:
        if self._report is None:
            return
        text = f"{settled:,} of {total:,} files"
        if done and elapsed > 0:
            rate = done / elapsed
            text += f", {rate:.3g}/s, {_duration((total - settled) / rate)} left"
        bad = len(self._records.quarantine)
        self._report(text + (f", {bad:,} in quarantine" if bad else ""), settled / max(total, 1))


def _duration(seconds: float) -> str:
    """Return a duration as one reads it: 42 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
