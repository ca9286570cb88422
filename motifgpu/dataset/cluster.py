"""The workers of a Dask cluster, whoever made it: paths travel there, small summaries back, never arrays.

Every worker must see the input files and the folder of the run under the same paths, and have one thread, as
stages use the processors themselves. All GPUs of a machine, one worker per GPU::

    from dask_cuda import LocalCUDACluster
    with LocalCUDACluster() as cluster, Client(cluster) as client:
        motifgpu.run("scans/**/*.dm4", "out.motif", client=client)

Forty workers that Slurm starts as it finds room, and starts again when they run out of time::

    from dask_jobqueue import SLURMCluster
    with SLURMCluster(cores=1, processes=1, memory="4GB", walltime="01:00:00") as cluster:
        cluster.adapt(maximum_jobs=40)
        with Client(cluster) as client:
            motifgpu.run("scans/**/*.dm4", "out.motif", client=client)

A file that ends its worker is given up after ``distributed.scheduler.allowed-failures`` deaths, which is 3
unless configured, and goes into quarantine.
"""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from motifgpu.core.device import versions
from motifgpu.core.errors import StageError
from motifgpu.dataset.job import Job
from motifgpu.dataset.memory import peak_bytes
from motifgpu.dataset.tasks import Summary, process

if TYPE_CHECKING:
    from distributed import Client, Future

AHEAD = 2  # batches per thread of a worker, so that none waits for the scheduler
TRIES = 5  # of a batch whose result is lost
_PATIENCE = 10.0  # s, that a lost connection may take to come back


class Cluster:
    """Gives batches to a cluster, a bounded number at a time, and releases them when they are done.

    Dask runs a batch again whose worker died, `distributed.scheduler.allowed-failures` times, and then gives
    up on it; its files are then tried one at a time, so that only the file that does it is left out.

    Parameters
    ----------
    job : Job
    client : distributed.Client
    """

    def __init__(self, job: Job, client: Client) -> None:
        self._job, self._client = job.to_json(), client
        self._batches: dict[int, tuple[str, ...]] = {}
        self._futures: dict[int, Future[dict[str, Any]]] = {}
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._tries: dict[int, int] = {}
        self._alone = False  # whether the batch that is being done is alone
        self.peak_bytes = 0
        self.sharers = 1
        self._count()
        if self._client.status != "running":
            raise self._lost()

    def _count(self) -> None:
        """See how many threads the workers have; the number of before stays where nobody says."""
        with contextlib.suppress(Exception):
            if self._client.status != "running":  # else it would be waited for
                return
            self.sharers = max(1, sum(self._client.nthreads().values()))

    def has_room(self, alone: bool) -> bool:
        """Say whether `submit` may be called now.

        A batch that may end its worker has the cluster to itself: Dask suspects all that the worker held.
        """
        if self._alone or alone:
            return not self._futures
        return len(self._futures) < AHEAD * self.sharers

    def submit(self, number: int, paths: Sequence[str], alone: bool) -> None:
        """Take a batch on."""
        self._batches[number], self._alone = tuple(paths), alone
        try:
            future = self._client.submit(
                _process, list(paths), self._job, _ours(), pure=False, key=f"motifgpu-{os.urandom(8).hex()}"
            )
        except Exception as error:  # whatever a client says that was closed meanwhile
            raise self._lost() from error
        self._futures[number] = future
        future.add_done_callback(lambda _: self._done.put(number))

    def wait(self) -> tuple[int, list[Summary] | None]:
        """Wait until a batch is done or given up.

        Raises
        ------
        StageError
            If the scheduler or the client is gone, or workers cannot work.
        """
        while True:
            number = self._next()
            future, paths = self._futures.pop(number), self._batches.pop(number)
            self._count()
            try:
                answer = future.result(_PATIENCE)
            except Exception as error:  # of Dask, of its connections, or of a worker
                if self._was_killed(error):
                    return number, None
                self._give_again(number, paths, error)
                continue
            finally:
                with contextlib.suppress(Exception):
                    future.release()
            if answer.get("refused"):
                raise StageError(
                    "run",
                    f"a worker of the Dask cluster, {answer['refused']}, has other versions than this "
                    f"process: {answer['versions']}",
                    "give all workers the versions of this process, and run the same command again",
                )
            self.peak_bytes = max(self.peak_bytes, answer["peak_bytes"])
            return number, answer["files"]

    @staticmethod
    def _was_killed(error: Exception) -> bool:
        """Say whether Dask gave a batch up because its workers died of it."""
        return type(error).__name__ == "KilledWorker"

    def _give_again(self, number: int, paths: tuple[str, ...], error: Exception) -> None:
        """Give a batch to the cluster again whose result was lost, as when its worker left with it.

        Raises
        ------
        StageError
            If there is no scheduler any more, or the batch fails every time.
        """
        from concurrent.futures import CancelledError

        self._wait_for_connection()
        self._tries[number] = self._tries.get(number, 0) + 1
        lost = isinstance(error, (CancelledError, TimeoutError, OSError))
        if not lost or self._tries[number] >= TRIES:
            raise StageError(
                "run",
                f"workers of the Dask cluster cannot work: {type(error).__name__}: {error}",
                "repair what it names and run the same command again; workers need motifgpu, and see the "
                "input files and the folder of the run under the same paths",
            ) from error
        self.submit(number, paths, self._alone)

    def _wait_for_connection(self) -> None:
        end = time.monotonic() + _PATIENCE
        while self._client.status != "running":
            if time.monotonic() > end or self._client.status == "closed":
                raise self._lost()
            time.sleep(0.1)

    def _next(self) -> int:
        while True:
            try:
                return self._done.get(timeout=1.0)
            except queue.Empty:
                self._wait_for_connection()

    def _lost(self) -> StageError:
        if self._client.status == "closed":
            return StageError(
                "run",
                "the client of the Dask cluster was closed",
                "make a client and run the same command again; finished results are kept",
            )
        return StageError(
            "run",
            "the scheduler of the Dask cluster is gone",
            "start a cluster and run the same command again; finished results are kept",
        )

    def close(self) -> None:
        """Cancel what is not done; the client is the caller's to close."""
        waiting = list(self._futures.values())
        self._futures.clear()
        if waiting and self._client.status == "running":
            self._client.cancel(waiting, force=True)


