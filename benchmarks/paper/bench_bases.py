"""Fig. S5, S6 and S8: noise that truncation rejects, reconstruction against PCA, five bases by clusters."""

from __future__ import annotations

import math
import statistics
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_mutual_info_score, fowlkes_mallows_score, silhouette_score

from benchmarks.peers.packages import cpu_seconds, motif_learn_moments
from benchmarks.results import record
from motifgpu import patch_features, reconstruct_patches, simulate, zernike_moments
from motifgpu.features.bases import BASES

pytestmark = pytest.mark.usefixtures("one_thread")
SIZE = 128
COMPONENTS, ORDER = 136, 15
FEWER = (1, 2, 4, 8, 16, 32, 64, 136)  # of which PCA may take what suits it best, told the truth
TRUNCATED_DB = 25  # what truncation alone leaves; weaker noise is not rejected but replaced by it
NOISES = {"counts": (1.0, 3.0, 10.0), "gaussian": (0.2, 0.5, 1.0), "scan": (1.0, 2.0, 4.0)}


def inside_disc(size: int) -> np.ndarray:
    x = (2 * np.arange(size) + 1 - size) / size
    return x[:, None] ** 2 + x**2 <= 1


def psnr(image: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    """Peak signal-to-noise ratio within `where`, dB, for a peak of 1."""
    return float(-10 * math.log10(np.mean((image[..., where] - truth[..., where]) ** 2)))


def motif_learn_patches(patches: np.ndarray, order: int) -> np.ndarray:
    """Return the patches that motif-learn's moments stand for, by its own polynomials."""
    from mtflearn.features import ZPs

    polynomials = ZPs(n_max=order, size=patches.shape[-1]).get_polynomials()
    return np.tensordot(motif_learn_moments(patches, order), polynomials, axes=1)


@pytest.mark.quick
def test_truncation(seeds: range) -> None:
    """Noisy patches of three-fold symmetry before and after projection on the first 66 polynomials."""
    where = inside_disc(SIZE)
    truth = simulate.patches((1,), folds=3, centers=(1.0,), size=SIZE).patches
    figures = []
    for sigma in (0.1, 0.3, 0.5, 0.7):
        noisy = np.concatenate(
            [
                simulate.patches((4,), folds=3, centers=(1.0,), size=SIZE, gaussian=sigma, seed=seed).patches
                for seed in seeds
            ]
        )
        rebuilt = reconstruct_patches(zernike_moments(noisy), SIZE)
        figures.append(
            {
                "sigma": sigma,
                "patches": len(noisy),
                "noisy_db": psnr(noisy, truth, where),
                "motifgpu_db": psnr(rebuilt, truth, where),
                "motif_learn_db": psnr(motif_learn_patches(noisy, 10), truth, where),
                "without_noise_db": psnr(reconstruct_patches(zernike_moments(truth), SIZE), truth, where),
                "noise_power_left": float(
                    ((rebuilt - reconstruct_patches(zernike_moments(truth), SIZE))[:, where] ** 2).mean()
                    / sigma**2
                ),
                "pixels_per_moment": float(where.sum() / 66),
            }
        )
    record("truncation", figures)
    for row in figures:
        assert row["motifgpu_db"] > row["noisy_db"] + (8 if row["sigma"] >= 0.3 else 0), row
        assert abs(row["noise_power_left"] * row["pixels_per_moment"] - 1) < 0.25, row


@pytest.mark.quick
def test_moments_of_both_packages() -> None:
    """Time of 1,200 patches, and relative error of the moments of sums of a package's own polynomials."""
    from mtflearn.features import ZPs

    figures = []
    for size in (24, 38, 64):
        truth = np.random.default_rng(0).normal(size=(1200, 66)).astype(np.float32)
        own = {
            "motifgpu": (zernike_moments, reconstruct_patches(truth, size)),
            "motif_learn": (
                motif_learn_moments,
                np.tensordot(truth, ZPs(n_max=10, size=size).get_polynomials(), axes=1),
            ),
        }
        row: dict[str, float] = {"size": size}
        for name, (work, patches) in own.items():
            timed = [cpu_seconds(partial(work, patches)) for _ in range(4)][1:]
            row[f"{name}_error"] = float(np.linalg.norm(timed[0][0] - truth) / np.linalg.norm(truth))
            row[f"{name}_s"] = min(seconds for _, seconds in timed)
        figures.append(row | {"ratio": row["motif_learn_s"] / row["motifgpu_s"]})
    record("moments_of_both_packages", figures)
    assert max(row["motifgpu_error"] for row in figures) < 1e-3


@pytest.mark.quick
@pytest.mark.parametrize("turned", [False, True])
def test_reconstruction_against_pca(turned: bool, seeds: range, quick: bool) -> None:
    """500 patches of five symmetries, 136 numbers each: Zernike of order 15 and PCA of those patches."""
    folds, size = (3, 4, 5, 6, 7), 64
    options = {"folds": folds, "centers": (1.0,) * 5, "size": size, "distance": 16.0, "sigma": 3.5}
    where = inside_disc(size)
    figures = []
    for noise, levels in NOISES.items():
        for level in levels[1:2] if quick else levels:
            rows = []
            for seed in seeds[:3]:
                rows.append(rebuilt(options, turned, {noise: level}, seed, where))
            means = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
            figures.append({"noise": noise, "level": level, "seeds": len(rows), **means})
    record(f"reconstruction_against_pca {'turned' if turned else 'aligned'}", figures)
    for row in figures:
        assert row["motifgpu_db"] > min(row["noisy_db"], TRUNCATED_DB), row


def rebuilt(
    options: dict[str, Any], turned: bool, noise: dict[str, float], seed: int, where: np.ndarray
) -> dict[str, float]:
    """Return the PSNR, dB, of noisy patches and of what either method makes of them."""
    size = where.shape[0]
    clean = simulate.patches((100,) * 5, rotation=turned, seed=seed, **options).patches
    ((kind, level),) = noise.items()
    noisy = {
        "counts": lambda: simulate.poisson_noise(clean * level, seed) / level,
        "gaussian": lambda: simulate.gaussian_noise(clean, level, seed),
        "scan": lambda: simulate.scan_noise(
            clean, level / 2, seed
        ),  # patches are half as large as the paper's
    }[kind]()
    flat = noisy.reshape(len(noisy), -1)
    model = PCA(COMPONENTS, svd_solver="full").fit(flat)
    scores = model.transform(flat)

    def by_pca(count: int) -> float:
        found = scores[:, :count] @ model.components_[:count] + model.mean_
        return psnr(found.reshape(noisy.shape), clean, where)

    best = max(FEWER, key=by_pca)
    return {
        "noisy_db": psnr(noisy, clean, where),
        "motifgpu_db": psnr(reconstruct_patches(zernike_moments(noisy, ORDER), size), clean, where),
        "motif_learn_db": psnr(motif_learn_patches(noisy, ORDER), clean, where),
        "pca_db": by_pca(COMPONENTS),
        "pca_best_db": by_pca(best),
        "pca_best_components": best,
    }


@pytest.mark.parametrize("noise", [pytest.param("counts", marks=pytest.mark.quick), "gaussian", "scan"])
def test_bases(noise: str, seeds: range, quick: bool) -> None:
    """Two classes of Table S3 by KMeans of five bases, and of motif-learn's Zernike moments."""
    each = 100 if quick else 300
    figures = []
    for level in {"counts": (1.0, 3.0, 10.0), "gaussian": (0.2, 0.4, 0.8), "scan": (1.0, 2.0, 4.0)}[noise]:
        rows: dict[str, list[dict[str, float]]] = {}
        for seed in seeds:
            made = simulate.patches(
                (each, each), size=64, distance=16.0, sigma=3.5, seed=seed, **{noise: level}
            )
            features = {basis: patch_features(made.patches, basis, 66) for basis in BASES}
            features["motif-learn"] = motif_learn_moments(made.patches)
            for basis, x in features.items():
                found = KMeans(2, n_init=10, random_state=0).fit_predict(x)
                rows.setdefault(basis, []).append(
                    {
                        "ami": float(adjusted_mutual_info_score(made.labels, found)),
                        "fmi": float(fowlkes_mallows_score(made.labels, found)),
                        "silhouette": float(silhouette_score(x, found)),
                    }
                )
        figures.append(
            {
                "level": level,
                "seeds": len(seeds),
                "bases": {
                    basis: {key: statistics.mean(row[key] for row in found) for key in found[0]}
                    | {"ami_sd": statistics.stdev(row["ami"] for row in found) if found[1:] else None}
                    for basis, found in rows.items()
                },
            }
        )
    record(f"bases {noise}", figures)
    for row in figures:
        assert row["bases"]["zernike"]["ami"] > row["bases"]["pca"]["ami"] - 0.03, row
