"""Processes of every kind that are killed at random moments; the same command then gives the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults.stores import contents, write_inputs
from motifgpu import check, dataset
from motifgpu.store import layout

LONGEST = 180.0  # s that one command may take on a busy machine


def _command(*words: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "motifgpu", *map(str, words), "-q"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _run(inputs: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    return _command("run", inputs, "-o", out, "--no-report", *more)


def _done(out: Path) -> int:
    return len(list((out / layout.FILES).glob("*.json")))


def _await(out: Path, files: int, process: subprocess.Popen[bytes], begun: bool = False) -> None:
    """Wait until a command has done some files, and with `begun` until it has begun."""
    end = time.monotonic() + LONGEST
    while process.poll() is None and (_done(out) < files or (begun and not (out / layout.RUN).exists())):
        if time.monotonic() > end:
            raise TimeoutError(f"{files} files were not done in {LONGEST:g} s")
        time.sleep(0.005)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


def _whole(inputs: Path, out: Path, moment: random.Random) -> None:
    """Kill the run itself."""
    process = _run(inputs, out, "--workers", str(moment.choice((1, 2))))
    _await(out, moment.randrange(0, 4), process)
    time.sleep(0.3 * moment.random())
    _end(process)


def _worker(inputs: Path, out: Path, moment: random.Random) -> None:
    """Kill a worker, which the run survives."""
    process = _run(inputs, out, "--workers", "2")
    _await(out, 1, process)
    found = subprocess.run(["pgrep", "-P", str(process.pid), "-f", "worker"], capture_output=True, text=True)
    for child in found.stdout.split()[: moment.choice((1, 2))]:
        os.kill(int(child), signal.SIGKILL)
    if process.wait(LONGEST) not in (0, 3):
        raise AssertionError(f"the run ended with {process.returncode}")


def _merge(inputs: Path, out: Path, moment: random.Random) -> None:
    """Kill the merge of two folders."""
    for i in (1, 2):
        dataset.run(inputs, out.with_name(f"{out.name}-{i}"), workers=1, shard=(i, 2))
    parts = [out.with_name(f"{out.name}-{i}") for i in (1, 2)]
    process = _command("merge", *parts, "-o", out, "--no-report")
    _await(out, moment.randrange(0, 4), process)
    time.sleep(0.1 * moment.random())
    _end(process)
    dataset.merge(parts, out)


def _watch(inputs: Path, out: Path, moment: random.Random) -> None:
    """Kill a watch."""
    process = _run(inputs, out, "--workers", "1", "--watch")
    _await(out, moment.randrange(0, 4), process)
    time.sleep(0.3 * moment.random())
    _end(process)


def _check(inputs: Path, out: Path, moment: random.Random) -> None:
    """Kill a repair."""
    dataset.run(inputs, out, workers=1)
    for path in (*(out / layout.DETAILS).iterdir(), out / layout.COUNTS):
        path.unlink()
    process = _command("check", out, "--repair", "--workers", "1")
    time.sleep(1.0 + 2.0 * moment.random())
    _end(process)
    check(out, repair=True, workers=1)


def _dask(inputs: Path, out: Path, moment: random.Random, scheduler: bool) -> None:
    """Kill a worker of a Dask cluster, which the run survives, or its scheduler."""
    from tests.support.dask_cluster import RUN, Cluster

    cluster = Cluster(out.parent, inputs / "none.npz")
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(inputs), str(out), str(cluster.file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _await(out, moment.randrange(0, 3), process, begun=True)
        time.sleep(0.3 * moment.random())
        if scheduler:
            cluster.scheduler.kill()
        else:
            cluster.kill_a_worker()
        if process.wait(LONGEST) not in (0, 5 if scheduler else 0):
            raise AssertionError(f"the run ended with {process.returncode}")
    finally:
        cluster.close()


KINDS: dict[str, Callable[[Path, Path, random.Random], None]] = {
    "the process": _whole,
    "workers": _worker,
    "merge": _merge,
    "watch": _watch,
    "check --repair": _check,
    "Dask workers": partial(_dask, scheduler=False),
    "Dask scheduler": partial(_dask, scheduler=True),
}


def campaign(folder: Path, number: int) -> dict[str, Any]:
    """Kill processes of each kind, `number` in all.

    Returns
    -------
    dict
        How many there were, and every failure in words.
    """
    inputs = write_inputs(folder / "in")
    right = contents(dataset.run(inputs, folder / "right", workers=1).path)
    failures: list[str] = []
    for k in range(number):
        name = list(KINDS)[k % len(KINDS)]
        out = folder / f"{k}"
        try:
            KINDS[name](inputs, out, random.Random(k))
            dataset.run(inputs, out, workers=1)
            if contents(out) != right:
                failures.append(f"{name} {k}: other bytes after the same command")
        except Exception as error:  # every one is a failure, whatever it is
            failures.append(f"{name} {k}: {type(error).__name__}: {error}")
        shutil.rmtree(out, ignore_errors=True)
    return {"cases": number, "failures": failures}
