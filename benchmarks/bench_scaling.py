"""Time and memory of every stage over the number of columns, and the exponents that fit them.

Each size runs in a process of its own (``python benchmarks/bench_scaling.py COLUMNS THREADS`` prints one), on
a simulated monolayer at 10 counts, once to compile and fill caches on a small one and then for good.
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
LATTICE = 22.0
PATCH = 38


def resident_mb(field: str) -> float:
    """Return a line of /proc/self/status, MB: VmRSS is what is held, VmHWM the most that was."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024


class Meter:
    """Times stages and takes the most memory that each held beyond what was held before it."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what is free would else hide what the stage takes
        Path("/proc/self/clear_refs").write_text("5")  # forgets VmHWM
        held, cpu, wall = resident_mb("VmRSS"), time.process_time(), time.perf_counter()
        yield
        self.stages[name] = {
            "cpu_s": time.process_time() - cpu,
            "wall_s": time.perf_counter() - wall,
            "peak_mb": resident_mb("VmHWM") - held,
        }


def measured(columns: int) -> dict[str, Any]:
    """Run every stage on a micrograph of about so many columns, as far as it goes."""
    from motifgpu import (
        StageError,
        affinity_graph,
        build_hierarchy,
        estimate_patch_size,
        extract_patches,
        find_columns,
        find_motifs,
        fit_lattice,
        motif_cells,
        nearest_neighbors,
        pca_start,
        relax,
        simulate,
        zernike_moments,
    )

    side = round(LATTICE * math.sqrt(columns * math.sqrt(3) / 4)) + PATCH
    made = simulate.monolayer(shape=(side, side), counts=10, vacancies=0.05, divacancies=0.015, seed=0)
    meter = Meter()
    with meter.stage("columns"):
        points = find_columns(made.image).points
    with meter.stage("patch size"):
        estimate_patch_size(made.image)
    with meter.stage("patches"):
        patches, inside = extract_patches(made.image, points, PATCH)
    with meter.stage("moments"):
        moments = zernike_moments(patches)
    del patches
    with meter.stage("neighbors"):
        neighbors = nearest_neighbors(moments, 9)
    with meter.stage("affinity"):
        graph = affinity_graph(neighbors)
    with meter.stage("layout"):
        relax(graph, pca_start(moments))
    with meter.stage("motifs"):
        labels = find_motifs(moments).labels
    found = {"columns": len(labels), "image_px": side, "stages": meter.stages}
    try:
        with meter.stage("lattice"):
            lattice = fit_lattice(points[inside], labels=labels)
        with meter.stage("cells"):
            cells = motif_cells(lattice, labels)
        with meter.stage("hierarchy"):
            build_hierarchy(cells)
    except StageError as error:
        found["failed"] = [str(error)]
    return found


def exponents(rows: list[dict[str, Any]], key: str, least: float) -> dict[str, float | None]:
    """Fit each stage by a power of the number of columns, from where it takes at least `least`."""
    result: dict[str, float | None] = {}
    for stage in rows[0]["stages"]:
        curve = [
            (row["columns"], row["stages"][stage][key])
            for row in rows
            if stage in row["stages"] and row["stages"][stage][key] >= least
        ]
        n, value = np.log(np.array(curve)).T if len(curve) > 1 else (None, None)
        result[stage] = None if n is None else float(np.polyfit(n, value, 1)[0])
    return result


@pytest.mark.quick
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_scaling(quick: bool, full: bool) -> None:
    sizes = SIZES[:3] if quick else (*SIZES, 300_000, 1_000_000) if full else SIZES
    rows: dict[int, list[dict[str, Any]]] = {}
    # What a second thread gains is seen at 100,000 columns; a million take one thread most of an hour.
    for threads, asked in ((1, sizes), (2, sizes[1:2] if quick else SIZES)):
        environment = {**os.environ, **dict.fromkeys(THREADS, str(threads))}
        for n in asked:
            command = [sys.executable, __file__, str(n)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:  # a machine too small for this size; the rest of the curve stands
                print(n, done.stderr)
                why = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
                rows.setdefault(threads, []).append({"asked": n, "failed": why})
                break
            rows.setdefault(threads, []).append({"asked": n, **json.loads(done.stdout)})
    whole = [row for row in rows[1] if "stages" in row]
    figures = {
        "threads": {str(threads): found for threads, found in rows.items()},
        "time exponents": exponents(whole, "cpu_s", 0.003),
        "memory exponents": exponents(whole, "peak_mb", 1.0),
    }
    from benchmarks.results import record

    record("scaling", figures)
    assert len(whole) >= 3
    if not quick:
        steep = {stage: power for stage, power in figures["time exponents"].items() if power and power > 2.1}
        assert not steep, steep


THREADS = ("MOTIFGPU_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")

if __name__ == "__main__":
    measured(600)
    print(json.dumps(measured(int(sys.argv[1]))))
