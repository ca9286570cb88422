"""Fig. S1 to S3: how clusters of equal motifs broaden with Gaussian, Poisson and scan noise."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import davies_bouldin_score, silhouette_score

from benchmarks.peers.packages import motif_learn_moments
from benchmarks.results import record
from motifgpu import extract_patches, find_motifs, simulate, zernike_moments

pytestmark = pytest.mark.usefixtures("one_thread")
SIDE = 64  # two lattice constants of the crystal, whose blobs stand 32 px apart
NOISES = {"poisson": (1.0, 2.0, 5.0, 20.0), "gaussian": (0.2, 0.4, 0.8, 1.6), "scan": (1.0, 2.0, 4.0, 8.0)}
ARGUMENT = {"poisson": "counts", "gaussian": "gaussian", "scan": "scan"}


def broadening(features: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    plane = PCA(2, random_state=0).fit_transform(features)
    return {
        "silhouette": float(silhouette_score(plane, truth, sample_size=4000, random_state=0)),
        "davies_bouldin": float(davies_bouldin_score(plane, truth)),
    }


def described(patches: np.ndarray) -> dict[str, np.ndarray]:
    """Return what Fig. S2 projects, and in its place the moments of both packages."""
    return {
        "flattened": patches.reshape(len(patches), -1),
        "motifgpu": zernike_moments(patches),
        "motif_learn": motif_learn_moments(patches),
    }


def mean_of(rows: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        kind: {
            **{name: statistics.mean(row[kind][name] for row in rows) for name in rows[0][kind]},
            "silhouette_sd": statistics.stdev(row[kind]["silhouette"] for row in rows) if rows[1:] else 0.0,
        }
        for kind in rows[0]
    }


@pytest.mark.quick
def test_crystal_broadening(seeds: range) -> None:
    """The p4m crystal of two blob kinds, Gaussian noise from 0 to 0.8."""
    figures: list[dict[str, Any]] = []
    for sigma in (0.0, 0.2, 0.4, 0.6, 0.8):
        rows = []
        for seed in seeds:
            made = simulate.crystal_p4m((640, 640), gaussian=sigma, seed=seed)
            patches, inside = extract_patches(made.image, made.points, SIDE)
            kinds = described(patches)
            rows.append({k: broadening(x, made.labels[inside]) for k, x in kinds.items()})
            if sigma == 0:
                found = int(find_motifs(kinds["motifgpu"]).labels.max()) + 1
        figures.append({"sigma": sigma, "seeds": len(seeds), "patches": int(inside.sum()), **mean_of(rows)})
        if sigma == 0:
            figures[-1]["motifs_found"] = found
    record("crystal_broadening", figures)
    silhouettes = [row["motifgpu"]["silhouette"] for row in figures]
    assert figures[0]["motifs_found"] == 2
    assert silhouettes == sorted(silhouettes, reverse=True)


@pytest.mark.quick
@pytest.mark.parametrize("noise", NOISES)
def test_patch_broadening(noise: str, seeds: range, quick: bool, full: bool) -> None:
    """The patches of Table S3: 5,000 of either class with --full, else 500 (100 with --quick)."""
    each = 5000 if full else 100 if quick else 500
    figures: list[dict[str, Any]] = []
    for level in NOISES[noise]:
        rows = []
        for seed in seeds[: 1 if full else None]:
            made = simulate.patches((each, each), seed=seed, **{ARGUMENT[noise]: level})
            rows.append({k: broadening(x, made.labels) for k, x in described(made.patches).items()})
        figures.append({"level": level, "patches": 2 * each, "seeds": len(rows), **mean_of(rows)})
    record(f"patch_broadening_{noise}", figures)
    for row in figures:
        assert row["motifgpu"]["silhouette"] > row["flattened"]["silhouette"] - 0.02, row
