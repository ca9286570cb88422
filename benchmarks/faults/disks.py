"""Disks that are full or may only be read: small ones of memory, in a mount namespace of their own.

``unshare -rm python -m benchmarks.faults.disks INPUTS RIGHT FOLDER POINTS`` mounts them, which changes
nothing outside that process. `campaign` starts it, where the system allows it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults.stores import FILES, contents
from motifgpu import Run, dataset
from motifgpu.core.errors import StageError
from motifgpu.store import layout

LONGEST = 120  # s for one disk
POINTS = 20
_SMALLEST = 8  # KiB
_ENOUGH = "64m"


def campaign(inputs: Path, right: Path, folder: Path, points: int = POINTS) -> dict[str, Any]:
    """Run on disks that are full after a few KiB or at the last file, and on one that may only be read.

    Returns
    -------
    dict
        How each ended, every failure in words, and why none could be tried where that is so.
    """
    here = ["unshare", "-rm", sys.executable, "-m", "benchmarks.faults.disks"]
    words = [*map(str, (inputs, right, folder)), str(points)]
    try:
        done = subprocess.run([*here, *words], capture_output=True, text=True, timeout=LONGEST * (points + 2))
    except FileNotFoundError as error:
        return {"ended": {}, "failures": [], "skipped": f"no disk could be mounted: {error}"}
    if done.returncode == _NO_MOUNT or "unshare failed" in done.stderr:
        return {"ended": {}, "failures": [], "skipped": f"no disk could be mounted: {done.stderr.strip()}"}
    if done.returncode:
        return {"ended": {}, "failures": [f"disks: {done.stderr.strip()[-500:]}"]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


_NO_MOUNT = 77


def _mount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)


def _remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def _kept(out: Path) -> int:
    """Return how many contents are finished."""
    return len(list((out / layout.RESULTS).glob("[0-9a-f]*.json")))


def _full(disk: Path, inputs: Path, workers: int) -> str:
    """Run until the disk is full, give it room, and run again; say how the first ended.

    Raises
    ------
    AssertionError
        If it ended without the reason, or something finished was done again.
    """
    out = disk / "out"
    try:
        dataset.run(inputs, out, workers=workers).report()
        ended = "done"
    except (StageError, OSError) as error:
        if "No space left" not in str(error):
            raise
        ended = f"said that no space is left, with {_kept(out)} contents done"
    left = sorted(path.name for path in out.rglob("*.part"))
    assert not left, f"it left {left}"
    kept = _kept(out)
    _remount(disk, f"size={_ENOUGH}")
    again = dataset.run(inputs, out, workers=workers).about
    assert again["last_call"]["files"] <= again["found"]["micrographs"] + 1 - kept, (
        "what was there was done again"
    )
    return ended


def _read_only(disk: Path, inputs: Path) -> str:
    """Run on a disk that becomes one for reading alone while a file is missing, and then again.

    Raises
    ------
    AssertionError
        If something did not end in words, or what was there cannot be read.
    """
    out = disk / "out"
    dataset.run([path for path in sorted(inputs.iterdir()) if path.name != "scan2.npz"], out, workers=1)
    before = contents(out)
    _remount(disk, "ro")
    actions: list[Callable[[], object]] = [
        lambda: dataset.run(inputs, out, workers=1),
        lambda: dataset.merge(out),
        lambda: Run(out).report(),
    ]
    for action in actions:
        try:
            action()
        except (StageError, OSError) as error:
            if "Read-only file system" not in str(error):
                raise
        else:
            raise AssertionError("it wrote where nothing can be written")
    assert contents(out) == before
    assert not dataset.check(out).damage
    assert len(Run(out).micrographs) == FILES
    _remount(disk, "rw")
    dataset.run(inputs, out, workers=1)
    return "said that the file system is for reading alone"


def main(inputs: Path, right: Path, folder: Path, points: int) -> int:
    """Mount the disks, one after the other, and print what came of each as JSON."""
    disk = folder / "disk"
    disk.mkdir()
    try:
        _mount(disk, f"size={_ENOUGH}")
    except subprocess.CalledProcessError:
        return _NO_MOUNT
    subprocess.run(["umount", str(disk)], check=True)
    expected = contents(right)
    most = sum(-(-path.stat().st_size // 4096) * 4 for path in right.rglob("*") if path.is_file())
    step = (1.05 * most - _SMALLEST) / max(1, points - 1)
    cases: list[tuple[str, str, Callable[[], str]]] = []
    for k in range(points):
        size, workers = round(_SMALLEST + k * step), 1 + (k % 5 == 4)
        said = f"a disk of {size} KiB" + (", two workers" if workers > 1 else "")
        cases.append((said, f"size={size}k", lambda workers=workers: _full(disk, inputs, workers)))
    cases.append(("a disk for reading alone", f"size={_ENOUGH}", lambda: _read_only(disk, inputs)))
    ended, failures = {}, []
    for name, options, attempt in cases:
        _mount(disk, options)
        signal.alarm(LONGEST)  # which ends this process, and with it the campaign in words
        try:
            ended[name] = attempt()
            if contents(disk / "out") != expected:
                failures.append(f"{name}: other bytes after the same command")
        except Exception as error:  # every one is a failure, whatever it is
            failures.append(f"{name}: {type(error).__name__}: {error}")
        signal.alarm(0)
        subprocess.run(["umount", str(disk)], check=True)
    print(json.dumps({"ended": ended, "failures": failures}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:4]), int(sys.argv[4])))
