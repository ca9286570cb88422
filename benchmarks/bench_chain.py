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
from results import record
from threadpoolctl import threadpool_limits

from motifgpu import analyze, simulate

ROUNDS = 5


def _cpu(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _motif_learn(image: np.ndarray, lattice: float) -> None:
    """Run the peer's chain with what it cannot find out itself given to it."""
    from mtflearn.clustering import kmeans_lbs
    from mtflearn.denoise import denoise_svd
    from mtflearn.features import KeyPoints, ZPs, local_max
    from mtflearn.manifold import ForceGraph8

    clean = denoise_svd(image, patch_size=round(lattice), n_components=12, verbose=False)
    points = local_max(clean, min_distance=round(0.25 * lattice), plot=False)
    side = round(np.sqrt(3) * lattice)
    keys = KeyPoints(points, image, side)
    moments = np.asarray(ZPs(n_max=10, size=side).fit_transform(keys.extract_patches()).data)
    kmeans_lbs(ForceGraph8().fit_transform(moments), 5)


@pytest.mark.parametrize("counts", [3.0, 30.0])
def test_chain(counts: float) -> None:
    truth = simulate.monolayer(
        counts=counts, angle=11, vacancies=0.05, divacancies=0.015, dopants={"W": 0.03}, seed=1
    )
    with threadpool_limits(1):
        analyze(truth.image)
        _motif_learn(truth.image, 22.0)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(_cpu(lambda: analyze(truth.image)))
            theirs.append(_cpu(lambda: _motif_learn(truth.image, 22.0)))
    ratio = statistics.median(t / o for t, o in zip(theirs, ours, strict=True))
    figures = {
        "motifgpu_cpu_s": statistics.median(ours),
        "motif_learn_cpu_s": statistics.median(theirs),
        "ratio": ratio,
        "counts": counts,
        "stages_s": analyze(truth.image).timings,
    }
    print(figures)
    record(f"chain_{counts:g}_counts", figures)
    assert ratio >= 5


def test_start(tmp_path: Path) -> None:
    image = tmp_path / "image.npy"
    np.save(image, simulate.monolayer(counts=30, vacancies=0.05, seed=2).image)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    seconds = {}
    for name in ("cold", "second"):
        start = time.perf_counter()
        command = [sys.executable, "-m", "motifgpu", "analyze", "-q", str(image), "-o", str(tmp_path / "out")]
        subprocess.run(command, check=True, env=environment, capture_output=True)
        seconds[name] = time.perf_counter() - start
    before = os.times()
    subprocess.run([sys.executable, "-m", "motifgpu", "--help"], check=True, capture_output=True)
    after = os.times()
    seconds["help_cpu"] = (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
    print(seconds)
    record("start", seconds)
    assert seconds["cold"] < 15
    assert seconds["second"] < 5
    assert seconds["help_cpu"] < 0.3
