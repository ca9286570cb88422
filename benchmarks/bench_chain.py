"""The whole chain, from image to labels, against the paper authors' package in the same run; and start-up."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.results import record
from motifgpu import analyze, simulate

ROUNDS = 5


def _cpu(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _motif_learn(image: np.ndarray, lattice: float, brightest: int | None = None) -> None:
    """Run the peer's chain, told the lattice constant and the number of classes that it cannot find out.

    It takes noise in the hollow sites for columns, half as many again as there are. Given `brightest` it
    knows which of its maxima are columns, and all that follows takes the shorter for it.
    """
    from mtflearn.clustering import kmeans_lbs
    from mtflearn.denoise._denoise_svd import denoise_svd
    from mtflearn.features import KeyPoints, ZPs, local_max
    from mtflearn.manifold import ForceGraph8

    clean = denoise_svd(image, patch_size=round(lattice), n_components=12, verbose=False)
    points = np.asarray(local_max(clean, min_distance=round(0.25 * lattice)))
    order = np.argsort(-clean[points[:, 1], points[:, 0]], kind="stable")
    keys = KeyPoints(points[order[:brightest]], image, round(np.sqrt(3) * lattice))
    moments = np.asarray(ZPs(n_max=10, size=keys.size).fit_transform(keys.extract_patches()).data)
    kmeans_lbs(ForceGraph8().fit_transform(moments), 5)


@pytest.mark.quick
@pytest.mark.parametrize("counts", [3.0, 30.0])
def test_chain(counts: float) -> None:
    truth = simulate.monolayer(
        counts=counts, angle=11, vacancies=0.05, divacancies=0.015, dopants={"W": 0.03}, seed=1
    )
    chains = {
        "motifgpu": lambda: analyze(truth.image, structure=False),  # which the peer does not do
        "motif_learn": lambda: _motif_learn(truth.image, 22.0),
        "motif_learn_told_its_columns": lambda: _motif_learn(truth.image, 22.0, len(truth.points)),
    }
    with threadpool_limits(1):
        for chain in chains.values():
            chain()  # compile and fill the caches
        seconds: dict[str, list[float]] = {name: [] for name in chains}
        for _ in range(ROUNDS):
            for name, chain in chains.items():
                seconds[name].append(_cpu(chain))
    median = {name: statistics.median(values) for name, values in seconds.items()}
    figures = {
        "counts": counts,
        "cpu_s": median,
        "ratio": median["motif_learn"] / median["motifgpu"],
        "ratio_told_its_columns": median["motif_learn_told_its_columns"] / median["motifgpu"],
        "stages_s": dict(analyze(truth.image).timings),
    }
    print(figures)
    record(f"chain_{counts:g}_counts", figures)
    assert figures["ratio"] >= 5


def test_start(tmp_path: Path) -> None:
    image = tmp_path / "image.npy"
    np.save(image, simulate.monolayer(counts=30, vacancies=0.05, seed=2).image)
    # Nothing is compiled but the bytecode of Python, which pip compiles.
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    analyze_it = ["analyze", "-q", str(image), "-o", str(tmp_path / "out")]
    seconds = {}
    for name, arguments in (("cold", analyze_it), ("second", analyze_it), ("help_cpu", ["--help"])):
        before = os.times()
        command = [sys.executable, "-m", "motifgpu", *arguments]
        subprocess.run(command, check=True, env=environment, capture_output=True)
        after = os.times()
        seconds[name] = (after.children_user + after.children_system) - (
            before.children_user + before.children_system
        )
    print(seconds)
    record("start", seconds)
    assert seconds["cold"] < 12
    assert seconds["second"] < 6.5  # of which two thirds draw the report
    assert seconds["help_cpu"] < 0.3
