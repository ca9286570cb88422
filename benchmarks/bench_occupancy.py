"""Window entropies against theory, and the way from a micrograph of a tiling to its statistics."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.spatial import cKDTree

from benchmarks.results import record
from motifgpu import (
    estimate_patch_size,
    extract_patches,
    find_columns,
    find_motifs,
    occupancy_statistics,
    simulate,
    zernike_moments,
)
from motifgpu.occupancy.sites import classify_sites, site_grid

MODELS = (
    ("bernoulli", {"fraction": 0.1}),
    ("bernoulli", {}),
    ("bernoulli", {"fraction": 0.5}),
    ("ordered", {}),
    ("ising", {"coupling": 0.1}),
    ("ising", {"coupling": 0.2}),
    ("ising", {"coupling": 0.3}),
    ("ising", {"coupling": -0.3}),
)


def test_entropies_against_theory() -> None:
    figures = []
    for model, options in MODELS:
        for seed in range(2):
            truth = simulate.occupancy_grid(model, (1200, 1200), seed=seed, **options)
            for level, theory in ((2, truth.entropy_level2), (3, truth.entropy_level3)):
                begin = time.process_time()
                found = occupancy_statistics(truth.grid, level, samples=2)
                figures.append(
                    {
                        "model": model,
                        **options,
                        "seed": seed,
                        "level": level,
                        "theory": theory,
                        "entropy": found.entropy,
                        "corrected": found.corrected,
                        "error": found.error,
                        "seconds": time.process_time() - begin,
                    }
                )
    record("entropies_against_theory", figures)
    for row in figures:
        # The transfer matrix of a ring of twelve sites, and the finite torus, are off by this much.
        theory = {2: 6e-4, 3: 4e-3}[row["level"]] if row["model"] == "ising" else 0.0
        bias = 2e-3 if row["level"] == 3 else 0.0
        assert abs(row["corrected"] - row["theory"]) < 4 * row["error"] + theory + bias + 1e-5, row


@pytest.mark.quick
def test_few_windows_look_ordered() -> None:
    """What independent sites with the paper's fractions give, by number of level 3 windows."""
    figures = []
    for side in (14, 20, 28, 40, 80, 160):
        truth = simulate.occupancy_grid(shape=(side, side), excluded=0.043, seed=side)
        found = occupancy_statistics(truth.grid, 3, samples=200)
        figures.append(
            {
                "windows": found.windows,
                "entropy": found.entropy,
                "ceiling": found.ceiling,
                "theory": truth.entropy_level3,
                "null": [found.null.entropy, found.null.deviation],
                "p_value": found.null.p_value,
                "top36": float(found.top[min(35, len(found.top) - 1)]),
                "top36_null": float(found.null.top[min(35, len(found.top) - 1)]),
            }
        )
    record("few_windows_look_ordered", figures)
    for row in figures:
        assert row["p_value"] > 0.01


def test_tiling_from_its_image() -> None:
    """Columns, motifs and sites found, and states by motif and by patch, on the paper's composition."""
    figures = []
    for counts in (3.0, 10.0, 30.0):
        for seed in range(3):
            angle = 17.0 * seed
            truth = simulate.tiling(counts=counts, angle=angle, disorder=0.02, seed=seed)
            columns = find_columns(truth.image).points
            size = round(estimate_patch_size(truth.image).pixels)
            patches, inside = extract_patches(truth.image, columns, size)
            points, labels = columns[inside], find_motifs(zernike_moments(patches)).labels
            # The user looks at the class averages and says which motif is what.
            near, which = cKDTree(truth.points).query(points)
            identity = np.where(near < 5, truth.labels[which], 3)
            mostly = [
                int(np.bincount(identity[labels == motif]).argmax()) for motif in range(labels.max() + 1)
            ]
            filled, hollow = ([m for m, kind in enumerate(mostly) if kind == wanted] for wanted in (1, 3))
            found = site_grid(points, labels, filled, hollow)
            distance, nearest = cKDTree(truth.centers).query(found.centers[found.in_view])
            on = distance < 8
            by_label = found.grid[found.in_view][on] == truth.states[nearest[on]]
            states = classify_sites(truth.image, found.centers[found.in_view][on], 20.0)
            inside = ((truth.centers[nearest[on]] > 12) & (truth.centers[nearest[on]] < 755)).all(axis=1)
            by_patch = (states == truth.states[nearest[on]])[inside]
            statistics = [occupancy_statistics(found.grid, level) for level in (2, 3)]
            figures.append(
                {
                    "counts": counts,
                    "angle": angle,
                    "columns": len(points),
                    "motifs": len(mostly),
                    "sites_found": len(set(nearest[on].tolist())) / len(truth.centers),
                    "sites_spurious": float(1 - on.mean()),
                    "states_right_by_label": float(by_label.mean()),
                    "states_right_by_patch": float(by_patch.mean()),
                    "entropy": [each.entropy for each in statistics],
                    "null": [each.null.entropy for each in statistics],
                    "p_value": [each.null.p_value for each in statistics],
                    "windows": [each.windows for each in statistics],
                }
            )
    record("tiling_from_its_image", figures)
    for row in figures:
        if row["counts"] >= 10:
            assert row["sites_found"] > 0.8, row  # patches as wide as a cell do not fit at the border
            assert row["states_right_by_label"] > 0.98, row
            assert row["states_right_by_patch"] > 0.97, row
