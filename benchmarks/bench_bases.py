"""Zernike moments against PCA in time and memory (Fig. S9), and five bases by their clusters (Fig. S8)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score
from threadpoolctl import threadpool_limits

from benchmarks.results import record
from motifgpu import patch_features, simulate
from motifgpu.features.bases import BASES

ROOT = Path(__file__).resolve().parents[1]

# Each in a process of its own, which prints CPU time and memory: building the pseudo-inverse and, for PCA,
# the fit are in every call. The input is part of the memory, since whoever computes features holds it.
CHILD = """
import json, sys, time, tracemalloc
import numpy as np
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits
from benchmarks.cold import empty_caches
from motifgpu import zernike_moments
method, n, size, dtype = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

def features(patches):
    if method == "pca":
        return PCA(66, svd_solver="auto", random_state=0).fit_transform(patches.reshape(len(patches), -1))
    empty_caches("motifgpu.features")
    return zernike_moments(patches)

def peak_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

def made():
    return np.random.default_rng(0).standard_normal((n, size, size), dtype=dtype)

with threadpool_limits(1):
    np.linalg.eigh(np.eye(200) @ np.eye(200))  # wakes up the libraries
    before = peak_mb()
    patches, times = made(), []
    for _ in range(4):
        cpu = time.process_time()
        features(patches)
        times.append(time.process_time() - cpu)
        resident = peak_mb() - before if len(times) == 1 else resident
    del patches
    tracemalloc.start()
    features(made())
print(json.dumps({
    "cpu_ms": 1e3 * min(times),
    "first_ms": 1e3 * times[0],
    "resident_mb": resident,
    "traced_mb": tracemalloc.get_traced_memory()[1] / 2**20,
}))
"""


def measured(method: str, n: int, size: int, dtype: str) -> dict[str, float]:
    """CPU time of the first and the best of four calls, and peak memory beyond what the libraries take."""
    command = [sys.executable, "-c", CHILD, method, str(n), str(size), dtype]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def test_moments_against_pca_cold() -> None:
    """One thread, 66 features of 64 x 64 patches, everything counted."""
    figures = []
    for dtype in ("float64", "float32"):
        for n in (500, 1_000, 2_000):
            ours, theirs = (measured(method, n, 64, dtype) for method in ("moments", "pca"))
            ratios = {f"{key.rsplit('_', 1)[0]}_ratio": theirs[key] / ours[key] for key in ours}
            figures.append({"dtype": dtype, "n": n, "moments": ours, "pca": theirs, **ratios})
    record("moments_against_pca_cold", figures)
    for row in figures:
        assert row["cpu_ratio"] >= (5 if row["n"] == 500 else 7.8), row
        assert min(row["resident_ratio"], row["traced_ratio"]) >= 1.5, row


@pytest.mark.parametrize("noise", ["counts", "gaussian", "scan"])
def test_bases_by_their_clusters(noise: str) -> None:
    """K-means of each basis' features against the truth: two classes of Table S3, 0.2 apart in height."""
    levels = {"counts": (3.0, 10.0, 30.0), "gaussian": (0.1, 0.2, 0.4), "scan": (0.5, 1.0, 2.0)}[noise]
    figures = []
    with threadpool_limits(1):
        for level in levels:
            made = simulate.patches((500, 500), size=64, distance=16.0, sigma=3.5, seed=1, **{noise: level})
            scores = {}
            for basis in BASES:
                features = patch_features(made.patches, basis, 66)
                found = KMeans(2, n_init=10, random_state=0).fit_predict(features)
                scores[basis] = float(adjusted_mutual_info_score(made.labels, found))
            figures.append({noise: level, "ami": scores})
    record(f"bases_by_their_clusters_{noise}", figures)
    for row in figures:
        assert row["ami"]["zernike"] > row["ami"]["pca"] - 0.02, row
