"""Every place of a lattice is a claim: a column, an empty site, or undecided."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from motifgpu import find_columns, match_points, simulate
from motifgpu.columns.claims import column_probability


def drawn(points: np.ndarray, heights: np.ndarray, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Draw Gaussian columns."""
    rows, cols = (
        np.exp(-0.5 * ((np.arange(n)[:, None] - points[:, axis]) / sigma) ** 2)
        for axis, n in enumerate(shape)
    )
    return (rows * heights) @ cols.T


def lattice(u: tuple[float, float], v: tuple[float, float], basis: list[tuple[float, float]]) -> np.ndarray:
    """Return the points (s, m, 2) of each of s sublattices in and around an image of 220 x 220 px."""
    i, j = (x.reshape(-1, 1) for x in np.mgrid[-60:60, -60:60])
    cells = i * np.array(u) + j * np.array(v) + 110.3
    cells = cells[((cells > -40) & (cells < 260)).all(axis=1)]
    return np.array([cells + np.array(b) for b in basis])


def found_and_true(image: np.ndarray, sites: np.ndarray, radius: float = 3.0) -> tuple[int, int, int]:
    """Return how many columns were claimed, how many of them are true, and how many there are."""
    columns = find_columns(image)
    there = columns.points[columns.occupied]
    inside = ((sites >= -0.5) & (sites < 219.5)).all(axis=1)
    near = cKDTree(sites).query(there)[0] < radius
    return len(there), int(near.sum()), int(inside.sum())


@pytest.mark.parametrize("counts", [None, 30.0])
@pytest.mark.parametrize(("sigma", "constant"), [(0.137, 8.0), (0.19, 12.0), (0.2, 16.0)])
def test_nothing_stands_between_the_columns_of_a_square_lattice(
    sigma: float, constant: float, counts: float | None
) -> None:
    sites = lattice((constant, 0), (0, constant), [(0, 0)])[0]
    image = drawn(sites, np.ones(len(sites)), (220, 220), sigma * constant)
    if counts is not None:
        image = np.random.default_rng(0).poisson(counts * (image + 0.1))
    claimed, right, there = found_and_true(image.astype(np.float32), sites, 0.3 * constant)
    assert claimed == right
    assert abs(claimed - there) <= 0.05 * there  # those on the very edge


@pytest.mark.parametrize(("apart", "sigma"), [(0.23, 3.0), (0.3, 3.6), (0.35, 3.6), (0.45, 3.6), (0.45, 5.0)])
def test_both_halves_of_dumbbells_are_columns(apart: float, sigma: float) -> None:
    halves = lattice((21.0, 3.0), (-2.0, 30.0), [(0, 0), (1.0, 30 * apart)])
    sites = halves.reshape(-1, 2)
    heights = np.repeat([1.0, 0.75], halves.shape[1])
    image = drawn(sites, heights, (220, 220), sigma)
    image = np.random.default_rng(1).poisson(30 * (image + 0.1)).astype(np.float32)
    claimed, right, there = found_and_true(image, sites)
    assert claimed == right
    assert claimed >= 0.97 * there


def test_long_columns_are_no_pairs() -> None:
    sites = lattice((22.0, 3.0), (-3.0, 22.0), [(0, 0)])[0]
    image = np.zeros((220, 220))
    for step in np.linspace(-5, 5, 9):  # a flat-topped, long probe
        image += drawn(sites + np.array([0, step]), np.ones(len(sites)), image.shape, 3.0)
    image = np.random.default_rng(2).poisson(30 * (image / image.max() + 0.1)).astype(np.float32)
    claimed, right, there = found_and_true(image, sites)
    assert claimed <= 1.03 * there
    assert right >= 0.97 * there


