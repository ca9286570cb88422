"""Small datasets for tests of runs, and how two runs are held against each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from motifgpu import simulate

KILLS = int(os.environ.get("MOTIFGPU_KILLS", "4"))  # how often the slow tests kill each kind of process
MANY = 8  # files of a run that is to be killed in the middle
SIDE = 128  # px; small, because what is tested is what happens to files


def write_scan(path: Path, seed: int, side: int = SIDE, vacancies: float = 0.06) -> Path:
    """Write a simulated micrograph as an archive that states its pixel size."""
    made = simulate.monolayer(shape=(side, side), counts=30, vacancies=vacancies, angle=4.0 * seed, seed=seed)
    np.savez(path, image=made.image, pixel_size_nm=made.pixel_size_nm)
    return path


def write_scans(folder: Path, number: int, side: int = SIDE) -> Path:
    """Write simulated micrographs and one file that is none."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(number):
        write_scan(folder / f"scan{seed:02d}.npz", seed, side)
    (folder / "damaged.npy").write_bytes(b"\x93NUMPY no more")
    return folder


def tables(run: Path) -> dict[str, bytes]:
    """Return all that two runs over the same files must agree in, to the byte.

    A worker that is killed while it writes leaves a hidden temporary file, which the next run in the folder
    sweeps.
    """
    kept = [
        *sorted(run.glob("*.parquet")),
        *sorted(run.glob("hierarchy*")),
        run / "quarantine.jsonl",
        *sorted((run / "columns").iterdir()),
        *sorted(path for path in (run / "moments.zarr").rglob("*") if path.is_file()),
    ]
    whole = [path for path in kept if not any(name.endswith(".part") for name in path.relative_to(run).parts)]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in whole}


def records(run: Path) -> dict[str, bytes]:
    """Return the records of the files of a run and of their contents, which have the times of files."""
    kept = [path for name in ("files", "results") for path in sorted((run / name).glob("[0-9a-f]*.json"))]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in kept}


def as_from_a_terminal() -> None:
    """Let signals be what they are there: what tests that ignore them start would ignore them too."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start Python code in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)


def done(out: Path) -> int:
    """Return how many files a run has finished."""
    return len(list((out / "files").glob("[0-9a-f]*.json")))
