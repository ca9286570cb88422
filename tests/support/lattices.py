"""Disturbed crystals whose lattice indices are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu.simulate import monolayer
from motifgpu.simulate.truth import MonolayerSimulation
from motifgpu.structure.lattice import Lattice

CONSTANT = 22.0


def undrifted(truth: MonolayerSimulation, drift: tuple[float, float]) -> np.ndarray:
    """Take the simulation's quadratic drift out of its points."""
    row, rows = truth.points[:, 0].astype(float), truth.image.shape[0]
    down = drift[0] / rows**2
    before = row if down == 0 else (np.sqrt(1 + 4 * down * np.maximum(row, 0)) - 1) / (2 * down)
    before = np.where(row < 0, row, before)
    return np.stack([before, truth.points[:, 1] - (np.maximum(before, 0) / rows) ** 2 * drift[1]], axis=1)


def degraded(seed: int, drift: tuple[float, float], angle: float) -> tuple[Any, np.ndarray, np.ndarray]:
    """Simulate, take 30 % of the columns away, jitter by 0.8 px, and add 10 % that are none."""
    truth = monolayer(seed=seed, drift=drift, angle=angle, counts=None)
    rng = np.random.default_rng(seed)
    kept = np.flatnonzero(rng.random(len(truth.points)) >= 0.3)
    points = truth.points[kept] + rng.normal(0, 0.8, (len(kept), 2))
    spurious = rng.uniform(0, 512, (len(kept) // 10, 2))
    return truth, kept, np.concatenate([points, spurious])


def count_wrong(
    lattice: Lattice, truth: MonolayerSimulation, kept: np.ndarray, drift: tuple[float, float]
) -> tuple[int, int]:
    """Return how many true columns have a wrong index or sublattice, and how many have none."""
    q = np.linalg.solve(np.stack([truth.u, truth.v], axis=1), undrifted(truth, drift).T).T
    wrong = 0
    on = lattice.sublattice[: len(kept)] >= 0
    for sublattice in (0, 1):
        ours = truth.sublattice == sublattice
        offset = np.angle(np.mean(np.exp(2j * np.pi * q[ours]), axis=0)) / (2 * np.pi)
        index = np.round(q - offset).astype(int)[kept]
        chosen = np.flatnonzero(on & ours[kept])
        found = np.column_stack([lattice.indices[chosen] - index[chosen], lattice.sublattice[chosen]])
        wrong += len(chosen) - np.unique(found, axis=0, return_counts=True)[1].max()
    return wrong, int((~on).sum())
