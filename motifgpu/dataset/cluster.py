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

import os
import queue
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from motifgpu.core.errors import StageError
from motifgpu.dataset.job import Job
from motifgpu.dataset.memory import peak_bytes
from motifgpu.dataset.tasks import Summary, process

if TYPE_CHECKING:
    from distributed import Client, Future

AHEAD = 2  # batches per thread of a worker, so that none waits for the scheduler
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
        self._futures: dict[int, Future[dict[str, Any]]] = {}
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.peak_bytes = 0
        self.sharers = max(1, self._threads())

    def _threads(self) -> int:
        try:
            return sum(self._client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise self._lost() from error

    def has_room(self, alone: bool) -> bool:
        """Say whether `submit` may be called now."""
        return len(self._futures) < AHEAD * self.sharers

    def submit(self, number: int, paths: Sequence[str], alone: bool) -> None:
        """Take a batch on."""
        future = self._client.submit(
            _process, list(paths), self._job, pure=False, key=f"motifgpu-{os.urandom(8).hex()}"
        )
        self._futures[number] = future
        future.add_done_callback(lambda _: self._done.put(number))

    def wait(self) -> tuple[int, list[Summary] | None]:
        """Wait until a batch is done or given up.

        Raises
        ------
        StageError
            If the scheduler is gone.
        """
        from concurrent.futures import CancelledError

        from distributed.scheduler import KilledWorker

        number = self._next()
        future = self._futures.pop(number)
        self.sharers = max(1, self._threads())
        try:
            answer = future.result(_PATIENCE)
        except KilledWorker:
            return number, None
        except (CancelledError, TimeoutError, OSError) as error:
            raise self._lost() from error
        finally:
            future.release()
        self.peak_bytes = max(self.peak_bytes, answer["peak_bytes"])
        return number, answer["files"]

    def _next(self) -> int:
        silent_since = None
        while True:
            try:
                return self._done.get(timeout=1.0)
            except queue.Empty:
                if self._client.status == "running":
                    silent_since = None
                    continue
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > _PATIENCE or self._client.status == "closed":
                raise self._lost()

    def _lost(self) -> StageError:
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


def _process(paths: list[str], job: str) -> dict[str, Any]:
    """Do a batch on a worker of the cluster."""
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
