"""A run over a folder of files that were made to do harm, and what people do with stores that were."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.faults.stores import write_inputs
from motifgpu import Run, StageError, dataset
from motifgpu.core.files import real_path
from tests.support import hostile_files, hostile_stores

LONGEST = 600.0  # s for all files
MEMORY = 2600  # MiB that any process may have: what a reader gets, and what it has with its imports
FILES = {**hostile_files.PLAIN, **hostile_files.SPECIAL, **hostile_files.MICROSCOPE}


def campaign(folder: Path, number: int) -> dict[str, Any]:
    """Run over the files, all at once, and do with each store what people do with one they are given.

    Returns
    -------
    dict
        How many there were, how many files became a row or a line of quarantine, the most memory that a
        process had, and every failure in words.
    """
    step = max(1, len(FILES) // number)
    files, stores = dict(list(FILES.items())[::step]), list(hostile_stores.CRAFTED)[::step]
    found, failures = _files(folder / "files", files)
    scans = write_inputs(folder / "scans")
    whole = dataset.run(scans, folder / "whole", workers=1).path
    failures += [
        said for name in stores for said in _store(name, whole, scans, folder / name.replace("/", " "))
    ]
    return {"cases": len(files) + len(stores), "stores": len(stores), **found, "failures": failures}


def _state(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*"))


def _files(folder: Path, files: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Run over files of all kinds with good ones among them, and count what became of each."""
    inputs, outside = write_inputs(folder / "in"), folder / "outside"
    outside.mkdir()
    (outside / "secret.raw").write_bytes(b"secret" * 248)
    for name, write in files.items():
        write(inputs / name)
    before = _state(outside), _state(inputs)
    words = ["run", "in", "-o", "out", "-q", "--no-report", "--workers", "2", "--time-limit", "20"]
    process = subprocess.Popen(
        [sys.executable, "-m", "motifgpu", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    clock = threading.Timer(LONGEST, process.kill)
    clock.start()
    said = process.stderr.read().decode() if process.stderr else ""
    _, status, used = os.wait4(process.pid, 0)  # with what its workers and their readers used
    clock.cancel()
    most = used.ru_maxrss // 1024
    failures = []
    if os.waitstatus_to_exitcode(status) != 3 or "Traceback" in said:
        failures.append(f"the run ended with {os.waitstatus_to_exitcode(status)}: {said[-300:]}")
    if most > MEMORY:
        failures.append(f"a process had {most} MiB")
    if (_state(outside), _state(inputs)) != before:
        failures.append("something beside the folder of the run was touched")
    run = Run(folder / "out")
    rows = Counter(Path(real_path(path)).name for path in run.micrographs["source"].to_pylist())
    lines = Counter(Path(real_path(line["path"])).name for line in run.quarantine if line["reason"])
    for path in inputs.iterdir():
        if not path.is_dir() and rows[path.name] + lines[path.name] != 1:
            failures.append(f"{path.name}: {rows[path.name]} rows and {lines[path.name]} lines of quarantine")
    return {"rows": rows.total(), "quarantined": lines.total(), "most_mib": most}, failures


def _store(what: str, whole: Path, scans: Path, folder: Path) -> list[str]:
    """Do with a crafted store what people do with one; return what went wrong."""
    store, precious = hostile_stores.prepare(what, whole, folder)
    before = _state(precious)
    failures = []
    for number, action in enumerate(hostile_stores.actions(store, whole, scans, folder)):
        try:
            action()
        except StageError:
            continue
        except Exception as error:  # every other one is a failure
            failures.append(f"{what}, action {number}: {type(error).__name__}: {error}")
    if _state(precious) != before:
        failures.append(f"{what}: something outside of the folder was touched")
    shutil.rmtree(folder)
    return failures
