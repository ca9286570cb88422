"""Files that are copied, renamed, replaced and shared between runs: each ends in one right table."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults.stores import contents, write_inputs
from motifgpu import dataset
from motifgpu.dataset import tasks

Step = Callable[[Path], object]


def _copy(old: str, new: str) -> Step:
    return lambda folder: shutil.copy(folder / old, folder / new)


def _move(old: str, new: str) -> Step:
    def move(folder: Path) -> None:
        (folder / new).parent.mkdir(exist_ok=True)
        (folder / old).rename(folder / new)

    return move


def _quietly(old: str, new: str) -> Step:
    """Put the content of a file under another name, with the size and time that stood there."""

    def replace(folder: Path) -> None:
        state = (folder / new).stat()
        shutil.copy(folder / old, folder / new)
        os.utime(folder / new, ns=(state.st_atime_ns, state.st_mtime_ns))

    return replace


def _broken(name: str) -> Step:
    return lambda folder: (folder / name).write_bytes(b"no micrograph")


def _swap(one: str, other: str) -> Step:
    def swap(folder: Path) -> None:
        (folder / one).rename(folder / "between")
        (folder / other).rename(folder / one)
        (folder / "between").rename(folder / other)

    return swap


# What is done between two calls of the run; the tables must be those of a run that saw the last state alone.
BETWEEN: dict[str, list[Step]] = {
    "a copy": [_copy("scan0.npz", "copy.npz")],
    "a copy before it in the alphabet": [_copy("scan0.npz", "a.npz")],
    "a rename": [_move("scan0.npz", "z.npz")],
    "a rename of one of two copies": [_move("twin.npz", "other.npz")],
    "a rename into a folder": [_move("scan1.npz", "sub/scan1.npz")],
    "two renames": [_move("scan1.npz", "x.npz"), _move("x.npz", "y.npz")],
    "an exchange": [_swap("scan0.npz", "scan1.npz")],
    "a replacement": [_copy("scan2.npz", "scan1.npz")],
    "a replacement of one of two copies": [_copy("scan2.npz", "twin.npz")],
    "a replacement of the first of two copies": [_copy("scan2.npz", "scan0.npz")],
    "a replacement of equal size and time": [_quietly("scan2.npz", "scan1.npz")],
    "a rename and another in its place": [_move("scan0.npz", "old.npz"), _copy("scan1.npz", "scan0.npz")],
    "a file that becomes none": [_broken("scan1.npz")],
    "a file that is mended": [_copy("scan1.npz", "damaged.npy"), _move("damaged.npy", "mended.npz")],
    "a copy of what is no micrograph": [_copy("damaged.npy", "damaged2.npy")],
    "a copy that is removed": [lambda folder: (folder / "twin.npz").unlink()],
}


def campaign(folder: Path, number: int) -> dict[str, Any]:
    """Go through scenarios, each with plain calls and with shards.

    Returns
    -------
    dict
        How many there were, and every failure in words.
    """
    failures: list[str] = []
    scenes = list(BETWEEN.items())[:number]
    for name, steps in scenes:
        for way in (_called, _sharded):
            here = folder / f"{way.__name__} {name}"
            inputs = write_inputs(here / "in")
            try:
                way(inputs, here / "out")
                for step in steps:
                    step(inputs)
                way(inputs, here / "out")
                fresh = dataset.run(inputs, here / "fresh", workers=1, structure=False).path
                if contents(here / "out") != contents(fresh):
                    failures.append(f"{name}, {way.__name__}: other than a run that saw the last state alone")
            except Exception as error:  # every one is a failure, whatever it is
                failures.append(f"{name}, {way.__name__}: {type(error).__name__}: {error}")
    failures += _during(folder)
    return {"cases": 2 * len(scenes) + 2, "failures": failures}


def _called(inputs: Path, out: Path) -> None:
    dataset.run(inputs, out, workers=1, structure=False)


def _sharded(inputs: Path, out: Path) -> None:
    for i in (1, 2):
        dataset.run(inputs, out, workers=1, structure=False, shard=(i, 2))
    dataset.merge(out)


def _during(folder: Path) -> list[str]:
    """Replace a file while the run reads it, once by new content and once by that of another."""
    failures = []
    real = tasks.read_guarded
    for source in ("scan2.npz", "damaged.npy"):
        here = folder / f"during {source}"
        inputs, calls = write_inputs(here / "in"), []

        def read(path: str, *rest: Any, inputs: Path = inputs, source: str = source, calls: list[str] = calls,
                 **more: Any) -> Any:  # fmt: skip
            found = real(path, *rest, **more)
            if path.endswith("scan1.npz") and not calls:
                calls.append(path)
                shutil.copy(inputs / source, inputs / "scan1.npz")
            return found

        tasks.read_guarded = read  # type: ignore[assignment]
        try:
            _called(inputs, here / "out")
        finally:
            tasks.read_guarded = real
        _called(inputs, here / "fresh")
        if contents(here / "out") != contents(here / "fresh"):
            failures.append(f"replaced by {source} during the run")
    return failures
