"""Table S2: CPU time of the relaxation of 1,207 features over its iterations, k = 15."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from mtflearn.manifold import ForceGraph8

from benchmarks.results import record
from motifgpu import (
    affinity_graph,
    extract_patches,
    nearest_neighbors,
    pca_start,
    relax,
    simulate,
    zernike_moments,
)
from motifgpu.graph.relaxation import STAGES

N, K = 1207, 15
ITERATIONS = (10, 20, 40, 80, 160)

pytestmark = [pytest.mark.benchmark(timer=time.process_time), pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """As many columns as in Fig. 1, of a micrograph of the same kind."""
    made = simulate.monolayer(shape=(620, 620), counts=10, vacancies=0.05, seed=0)
    patches, _ = extract_patches(made.image, made.points, 38)
    return zernike_moments(patches)[:N]


@pytest.fixture(scope="module")
def rows() -> Iterator[dict[tuple[str, int], dict[str, float]]]:
    found: dict[tuple[str, int], dict[str, float]] = {}
    yield found
    figures: list[dict[str, Any]] = [
        {"iterations": t, **{name: found[name, t] for name in ("motifgpu", "motif_learn")}}
        for t in ITERATIONS
        if ("motifgpu", t) in found and ("motif_learn", t) in found
    ]
    if figures:
        record("relaxation_over_iterations", figures)


def ours(x: np.ndarray, sweeps: int) -> np.ndarray:
    """Graph and layout, half of the sweeps in each of the paper's two stages."""
    stages = [stage._replace(sweeps=sweeps // 2) for stage in STAGES[:2]]
    return relax(
        affinity_graph(nearest_neighbors(x, K - 1)), pca_start(x), stages=stages, n_repulsions=5, seed=0
    )


def theirs(x: np.ndarray, iterations: int) -> np.ndarray:
    model = ForceGraph8(n_neighbors=K, num_iterations=iterations, num_negative_samples=5, random_state=0)
    return model.fit_transform(x.astype(np.float64))


@pytest.mark.quick
@pytest.mark.parametrize("iterations", ITERATIONS)
@pytest.mark.parametrize("package", ["motifgpu", "motif_learn"])
def test_relaxation_over_iterations(
    package: str, iterations: int, features: np.ndarray, rows: dict[Any, Any], benchmark: Any
) -> None:
    """Graph, start and layout together, as the paper seems to have timed them."""
    work = {"motifgpu": ours, "motif_learn": theirs}[package]
    layout = benchmark.pedantic(work, (features, iterations), rounds=5, warmup_rounds=1)
    assert np.isfinite(layout).all()
    if benchmark.enabled:
        rows[package, iterations] = {
            "median_s": benchmark.stats.stats.median,
            "sd_s": benchmark.stats.stats.stddev,
        }
