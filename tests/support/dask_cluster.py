"""A Dask cluster of processes, which may be killed, and a run on it in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from .datasets import wait_until

RUN = """
import sys
from motifgpu import dataset
from motifgpu.dataset.cluster import connect
from motifgpu.core.errors import StageError
with connect(sys.argv[3]) as client:
    try:
        dataset.run(sys.argv[1], sys.argv[2], client=client)
    except StageError as error:
        print(error, file=sys.stderr)
        import os
        os._exit(5)
"""


class Cluster:
    """A scheduler and two workers of one thread, as processes of their own."""

    def __init__(self, folder: Path, files: Path) -> None:
        self.file = folder / "scheduler.json"
        self.file.unlink(missing_ok=True)
        self._folder = folder
        self._environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "POISON": str(files / "scan03.npz"),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s",
        }
        self.scheduler = self._start("scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
        wait_until(self.file.exists)
        self.workers = [
            self._start("worker", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1")
            for _ in range(2)
        ]

    def _start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        place = ["--local-directory", str(self._folder)] if what == "worker" else []
        command = ["-m", "dask", what, "--scheduler-file", str(self.file), *options, *place]
        return subprocess.Popen(
            [sys.executable, *command],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill_a_worker(self) -> None:
        """Kill the process that works for the first nanny, which will start another."""
        nanny = self.workers[0].pid
        found = subprocess.run(["pgrep", "-P", str(nanny)], capture_output=True, text=True)
        for child in found.stdout.split():
            os.kill(int(child), signal.SIGKILL)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()
