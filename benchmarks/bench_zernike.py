"""Zernike moments against PCA of scikit-learn, the time of patches and maps, and coarse images."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from benchmarks.cold import empty_caches
from benchmarks.results import record
from motifgpu import extract_patches, mirror_symmetry_map, read, symmetry_map, zernike_moments
from motifgpu.features import disc


def cpu_seconds(call: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return min(times)


def peak_bytes(call: Callable[[], Any]) -> int:
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def cold_moments(patches: np.ndarray) -> np.ndarray:
    empty_caches("motifgpu.features")  # so that the pseudo-inverse is built anew
    return zernike_moments(patches)


def pca(patches: np.ndarray) -> np.ndarray:
    return PCA(66, random_state=0).fit_transform(patches.reshape(len(patches), -1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_against_pca(dtype: str) -> None:
    figures = []
    rng = np.random.default_rng(0)
    with threadpool_limits(1):
        for size in (32, 64):
            for n in (500, 1_200, 5_000, 10_000):
                patches = rng.normal(size=(n, size, size)).astype(dtype)
                ours = cpu_seconds(lambda p=patches: cold_moments(p), 5)
                theirs = cpu_seconds(lambda p=patches: pca(p), 1 if n > 2_000 else 3)
                our_peak = peak_bytes(lambda p=patches: cold_moments(p))
                their_peak = peak_bytes(lambda p=patches: pca(p))
                figures.append(
                    {
                        "size": size,
                        "n": n,
                        "moments_ms": 1e3 * ours,
                        "pca_ms": 1e3 * theirs,
                        "time_ratio": theirs / ours,
                        "memory_ratio_with_input": (their_peak + patches.nbytes)
                        / (our_peak + patches.nbytes),
                        "memory_ratio_beyond_input": their_peak / our_peak,
                    }
                )
    record(f"moments_against_pca_{dtype}", figures)
    for row in figures:
        assert row["time_ratio"] > 5, row
        assert row["memory_ratio_with_input"] > (1.7 if row["n"] >= 5_000 else 1.0), row


@pytest.mark.quick
def test_patches_and_maps() -> None:
    """CPU time on a 512 x 512 image: 1,200 patches of 38 x 38, their moments, and dense maps."""
    rng = np.random.default_rng(0)
    image = gaussian_filter(rng.normal(size=(512, 512)).astype("float32"), 2)
    points = rng.uniform(20, 491, (1200, 2)).astype("float32")
    coarse = rng.uniform(20, 491, (8000, 2)).astype("float32")
    with threadpool_limits(1):
        patches, _ = extract_patches(image, points, 38)
        figures = {
            "extract_1200_of_38_ms": 1e3 * cpu_seconds(lambda: extract_patches(image, points, 38), 10),
            "extract_8000_of_24_over_14_ms": 1e3
            * cpu_seconds(lambda: extract_patches(image, coarse, 24, side=14.0), 5),
            "moments_1200_of_38_ms": 1e3 * cpu_seconds(lambda: zernike_moments(patches), 10),
            "symmetry_map_39_ms": 1e3 * cpu_seconds(lambda: symmetry_map(image, 39, [2, 3, 6]), 3),
            "mirror_symmetry_map_39_ms": 1e3 * cpu_seconds(lambda: mirror_symmetry_map(image, 39), 3),
        }
    record("patches_and_maps", figures)
    assert figures["extract_1200_of_38_ms"] < 50


def mates(moments: np.ndarray, wanted: np.ndarray, k: int = 9) -> float:
    """Share of vacancies among the k nearest neighbours of vacancies, by correlation."""
    rows = moments.astype(float)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    similarity = rows[wanted] @ rows.T
    similarity[np.arange(wanted.sum()), np.flatnonzero(wanted)] = -2.0
    nearest = np.argpartition(-similarity, k, axis=1)[:, :k]
    return float(wanted[nearest].mean())


def test_coarse_images(data_folder: Path) -> None:
    """Whether a patch of 14 px is better resampled finer or described by fewer moments."""
    pytest.importorskip("rsciio")
    folder = data_folder / "TiWSe2"
    image = read(folder / "adf2.dm4").image
    image = image - gaussian_filter(image, 16)
    points = np.load(folder / "points_xy.npy")[:, ::-1].astype("float32")
    vacancy = np.load(folder / "labels.npy") == 1
    figures = []
    for noise, sigma in ((0.0, 0.0), (1.0, 1.0), (1.0, 0.0)):
        noisy = image + noise * image.std() * np.random.default_rng(1).normal(size=image.shape).astype(
            "float32"
        )
        if sigma:
            noisy = gaussian_filter(noisy, sigma)
        for size, order in ((14, 6), (14, 9), (16, 10), (24, 6), (24, 10)):
            patches, inside = extract_patches(noisy, points, size, side=14.0)
            moments = zernike_moments(patches, order)
            figures.append(
                {
                    "added_noise": noise,
                    "smoothed_by_px": sigma,
                    "size": size,
                    "order": order,
                    "condition": disc.condition_number(order, size, size),
                    "vacancy_mates": mates(moments, vacancy[inside]),
                }
            )
    record("coarse_images", figures)
    best = {
        (row["added_noise"], row["smoothed_by_px"], row["size"], row["order"]): row["vacancy_mates"]
        for row in figures
    }
    for condition in ((0.0, 0.0), (1.0, 1.0), (1.0, 0.0)):
        assert best[(*condition, 24, 10)] > best[(*condition, 14, 9)] - 0.02
