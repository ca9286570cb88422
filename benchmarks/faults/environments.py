"""Surroundings in which a run may find itself; it does its work or says why not, and loses nothing."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults import disks, permissions
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
MOMENTS = (0.05, 0.15, 0.3, 0.6, 0.9, 1.2, 1.6, 2.0, 2.5, 3.0, 3.5, 4.0)  # s after which a signal is sent


def campaign(folder: Path, number: int) -> dict[str, Any]:
    """Run in surroundings of each kind, with signals, on full disks, and where little may be written or read.

    Returns
    -------
    dict
        How many there were, how the commands ended, every failure in words, and what could not be tried here.
    """
    failures: list[str] = []
    ended: dict[str, str] = {}
    inputs = write_inputs(folder / "in")
    run = dataset.run(inputs, folder / "right", workers=1)
    run.report()
    right = contents(run.path)
    clock = ("a clock that goes backwards", lambda: _backwards(inputs, folder / "out"))
    cases = [*_surroundings(folder), *_signals(folder), clock]
    step = -(-len(cases) // number)
    for name, attempt in cases[::step]:
        try:
            ended[name] = attempt()
            dataset.run(inputs, folder / "out", workers=1)
            if contents(folder / "out") != right:
                failures.append(f"{name}: other bytes after the same command")
        except Exception as error:  # every one is a failure, whatever it is
            failures.append(f"{name}: {type(error).__name__}: {error}")
        shutil.rmtree(folder / "out", ignore_errors=True)
    parts = [
        disks.campaign(inputs, folder / "right", folder, min(number, disks.POINTS)),
        permissions.campaign(folder / "modes", number),
    ]
    for part in parts:
        ended |= part["ended"]
        failures += part["failures"]
    skipped = [part["skipped"] for part in parts if "skipped" in part]
    tried = {*ended, *(text.partition(": ")[0] for text in failures)}
    return {"cases": len(tried), "ended": ended, "skipped": skipped, "failures": failures}


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