def test_faint_columns_are_found_or_said_to_be_undecided() -> None:
    truth = simulate.monolayer("WS2", shape=(320, 320), counts=10, divacancies=0.04, seed=11)
    columns = find_columns(truth.image)
    sulphur = truth.points[truth.sublattice == 1]
    inner = ((sulphur > 4) & (sulphur < 315)).all(axis=1)
    assert (cKDTree(columns.points).query(sulphur[inner])[0] < 4).mean() >= 0.98
    vacant = truth.points[~truth.occupied]
    taken = match_points(columns.points[columns.occupied], vacant, radius=4)
    assert len(taken.found) <= 0.25 * len(vacant)
    assert not (columns.empty & columns.occupied).any()
    assert not (columns.undecided & (columns.empty | columns.occupied)).any()


def test_probabilities_are_shares() -> None:
    rng = np.random.default_rng(3)
    there = rng.choice(3, 4000, p=(0.1, 0.1, 0.8))
    error = rng.uniform(0.05, 0.6, 4000)
    heights = np.array([0.0, 0.5, 1.0])[there] * (1 + 0.1 * rng.normal(size=4000)) + error * rng.normal(
        size=4000
    )
    probability = column_probability(heights, error, np.ones(4000), np.zeros(4000))
    assert np.isfinite(probability).all()
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 0.95), (0.95, 1.01)):
        some = (probability >= low) & (probability < high)
        assert abs((there[some] > 0).mean() - probability[some].mean()) < 0.06


def test_columns_on_the_border_are_where_they_are() -> None:
    truth = simulate.monolayer(shape=(300, 300), counts=100, seed=2)
    columns = find_columns(truth.image)
    match = match_points(columns.points, truth.points, radius=4)
    away = columns.points[match.found] - truth.points[match.reference]
    border = (np.abs(truth.points[match.reference] - 149.5) > 146.5).any(axis=1)
    assert border.sum() > 10
    assert np.sqrt((away[border] ** 2).mean()) < 0.25
    assert np.sqrt((away[~border] ** 2).mean()) < 0.1


@pytest.mark.parametrize(("kind", "seed"), [("tilt", 12), ("grains", 12), ("stacking", 12), ("twin", 1)])
def test_the_edge_of_a_grain_is_no_row_of_empty_sites(kind: str, seed: int) -> None:
    truth = simulate.sample(kind, (256, 256), counts=10, seed=seed)
    columns = find_columns(truth.image)
    assert int(columns.empty.sum()) <= 1


def test_what_is_usual_is_known_better_than_a_single_column() -> None:
    truth = simulate.sample("step", (256, 256), counts=10, seed=0)  # titanium has 0.11 of the height of lead
    columns = find_columns(truth.image)
    found = match_points(columns.points[columns.occupied], truth.points, truth.spacing_px / 3).found
    assert len(found) >= 0.99 * len(truth.points)
    assert len(found) >= 0.99 * columns.occupied.sum()


@pytest.mark.parametrize(("kind", "seed"), [("tilt", 8), ("particle", 6), ("twin", 5)])
def test_neither_tails_nor_a_support_nor_another_grain_make_columns(kind: str, seed: int) -> None:
    truth = simulate.sample(kind, (320, 320), counts=10, seed=seed)
    there = truth.points[truth.occupied]
    columns = find_columns(truth.image)
    right = len(match_points(columns.points[columns.occupied], there, truth.spacing_px / 3).found)
    assert right >= 0.96 * columns.occupied.sum()
    assert right >= 0.98 * len(there)


def test_where_a_crystal_ends_half_a_column_is_less_probable_than_inside() -> None:
    heights, error, surface = np.array([0.0, 0.4, 1.0]), np.full(3, 0.15), np.ones(3, dtype=bool)
    inside = column_probability(heights, error, np.ones(3), np.zeros(3))
    outside = column_probability(heights, error, np.ones(3), np.zeros(3), surface)
    assert (np.diff(outside) > 0).all()
    assert outside[1] < 0.5 < inside[1]
    assert outside[2] > 0.9
