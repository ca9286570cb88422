"""The nine nearest neighbours by correlation: ours, pynndescent and scikit-learn, time and recall."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.packages import cpu_seconds
from benchmarks.results import record
from motifgpu import extract_patches, nearest_neighbors, simulate, zernike_moments

K = 9

pytestmark = pytest.mark.usefixtures("one_thread")


def moments(n: int) -> np.ndarray:
    """Return moments of n columns of as many simulated micrographs as that takes."""
    found: list[np.ndarray] = []
    while sum(map(len, found)) < n:
        made = simulate.monolayer(counts=10, vacancies=0.05, dopants={"W": 0.03}, seed=len(found))
        found.append(zernike_moments(extract_patches(made.image, made.points, 38)[0]))
    return np.concatenate(found)[:n]


def _descent(x: np.ndarray) -> np.ndarray:
    from pynndescent import NNDescent

    # It counts the point itself, which comes first.
    indices, _ = NNDescent(
        x, metric="correlation", n_neighbors=K + 1, random_state=0, n_jobs=1
    ).neighbor_graph
    return indices[:, 1:]


def _brute(x: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=K, metric="correlation", algorithm="brute", n_jobs=1)
    return search.fit(x).kneighbors(return_distance=False)


SEARCHES: dict[str, Callable[[np.ndarray], Any]] = {
    "motifgpu": lambda x: nearest_neighbors(x, K).indices,
    "pynndescent": _descent,
    "scikit-learn": _brute,
}


def recall(indices: np.ndarray, x: np.ndarray, rows: np.ndarray) -> float:
    """Return the share of the true neighbours of some rows that were found, by float64 differences."""
    unit = x.astype(np.float64)
    unit -= unit.mean(axis=1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    hits = 0
    for row in rows:
        distance = ((unit - unit[row]) ** 2).sum(axis=1)
        distance[row] = np.inf
        hits += len(np.intersect1d(np.argpartition(distance, K)[:K], indices[row]))
    return hits / (K * len(rows))


@pytest.mark.quick
def test_neighbors(quick: bool) -> None:
    figures = []
    for n in (1207, 5000) if quick else (1207, 5000, 20_000):
        x = moments(n)
        rows = np.random.default_rng(0).choice(n, 300, replace=False)
        row: dict[str, Any] = {"n": n}
        for name, search in SEARCHES.items():
            search(x[:300])
            timed = [cpu_seconds(lambda search=search, x=x: search(x)) for _ in range(1 if n > 10_000 else 3)]
            row[name] = {
                "cpu_s": min(seconds for _, seconds in timed),
                "recall": recall(np.asarray(timed[0][0]), x, rows),
            }
        figures.append(row)
        print(row)
    record("neighbors", figures)
    for row in figures:
        assert row["motifgpu"]["recall"] > 0.99, row
        assert row["motifgpu"]["cpu_s"] < row["scikit-learn"]["cpu_s"], row


def test_neighbors_of_a_million(full: bool) -> None:
    """On one thread, most of half an hour; approximate and other exact searches are left out."""
    if not full:
        pytest.skip("a million rows are searched with --full")
    x = moments(1_000_000)
    rows = np.random.default_rng(0).choice(len(x), 100, replace=False)
    SEARCHES["motifgpu"](x[:300])
    indices, cpu_s = cpu_seconds(lambda: SEARCHES["motifgpu"](x))
    figures = {
        "n": len(x),
        "cpu_s": cpu_s,
        "ns_a_pair": 2e9 * cpu_s / len(x) ** 2,
        "recall": recall(np.asarray(indices), x, rows),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    print(figures)
    record("neighbors_million", figures)
    assert figures["recall"] > 0.99
