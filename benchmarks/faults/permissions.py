"""Folders and files that may only be read, or not even that, by whom the system does not let pass."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.faults.stores import contents, write_inputs
from motifgpu import dataset
from motifgpu.store import layout

LONGEST = 180.0  # s
_DROPPED = "-dac_override,-dac_read_search"  # what lets the superuser write and read everywhere


def unprivileged() -> list[str] | None:
    """Return words before a command that may not write everywhere; None where that cannot be had."""
    if os.name != "posix":
        return None
    if os.geteuid() != 0:
        return []
    words = ["setpriv", f"--bounding-set={_DROPPED}", "--"]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o500)
        try:
            probe = subprocess.run([*words, "touch", f"{folder}/x"], capture_output=True)
        except FileNotFoundError:
            return None
        return words if b"Permission denied" in probe.stderr else None


class _Case(NamedTuple):
    """What is forbidden, the command that is then tried, and what may come of it.

    Attributes
    ----------
    closed : callable
        Takes the folder of all and returns the paths that get another mode, and the mode.
    command : str
        Of motifgpu, called in that folder.
    code : int
    told : str
        Stands in what it says.
    """

    closed: Callable[[Path], tuple[list[Path], int]]
    command: str
    code: int
    told: str = ""


def _below(root: Path) -> list[Path]:
    """Return a folder with all that is in it, what is deepest first."""
    return sorted((root, *root.rglob("*")), key=lambda path: -len(path.parts))


_RUN = "run in -o out -q --workers 1 --no-report"
_DENIED = "Permission denied"
# Where there is no run yet, and where there is one over all files but the last.
FRESH: dict[str, _Case] = {
    "inputs for reading alone": _Case(lambda f: (_below(f / "in"), 0o555), _RUN, 3, "out: complete"),
    "an input that cannot be read": _Case(
        lambda f: ([f / "in" / "scan1.npz"], 0), _RUN, 3, f"scan1.npz: {_DENIED}"
    ),
    "a folder of inputs that cannot be searched": _Case(
        lambda f: ([f / "in" / "sub"], 0), _RUN, 3, f"in/sub: {_DENIED}"
    ),
    "no folder can be made": _Case(lambda f: ([f], 0o555), _RUN, 1, _DENIED),
    "no home and no temporary file can be written": _Case(
        lambda f: ([f / "home"], 0o555), _RUN.replace("1", "2"), 3, "out: complete"
    ),
}
THERE: dict[str, _Case] = {
    "a run for reading alone": _Case(lambda f: (_below(f / "out"), 0o555), _RUN, 1, _DENIED),
    "its moments cannot be written": _Case(lambda f: ([f / "out" / "moments.zarr"], 0o555), _RUN, 1, _DENIED),
    "its records cannot be written": _Case(lambda f: ([f / "out" / "files"], 0o555), _RUN, 1, _DENIED),
    "its tables cannot be written": _Case(lambda f: ([f / "out"], 0o555), _RUN, 1, _DENIED),
    "its report cannot be written": _Case(lambda f: ([f / "out"], 0o555), "report out -q", 1, _DENIED),
    "it is checked": _Case(lambda f: (_below(f / "out"), 0o555), "check out -q", 0, "all is as it was"),
    "it is merged": _Case(
        lambda f: (_below(f / "out"), 0o555), "merge out -o both -q --no-report", 3, "both: "
    ),
    "it is exported": _Case(lambda f: (_below(f / "out"), 0o555), "export out all.csv -q", 0),
    "it cannot be searched": _Case(lambda f: ([f / "out"], 0), "check out -q", 1, _DENIED),
    "a result cannot be read": _Case(
        lambda f: (sorted((f / "out" / "columns").iterdir())[:1], 0), "check out -q", 1, "cannot be read"
    ),
}


def campaign(folder: Path, number: int) -> dict[str, Any]:
    """Forbid what each case names, try its command, allow it again and run over everything.

    Returns
    -------
    dict
        How each ended, every failure in words, and why none could be tried where that is so.
    """
    words = unprivileged()
    if words is None:
        return {"ended": {}, "failures": [], "skipped": "whoever works here may write everywhere"}
    inputs = write_inputs(folder / "in")
    (inputs / "sub").mkdir()
    (inputs / "scan2.npz").rename(inputs / "sub" / "scan2.npz")
    (folder / "home").mkdir()
    right = _results(dataset.run(inputs, folder / "right", workers=1).path)
    before = [path for path in sorted(inputs.glob("*.np*")) if path.name != "twin.npz"]
    dataset.run(before, folder / "before", workers=1)
    ended: dict[str, str] = {}
    failures: list[str] = []
    cases = [*FRESH.items(), *THERE.items()]
    for name, case in cases[:: -(-len(cases) // number)]:
        if name in THERE:
            shutil.copytree(folder / "before", folder / "out")
        try:
            ended[name] = _tried(case, folder, words)
            dataset.run(inputs, folder / "out", workers=1)
            if _results(folder / "out") != right:
                failures.append(f"{name}: other bytes after the same command")
        except Exception as error:  # every one is a failure, whatever it is
            failures.append(f"{name}: {type(error).__name__}: {error}")
        for made in ("out", "both"):
            shutil.rmtree(folder / made, ignore_errors=True)
    return {"ended": ended, "failures": failures}


def _results(out: Path) -> dict[str, str]:
    """Return the contents of a run but for its records, which have the times of the modes of its inputs."""
    records = (f"{layout.FILES}/", f"{layout.RESULTS}/")
    return {name: sha256 for name, sha256 in contents(out).items() if not name.startswith(records)}


def _tried(case: _Case, folder: Path, words: list[str]) -> str:
    paths, mode = case.closed(folder)
    modes = [path.stat().st_mode for path in paths]
    for path in paths:
        path.chmod(mode)
    try:
        done = subprocess.run(
            [*words, sys.executable, "-m", "motifgpu", *case.command.split()],
            **{"cwd": folder, "capture_output": True, "text": True, "timeout": LONGEST},
            env={**os.environ, "HOME": str(folder / "home"), "TMPDIR": str(folder / "home")},
        )
    finally:
        for path, usual in zip(paths[::-1], modes[::-1], strict=True):
            path.chmod(usual)
    said = done.stdout + done.stderr
    if done.returncode != case.code or case.told not in said or "Traceback" in said:
        raise AssertionError(f"exit code {done.returncode}: {said[-300:]}")
    return f"exit code {done.returncode}"
