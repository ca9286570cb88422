"""Samples whose contrast is that of multislice calculations instead of a power of the atomic number."""

from __future__ import annotations

import numpy as np

from benchmarks.rare_oracle import IDENTITIES, multislice_cell
from motifgpu import simulate

KINDS = {f"multislice_{material}": material for material in ("MoSe2", "WS2")}


def sample(kind: str, size: int, counts: float, seed: int) -> simulate.SampleSimulation:
    """Return a monolayer of the cells that `multislice_cells.py` computed, at a scale drawn from the seed.

    What limits the accuracy is estimated with Gaussian columns that are as curved at their peaks.
    """
    rng = np.random.default_rng([len(kind), seed])
    constant = float(rng.uniform(11, 25))
    clean, places, labels = multislice_cell(KINDS[kind], int(rng.integers(2)), constant)
    shift = rng.integers(0, clean.shape, 2)
    repeats = -(-size // np.array(clean.shape))
    tiled = np.tile(np.roll(clean, shift, (0, 1)), repeats)[:size, :size]
    corners = np.stack(np.meshgrid(*map(np.arange, repeats + 1), indexing="ij"), axis=-1).reshape(-1, 1, 2)
    points = (corners * clean.shape + (places + shift) % clean.shape).reshape(-1, 2)
    labels = np.tile(labels, len(corners))
    seen = np.flatnonzero((points < size - 0.5).all(1))
    seen = seen[np.lexsort(points[seen].T[::-1])]
    points, labels = points[seen], labels[seen]

    expected = counts * tiled
    nearest = np.clip(np.round(points).astype(np.int64), 1, size - 2)
    row, col = nearest.T
    ground = float(np.percentile(expected, 5))
    heights = np.where(labels == IDENTITIES.index("V_chalcogen2"), 0.0, expected[row, col] - ground)
    curvature = -(expected[row + 1, col] + expected[row - 1, col] - 2 * expected[row, col])
    metal = labels == 0
    sigma = float(np.sqrt(np.median(heights[metal]) / np.median(curvature[metal])))
    u = np.array([0.0, constant])
    return simulate.SampleSimulation(
        image=rng.poisson(expected).astype(np.float32),
        clean=expected.astype(np.float32),
        background=np.full((size, size), ground, np.float32),
        points=points.astype(np.float32),
        labels=labels.astype(np.int32),
        names=IDENTITIES,
        occupied=heights > 0,
        u=u,
        v=constant * np.array([-np.sqrt(3) / 2, -0.5]),
        pixel_size_nm=None,
        kind=kind,
        domain=np.zeros(len(points), np.int32),
        domain_names=("crystal",),
        pristine=np.where((labels == 0) | (labels == 4), 0, 1).astype(np.int32),
        boundary=np.zeros(len(points), bool),
        heights=heights.astype(np.float32),
        spacing_px=constant / np.sqrt(3),
        sigma_px=sigma,
        tail=0.0,
        valid=np.ones((size, size), bool),
    )
