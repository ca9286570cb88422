"""Measure what the stages of an analysis take, for `motifgpu.planning.cost`.

Run it with ``python -m motifgpu.planning.calibration FILE``; what the package has is in ``calibration.json``.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits

from motifgpu import simulate
from motifgpu.analysis import Analysis
from motifgpu.core import device
from motifgpu.core.files import write_text
from motifgpu.pipeline import STAGES, analyze
from motifgpu.planning.cost import SAVED, quantities

# Rows, columns and pixels a lattice constant: small and large, coarse and fine.
SIZES = ((256, 256, 22), (384, 512, 30), (512, 512, 11), (512, 640, 22), (768, 768, 40), (1024, 1024, 22))
# What the time and the memory of each stage grow with.
_SECONDS: Mapping[str, Sequence[str]] = {
    "columns": ("once", "pixels", "columns"),
    "patch size": ("once", "pixels"),
    "moments": ("once", "samples", "moments"),
    "neighbors": ("once", "moments", "pairs"),
    "affinity": ("once", "edges"),
    "layout": ("once", "pulls"),
    "motifs": ("once", "columns", "moments"),
    "averages": ("once", "samples", "columns"),
    "structure": ("once", "columns"),
}
_BYTES: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("columns", "patch size"), ("once", "pixels", "columns")),
    **dict.fromkeys(STAGES[2:], ("once", "pixels", "samples", "moments", "edges")),
    SAVED: ("once", "pixels", "moments", "edges"),
}


def _watched(image: np.ndarray, read: Callable[[], float]) -> tuple[Analysis, list[float]]:
    """Analyse, and take a reading before each stage and at the end."""
    readings = []
    found = analyze(image, progress=lambda stage, fraction: readings.append(read()))
    return found, [*readings, read()]


def _peak() -> float:
    """Return the most memory held since the last reading."""
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    return float(peak)


def measure(rows: int, cols: int, lattice_constant: float) -> dict[str, dict[str, float]]:
    """Analyse one simulated micrograph and return its quantities, and seconds and bytes by stage."""
    made = simulate.monolayer(
        "MoSe2",
        (rows, cols),
        lattice_constant=lattice_constant,
        counts=30,
        vacancies=0.05,
        dopants={"W": 0.03},
        seed=0,
    )
    times = [np.diff(_watched(made.image, time.process_time)[1]) for _ in range(3)]
    tracemalloc.start()
    found, peaks = _watched(made.image.copy(), _peak)
    tracemalloc.stop()
    with tempfile.TemporaryDirectory() as folder:
        saved = found.save(Path(folder) / "analysis").stat().st_size
    given = found.parameters
    columns = len(found.points)
    size = quantities(rows * cols, columns, given["patch_samples"], given["order"], given["n_neighbors"])
    return {
        "size": size,
        "seconds": dict(zip(STAGES, np.min(times, axis=0).tolist(), strict=True)),
        "bytes": {**dict(zip(STAGES, peaks[1:], strict=True)), SAVED: float(saved)},
    }


def fit(measured: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Fit what each stage takes by what it grows with: no less than zero of each, least relative squares."""
    stages: dict[str, dict[str, dict[str, float]]] = {}
    for what, terms in (("seconds", _SECONDS), ("bytes", _BYTES)):
        for name, grows_with in terms.items():
            value = np.array([one[what][name] for one in measured])
            table = np.array([[one["size"][term] for term in grows_with] for one in measured])
            scale = table.max(axis=0)
            weights, _ = nnls(table / scale / value[:, None], np.ones(len(value)))
            kept = dict(zip(grows_with, (weights / scale).tolist(), strict=True))
            stages.setdefault(name, {})[what] = {term: c for term, c in kept.items() if c > 0}
    return stages


def calibrate(path: str | os.PathLike[str]) -> Path:
    """Measure on this machine, one thread, and write a calibration for `motifgpu.plan`.

    Parameters
    ----------
    path : path-like
        The file to write, JSON.

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If it cannot be written.
    """
    before = os.environ.get("MOTIFGPU_THREADS")
    os.environ["MOTIFGPU_THREADS"] = "1"
    try:
        with threadpool_limits(limits=1):
            measure(*SIZES[0])  # compiles
            measured = [measure(*size) for size in SIZES]
    finally:
        os.environ.pop("MOTIFGPU_THREADS")
        if before is not None:
            os.environ["MOTIFGPU_THREADS"] = before
    content = {
        "backend": "numpy",
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "versions": vars(device.versions()),
        "measured": measured,
        "stages": fit(measured),
    }
    return write_text(path, json.dumps(content, indent=1) + "\n")


def _processor() -> str:
    """Return the name of the CPU."""
    about = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*:\s*(.+)", about.read_text()) if about.exists() else None
    return named.group(1).strip() if named else platform.processor() or platform.machine()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m motifgpu.planning.calibration FILE")
    print(calibrate(sys.argv[1]))