def _ours() -> dict[str, str | None]:
    """Return the versions that results depend on: of this package and of what computes."""
    found = vars(versions())
    return {name: found[name] for name in ("motifgpu", "numpy", "scipy", "numba")}


def _process(paths: list[str], job: str, wanted: dict[str, str | None]) -> dict[str, Any]:
    """Do a batch on a worker of the cluster, if it has the versions that run.json names."""
    other = {name: version for name, version in _ours().items() if version != wanted.get(name)}
    if other:
        said = ", ".join(f"{name} {version}, not {wanted.get(name)}" for name, version in other.items())
        return {"refused": f"process {os.getpid()} on {platform.node()}", "versions": said}
    os.environ.setdefault("MOTIFGPU_THREADS", "1")  # the cluster's threads share the processors
    return {"files": process(paths, Job.from_json(job)), "peak_bytes": peak_bytes()}


def connect(scheduler: str) -> Client:
    """Return a client of a running cluster.

    Parameters
    ----------
    scheduler : str
        Its address (``tcp://node1:8786``), or the file that ``dask scheduler --scheduler-file`` wrote.

    Raises
    ------
    StageError
        If Dask is not installed or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise StageError(
            "run", f"Dask is not installed ({error})", "install motifgpu with its extra dask: motifgpu[dask]"
        ) from error
    address = {"scheduler_file" if os.path.exists(scheduler) else "address": scheduler}
    try:
        # As the default, one that found no scheduler would be waited for by all that Dask computes later.
        return Client(**address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise StageError(
            "run", f"no scheduler answers at {scheduler} ({error})", "start one, or check the address"
        ) from error
