from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from support.simulations import at, interior

from motifgpu import simulate


def test_pentagons_are_those_of_the_cairo_tiling():
    made = simulate.tiling(shape=(500, 600), cell=64, angle=12, counts=None)
    edges = np.hypot(*(np.roll(made.corners, -1, axis=1) - made.corners).transpose(2, 0, 1)) / 64
    short, long = (np.sqrt(3) - 1) * np.sqrt(2) / np.sqrt(12), 1 / np.sqrt(6)
    assert edges == pytest.approx(np.tile([short, long, long, long, long], (len(edges), 1)), abs=1e-4)
    to_next, to_last = (np.roll(made.corners, step, axis=1) - made.corners for step in (-1, 1))
    cosine = (to_next * to_last).sum(-1) / np.sqrt((to_next**2).sum(-1) * (to_last**2).sum(-1))
    angles = np.rad2deg(np.arccos(cosine))
    assert angles == pytest.approx(np.tile([120, 120, 90, 120, 90], (len(angles), 1)), abs=0.01)
    row, col = made.corners[..., 0], made.corners[..., 1]
    area = np.abs((row * np.roll(col, -1, 1) - col * np.roll(row, -1, 1)).sum(1)) / 2
    assert area == pytest.approx(64**2 / 4, rel=1e-4)
    assert made.centers == pytest.approx(made.corners.mean(1), abs=1e-3)
    inside = made.corners[interior(made.centers, (500, 600), 40)].reshape(-1, 2)
    distance, near = cKDTree(made.points).query(inside)
    assert distance.max() < 1e-3
    assert (made.labels[near] == 0).all()


def test_pentagon_centres_are_as_bright_as_their_states_say():
    made = simulate.tiling(shape=(700, 700), counts=100, seed=2)
    inside = interior(made.centers, (700, 700), 20)
    vanadium = 100 * (23 / 42) ** 1.7
    expected = np.select([made.states == 1, made.states == simulate.EXCLUDED], [100.0, vanadium], 0.0)
    assert np.abs(at(made.clean, made.centers) - expected)[inside].max() < 0.5
    assert set(made.states) == {0, 1, simulate.EXCLUDED}
    assert np.sum(made.labels == 1) == np.sum(made.states == 1)
    corners = (made.labels == 0) & interior(made.points, (700, 700), 20)
    assert at(made.clean, made.points[corners]) == pytest.approx(np.full(corners.sum(), 100.0), abs=0.5)


def test_states_of_a_tiling_have_the_fractions_of_the_paper():
    made = simulate.tiling(shape=(1800, 1800), cell=40, counts=None, seed=1)
    assert np.mean(made.states == 0) == pytest.approx(0.594, abs=0.015)
    assert np.mean(made.states == 1) == pytest.approx(0.363, abs=0.015)
    assert np.mean(made.states == simulate.EXCLUDED) == pytest.approx(0.043, abs=0.006)


@pytest.mark.parametrize("angle", [0, 33])
def test_indices_of_pentagons_lead_to_their_states_and_neighbours(angle):
    grid = simulate.occupancy_grid("ordered", (14, 18), excluded=0.1, seed=3).grid
    made = simulate.tiling(grid, (700, 700), angle=angle, disorder=0.03, seed=4)
    assert np.array_equal(made.states, grid[tuple((made.indices % grid.shape).T)])
    place = {tuple(index): n for n, index in enumerate(made.indices)}
    assert len(place) == len(made.indices)
    middle = np.argsort(np.hypot(*(made.centers - 349.5).T))[:4]
    assert {tuple(index) for index in made.indices[middle]} == {(6, 8), (6, 9), (7, 8), (7, 9)}
    whole = 0
    for (i, j), n in place.items():
        below, right = place.get((i + 1, j)), place.get((i, j + 1))
        if below is None or right is None:
            continue
        for other in (below, right):  # neighbours in the grid share an edge
            shared = cKDTree(made.corners[n]).query(made.corners[other])[0] < 1e-3
            assert shared.sum() == 2
        if angle == 0:
            assert made.centers[below, 0] > made.centers[n, 0]
            assert made.centers[right, 1] > made.centers[n, 1]
        whole += 1
    assert whole > 300


def test_a_tiling_of_the_size_of_its_grid_shows_it_once():
    grid = simulate.occupancy_grid(shape=(10, 14), seed=5).grid
    made = simulate.tiling(grid, (10 * 32, 14 * 32), cell=64)
    shown = np.zeros_like(grid)
    shown[tuple(made.indices.T)] = made.states
    assert len(made.states) == grid.size
    assert np.array_equal(shown, grid)


def test_disorder_distorts_pentagons_up_to_its_limit():
    plain = simulate.tiling(shape=(400, 400), counts=None)
    made = simulate.tiling(shape=(400, 400), counts=None, disorder=0.05)
    corners = interior(plain.points, (400, 400), 5) & (plain.labels == 0)
    moved, _ = cKDTree(made.points).query(plain.points[corners])
    assert moved.max() <= 0.05 * 64 + 1e-3
    assert np.median(moved) == pytest.approx(0.05 * 64 / np.sqrt(2), rel=0.1)
