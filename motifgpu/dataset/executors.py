"""Who works on batches of files: this process, processes of this machine, or the workers of a cluster."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from motifgpu.core import device, processes
from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.dataset.cluster import Cluster
from motifgpu.dataset.job import Job
from motifgpu.dataset.memory import peak_bytes
from motifgpu.dataset.prefetch import Prefetcher
from motifgpu.dataset.tasks import Summary

if TYPE_CHECKING:
    from distributed import Client

STARTS = 5  # workers that may die before they are ready
AHEAD = 3  # batches a worker has: one computed, one read ahead, one on the way
_Answer = tuple[int, list[Summary] | None]


class Executor(Protocol):
    """Takes batches and gives back what became of them, in any order."""

    @property
    def sharers(self) -> int:
        """How many work at once."""

    @property
    def peak_bytes(self) -> int:
        """The most memory that one of them used."""

    def has_room(self, alone: bool) -> bool:
        """Say whether `submit` may be called now, for a batch that needs a worker to itself or not."""

    def submit(self, number: int, paths: Sequence[str], alone: bool) -> None:
        """Take a batch on."""

    def wait(self) -> _Answer:
        """Return a batch's number and summaries, or None for the latter if its worker died."""

    def close(self) -> None:
        """End; batches that are not done are dropped."""


class ThisProcess:
    """Works in this process, reading ahead and writing behind."""

    sharers = 1

    def __init__(self, job: Job) -> None:
        self._answers: deque[_Answer] = deque()
        self._prefetcher = Prefetcher(
            job, lambda number, summaries: self._answers.append((number, summaries))
        )
        self._taken = 0

    @property
    def peak_bytes(self) -> int:
        """The most memory that this process has used."""
        return peak_bytes()

    def has_room(self, alone: bool) -> bool:
        """Say whether `submit` may be called now."""
        return self._taken < AHEAD

    def submit(self, number: int, paths: Sequence[str], alone: bool) -> None:
        """Take a batch on."""
        self._taken += 1
        self._prefetcher.submit(number, paths)

    def wait(self) -> _Answer:
        """Compute until a batch is done."""
        while not self._answers:
            if self._prefetcher.busy:
                self._prefetcher.step()
            else:
                self._prefetcher.flush()
        self._taken -= 1
        return self._answers.popleft()

    def close(self) -> None:
        """Drop what is not computed."""
        self._prefetcher.close()


@dataclass(eq=False)
class _Worker:
    """A worker process and the batches it has."""

    process: subprocess.Popen[str]
    batches: set[int] = field(default_factory=set)
    alone: bool = False
    ready: bool = False
    error: str = ""


class Processes:
    """Worker processes, one BLAS thread each; one that dies is replaced.

    They are programs of their own and no copies of this one, so they need no guard in the caller's script and
    get no Ctrl-C of its terminal; they end when this process does, however it ends.

    Parameters
    ----------
    job : Job
    number : int
        How many.
    on_gpu : bool
        Give each a GPU, in turn.
    """

    def __init__(self, job: Job, number: int, on_gpu: bool = False) -> None:
        self._job, self._on_gpu = job, on_gpu
        self._answers: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]] = queue.SimpleQueue()
        self._ready: deque[_Answer] = deque()
        self._failed_starts = 0
        self.sharers = number
        self.peak_bytes = 0
        self._workers: list[_Worker] = []

    def _start(self, place: int) -> _Worker:
        own_gpu = device.gpu_environment(place) if self._on_gpu else {}
        process = subprocess.Popen(
            processes.python_module("motifgpu.dataset.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            env=processes.environment(MOTIFGPU_THREADS="1", **own_gpu),
        )
        worker = _Worker(process)
        try:
            self._send(worker, self._job.to_json())
            threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        except BaseException:
            process.kill()
            process.wait()
            raise
        return worker

    def _listen(self, worker: _Worker) -> None:
        assert worker.process.stdout
        try:
            for line in worker.process.stdout:
                with contextlib.suppress(ValueError):  # a worker that was killed may leave half a line
                    self._answers.put((worker, json.loads(line)))
        finally:  # nobody hears a worker whose listener failed, so it must not live on
            with contextlib.suppress(OSError):
                worker.process.kill()
            worker.process.wait()
            self._answers.put((worker, None))

    def _send(self, worker: _Worker, line: str) -> None:
        assert worker.process.stdin
        with contextlib.suppress(OSError):  # that it died is heard from its output
            worker.process.stdin.write(line + "\n")
            worker.process.stdin.flush()

    def _free(self, alone: bool) -> _Worker | None:
        room = 0 if alone else AHEAD - 1
        while len(self._workers) < self.sharers:  # when there is work, and not before
            self._workers.append(self._start(len(self._workers)))
        free = [worker for worker in self._workers if not worker.alone and len(worker.batches) <= room]
        return min(free, key=lambda worker: len(worker.batches), default=None)

    def has_room(self, alone: bool) -> bool:
        """Say whether `submit` may be called now."""
        return self._free(alone) is not None

    def submit(self, number: int, paths: Sequence[str], alone: bool) -> None:
        """Give a batch to the worker that has fewest."""
        worker = self._free(alone)
        assert worker is not None
        worker.batches.add(number)
        worker.alone = alone
        self._send(worker, json.dumps({"batch": number, "paths": list(paths)}))

    def wait(self) -> _Answer:
        """Wait until a batch is done or its worker has died."""
        while not self._ready:
            worker, answer = self._answers.get()
            if answer is None:
                self._replace(worker)
            elif "error" in answer:
                worker.error = answer["error"]
            elif "ready" in answer:
                worker.ready = True
            else:
                worker.batches.discard(answer["batch"])
                worker.alone = False
                self.peak_bytes = max(self.peak_bytes, answer["peak_bytes"])
                self._ready.append((answer["batch"], answer["files"]))
        return self._ready.popleft()

    def _replace(self, worker: _Worker) -> None:
        """Start another worker for one that died, and say what it left undone."""
        self._failed_starts += not worker.ready
        if worker.error or self._failed_starts > STARTS:
            how = worker.error or f"they end at once, with exit status {worker.process.returncode}"
            raise StageError(
                "run", f"workers cannot work: {how}", "repair what it names, or give workers=1 to see more"
            )
        self._ready.extend((number, None) for number in sorted(worker.batches))
        place = self._workers.index(worker)
        self._workers[place] = self._start(place)

    def close(self) -> None:
        """End the workers; what they had not finished is dropped."""
        for worker in self._workers:
            with contextlib.suppress(OSError):
                assert worker.process.stdin
                worker.process.stdin.close()
        for worker in self._workers:
            try:
                worker.process.wait(5)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def usual_workers(job: Job) -> int:
    """Return how many processes work by default: one for each GPU, or for each processor."""
    return max(1, device.gpu_count()) if job.on_gpu else device.threads()


def choose_executor(job: Job, client: Client | None, workers: int | None) -> Executor:
    """Return the workers of a cluster if there is one, else this process or as many as are requested.

    Raises
    ------
    StageError
        If `workers` is given beside a cluster, is no whole number above 0, or the cluster is gone.
    """
    if client is not None:
        if workers is not None:
            problem = f"workers is {workers} and there is a client"
            raise StageError("run", problem, "leave workers out: the cluster has its own")
        return Cluster(job, client)
    workers = usual_workers(job) if workers is None else check_integer(workers, "run", "workers", 1)
    return ThisProcess(job) if workers == 1 else Processes(job, workers, job.on_gpu)
