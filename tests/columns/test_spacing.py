from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.cpu.spacing import Nearest


def test_the_nearest_place_is_that_of_a_tree() -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(9), indexing="ij"), axis=-1).reshape(-1, 2)
    places = 4.5 * grid + rng.uniform(-0.4, 0.4, grid.shape)
    ends = np.concatenate([places + rng.uniform(-1, 1, places.shape), rng.uniform(-60, 90, (400, 2))])
    distance, number = Nearest(places).to(ends)
    wanted, nearest = cKDTree(places).query(ends)
    near = wanted < 1.5
    assert 100 < near.sum() < 500
    assert (number[near] == nearest[near]).all()
    np.testing.assert_allclose(distance[near], wanted[near])
    assert (distance[~near] >= wanted[~near] - 1e-9).all()
