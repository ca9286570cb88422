"""Surroundings in which a run may find itself; it does its work or says why not, and loses nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.stores import contents, write_inputs
from motifgpu import dataset

LONGEST = 180.0  # s
_PYTHON = f"exec {sys.executable} -m motifgpu run in -o out -q --no-report --workers"
# Shell lines before the command, and the number of workers.
SURROUNDINGS: dict[str, tuple[str, int]] = {
    "no home": ("unset HOME;", 1),
    "a home that is no folder": ("export HOME=/dev/null;", 1),
    "no temporary folder": ("export TMPDIR=/nowhere;", 2),
    "no locale": ("export LC_ALL=C;", 2),
    "32 open files": ("ulimit -n 32;", 2),
    "300 MB of memory": ("ulimit -v 300000;", 1),
    "900 MB of memory": ("ulimit -v 900000;", 2),
    "1.5 GB of memory": ("ulimit -v 1500000;", 2),
    "no standard error": ("exec 2>&-;", 1),
    "no standard output": ("exec >&-;", 1),
    "no standard input": ("exec <&-;", 2),
    "no files that are large": ("ulimit -f 100;", 1),
}
MOMENTS = (0.3, 0.6, 0.9, 1.2, 1.6, 2.0, 2.5, 3.0, 3.5, 4.0)  # s after which a signal is sent
FULL = tuple(range(0, 40, 2))  # writes to the disk after which it is full


def campaign(folder: Path, number: int) -> dict[str, Any]:
    """Run in surroundings of each kind, on full disks, and with signals.

    Returns
    -------
    dict
        How many there were, how the commands ended, and every failure in words.
    """
    failures: list[str] = []
    ended: dict[str, str] = {}
    inputs = write_inputs(folder / "in")
    right = contents(dataset.run(inputs, folder / "right", workers=1).path)
    clock = ("a clock that goes backwards", lambda: _backwards(inputs, folder / "out"))
    cases = [*_surroundings(folder), *_signals(folder), *_disks(folder, inputs), clock]
    step = max(1, len(cases) // number)
    for name, attempt in cases[::step]:
        try:
            ended[name] = attempt()
            dataset.run(inputs, folder / "out", workers=1)
            if contents(folder / "out") != right:
                failures.append(f"{name}: other bytes after the same command")
        except Exception as error:  # every one is a failure, whatever it is
            failures.append(f"{name}: {type(error).__name__}: {error}")
        shutil.rmtree(folder / "out", ignore_errors=True)
    return {"cases": len(cases[::step]), "ended": ended, "failures": failures}


def _surroundings(folder: Path) -> Iterator[tuple[str, Any]]:
    for name, (before, workers) in SURROUNDINGS.items():

        def attempt(line: str = f"{before} {_PYTHON} {workers}") -> str:
            done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, timeout=LONGEST)
            said = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
            if done.returncode not in (0, 1, 3) or any("Traceback" in text for text in said):
                raise AssertionError(f"exit code {done.returncode}: {said[-3:]}")
            return f"exit code {done.returncode}"

        yield name, attempt


def _signals(folder: Path) -> Iterator[tuple[str, Any]]:
    for number in (signal.SIGTERM, signal.SIGHUP):
        for moment in MOMENTS:

            def attempt(number: int = number, moment: float = moment) -> str:
                command = ["bash", "-c", f"{_PYTHON} 2"]
                process = subprocess.Popen(
                    command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
                )
                time.sleep(moment)
                process.send_signal(number)
                _, said = process.communicate(timeout=LONGEST)
                if process.returncode not in (0, 3, 130, -number):
                    raise AssertionError(f"exit code {process.returncode}: {said[-300:]!r}")
                if process.returncode == 130 and b"the same command" not in said:
                    raise AssertionError(f"it said nothing of the run: {said!r}")
                return f"exit code {process.returncode}"

            yield f"{signal.Signals(number).name} after {moment:g} s", attempt


def _disks(folder: Path, inputs: Path) -> Iterator[tuple[str, Any]]:
    for writes in FULL:

        def attempt(writes: int = writes) -> str:
            real, calls = os.fsync, []

            def full(descriptor: int) -> None:
                calls.append(descriptor)
                if len(calls) > writes:
                    raise OSError(28, "No space left on device")
                real(descriptor)

            os.fsync = full  # type: ignore[assignment]
            try:
                dataset.run(inputs, folder / "out", workers=1)
            except (ValueError, OSError) as error:
                if "No space left" not in str(error):
                    raise
                return "said that no space is left"
            finally:
                os.fsync = real
            return "done"

        yield f"a disk that is full after {writes} writes", attempt


def _backwards(inputs: Path, out: Path) -> str:
    real, calls = time.time, []

    def earlier() -> float:
        calls.append(None)
        return real() - 60.0 * len(calls)

    time.time = earlier
    try:
        dataset.run(inputs, out, workers=1)
    finally:
        time.time = real
    return "done"
