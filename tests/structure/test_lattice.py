"""The lattice of columns: indices, vectors, drift, strain, empty sites, and what has no lattice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.lattices import CONSTANT, count_wrong, degraded

from motifgpu.core.errors import StageError
from motifgpu.simulate import monolayer, tiling
from motifgpu.structure.lattice import Lattice, fit_lattice
from motifgpu.structure.lattice.drift import DriftMap, choose_drift, fit_drift


@pytest.mark.parametrize("seed", range(6))
def test_no_wrong_index(seed: int) -> None:
    drift = [(0.0, 0.0), (20.0, 0.0), (0.0, 20.0), (14.0, 14.0), (-14.0, 14.0), (0.0, -20.0)][seed]
    truth, kept, points = degraded(seed, drift, angle=-28.0 + 11 * seed)
    lattice = fit_lattice(points)
    wrong, lost = count_wrong(lattice, truth, kept, drift)
    assert wrong == 0
    assert lost <= 0.01 * len(kept)
    assert lattice.kind == "hexagonal"
    assert lattice.n_sublattices == 2
    assert not lattice.warnings
    within = 0.03 if any(drift) else 0.01
    assert abs(np.hypot(*lattice.u) / CONSTANT - 1) < within
    # Drift stretches v by its mean over the image, which no fit can tell from a stretched lattice.
    assert abs(np.hypot(*lattice.v) / CONSTANT - 1) < (0.042 if any(drift) else 0.01)
    assert lattice.drift.degree == (2 if any(drift) else 1)
    assert np.nanstd(lattice.residual) < 0.85


@pytest.mark.parametrize("angle", [-29.0, -10.0, 0.0, 17.0, 44.0, 95.0, 181.0])
def test_fixed_setting(angle: float) -> None:
    lattice = fit_lattice(monolayer(seed=3, angle=angle, counts=None).points)
    turn = np.rad2deg(np.arctan2(-lattice.u[0], lattice.u[1]))
    assert abs(turn) <= 30.1
    assert abs((turn - angle + 30) % 60 - 30) < 0.1
    across = np.rad2deg(np.arctan2(-lattice.v[0], lattice.v[1])) - turn
    assert abs(across % 360 - 120) < 0.2
    assert np.allclose(np.sort(lattice.basis, axis=0), [[1 / 3, 1 / 3], [2 / 3, 2 / 3]], atol=0.01)


def grid(u: tuple[float, float], v: tuple[float, float], basis: Any = ((0, 0),), n: int = 16) -> np.ndarray:
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    q = np.stack([i, j], axis=-1).reshape(-1, 1, 2) + np.asarray(basis, float)
    return q.reshape(-1, 2) @ np.array([u, v])


@pytest.mark.parametrize(
    ("u", "v", "kind"),
    [
        ((0.0, 20.0), (-20.0, 0.0), "square"),
        ((0.0, 20.0), (-31.0, 0.0), "rectangular"),
        ((0.0, 20.0), (-31.0, 10.0), "centred rectangular"),
        ((3.0, 20.0), (-29.0, 9.0), "oblique"),
        ((0.0, 20.0), (-17.32, -10.0), "hexagonal"),
    ],
)
def test_kinds(u: tuple[float, float], v: tuple[float, float], kind: str) -> None:
    rng = np.random.default_rng(0)
    points = grid(u, v)
    lattice = fit_lattice(points + rng.normal(0, 0.3, points.shape))
    assert lattice.kind == kind
    assert lattice.n_sublattices == 1
    area = abs(lattice.u[0] * lattice.v[1] - lattice.u[1] * lattice.v[0])
    assert area == pytest.approx(abs(u[0] * v[1] - u[1] * v[0]), rel=0.01)
    assert (lattice.sublattice == 0).all()


def test_many_sublattices() -> None:
    kagome = grid((0.0, 20.0), (-17.32, -10.0), [[0, 0], [0.5, 0], [0, 0.5]])
    assert fit_lattice(kagome).n_sublattices == 3
    truth = tiling(seed=0)
    lattice = fit_lattice(truth.centers)
    assert lattice.kind == "square"
    assert lattice.n_sublattices == 4
    assert np.hypot(*lattice.u) == pytest.approx(np.hypot(*truth.u), rel=1e-3)


def test_labels_find_the_superstructure() -> None:
    rock_salt = grid((0.0, 20.0), (-20.0, 0.0), [[0, 0], [0.5, 0.5]])
    labels = np.tile([0, 1], len(rock_salt) // 2)
    assert fit_lattice(rock_salt).n_sublattices == 1
    lattice = fit_lattice(rock_salt, labels=labels)
    assert lattice.n_sublattices == 2
    assert np.hypot(*lattice.u) == pytest.approx(20, rel=1e-3)
    assert len(np.unique(np.column_stack([labels, lattice.sublattice]), axis=0)) == 2


def test_empty_sites_are_predicted() -> None:
    truth = monolayer(seed=4, divacancies=0.05, drift=(10, 0), counts=None)
    lattice = fit_lattice(truth.points[truth.occupied])
    places = truth.points[~truth.occupied]
    (low, high) = lattice.extent
    inside = ((places > low) & (places < high)).all(axis=1)
    gap = np.linalg.norm(places[inside][:, None] - lattice.empty_points, axis=2)
    assert len(lattice.empty_points) == inside.sum() > 10
    assert gap.min(axis=1).max() < 0.5
    assert len(lattice.occupants) == len(lattice.cells)
    assert (lattice.occupants < 0).sum() <= len(lattice.empty_points)


def test_sites_and_assignment_agree() -> None:
    truth = monolayer(seed=5, counts=None)
    lattice = fit_lattice(truth.points)
    cell, sublattice = lattice.assign(truth.points)
    assert (cell == lattice.indices).all()
    assert (sublattice == lattice.sublattice).all()
    assert np.abs(lattice.sites(cell, sublattice) - truth.points).max() < 0.01
    assert lattice.assign(lattice.polygons(lattice.cells)[:, 0])[1].max() == -1
    sides = np.diff(lattice.polygons(lattice.cells), axis=1)
    assert np.allclose(np.hypot(*sides.reshape(-1, 2).T), CONSTANT, rtol=1e-3)


def lower_minus_upper(lattice: Lattice, values: np.ndarray) -> float:
    rows = lattice.polygons(lattice.cells).mean(axis=1)[:, 0]
    return float(values[rows > 350].mean() - values[rows < 180].mean())


def test_strain_per_cell() -> None:
    gradient = np.array([[0.02, 0.01], [-0.01, 0.0]])
    truth = monolayer(seed=6, counts=None)
    middle = (np.array(truth.image.shape) - 1) / 2
    # One half is deformed, the other is not: what is measured is the difference from the mean.
    lower = np.maximum(truth.points[:, :1] - middle[0], 0)
    bent = fit_lattice(truth.points + lower * [0.03, 0.0])
    assert lower_minus_upper(bent, bent.strain.strain[:, 0, 0]) == pytest.approx(0.03, rel=0.08)
    strained = fit_lattice(truth.points + (truth.points - middle) @ gradient.T)
    assert np.abs(strained.strain.gradient).max() < 1e-3
    assert strained.u == pytest.approx((np.eye(2) + gradient) @ fit_lattice(truth.points).u, rel=1e-3)
    turned = fit_lattice(truth.points + lower * [0.0, 0.02])
    # Displacement to the right that grows downwards turns counter-clockwise, by half the gradient.
    step = lower_minus_upper(turned, turned.strain.rotation)
    assert step == pytest.approx(np.rad2deg(0.01), rel=0.1)


def test_many_columns() -> None:
    rows, cols = np.mgrid[:217, :217].reshape(2, -1)  # their number squared is beyond 32 bits
    lattice = fit_lattice(np.stack([20.0 * rows, 20.0 * cols], axis=1))
    assert (lattice.sublattice == 0).all()
    assert len(np.unique(lattice.indices, axis=0)) == rows.size


def test_second_grain_is_left_out_and_told() -> None:
    for other in (10.0, 25.0):
        truth = monolayer(seed=0, grains=(0.0, other), counts=None)
        lattice = fit_lattice(truth.points)
        assert any("second grain" in text for text in lattice.warnings)
        on = lattice.sublattice >= 0
        assert on[truth.grain == 0].mean() > 0.98
        assert on[truth.grain == 1].mean() < 0.4
        # The lattice's cells end where its grain does.
        centers = lattice.polygons(lattice.cells).mean(axis=1)
        near = np.linalg.norm(centers[:, None] - truth.points, axis=2).argmin(axis=1)
        assert (truth.grain[near] == 0).mean() > 0.85


def test_duplicates_count_once() -> None:
    points = monolayer(seed=0, counts=None).points
    twice = fit_lattice(np.concatenate([points, points[:50]]))
    assert (twice.sublattice[len(points) :] == -1).all()
    assert "50 of the" in twice.warnings[0]


def test_host_result_for_any_namespace(xp_array: Callable[[Any], Any]) -> None:
    points = monolayer(shape=(200, 200), seed=1, counts=None).points
    lattice = fit_lattice(xp_array(points))
    assert isinstance(lattice.indices, np.ndarray)
    assert (lattice.indices == fit_lattice(points).indices).all()


def test_drift_map_inverts_and_differentiates() -> None:
    rng = np.random.default_rng(0)
    q = rng.uniform(-12, 12, (400, 2))
    points = q @ np.array([[1.0, 21.0], [-19.0, -10.0]]) + 0.03 * q**2 + rng.normal(0, 0.05, q.shape)
    points[:40] += rng.normal(0, 8, (40, 2))
    drift, distance = choose_drift(q, points, 4)
    assert drift.degree == 2
    assert np.median(distance[40:]) < 0.1
    assert np.abs(drift.inverse(drift(q)) - q).max() < 1e-9
    step = 1e-5
    slope = np.stack([(drift(q + d) - drift(q - d)) / (2 * step) for d in np.eye(2) * step], axis=2)
    assert np.abs(slope - drift.jacobian(q)).max() < 1e-6
    assert np.abs(fit_drift(q, q, 1)[0].departure(q)).max() < 1e-12
    assert isinstance(drift, DriftMap)


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (RNG.uniform(0, 512, (800, 2)), "no lattice.*voronoi_cells"),
        (np.outer(np.arange(40.0), [1.0, 1.0]), "no lattice"),
        (RNG.uniform(0, 50, (11, 2)), "only 11 different points.*at least 12"),
        (np.zeros((50, 2)), "only 1 different points"),
        (np.zeros((50, 3)), r"shape \(50, 3\)"),
        (np.full((20, 2), np.nan), "NaN or infinite"),
        (np.array([["a", "b"]]), "real numbers"),
    ],
)
def test_what_has_no_lattice(points: np.ndarray, says: str) -> None:
    with pytest.raises(StageError, match=says) as error:
        fit_lattice(points)
    assert error.value.stage == "lattice"


def test_bad_options() -> None:
    points = grid((0.0, 20.0), (-20.0, 0.0))
    with pytest.raises(StageError, match="extent"):
        fit_lattice(points, extent=((10, 10), (0, 0)))
    with pytest.raises(StageError, match="labels has shape"):
        fit_lattice(points, labels=np.zeros(3, int))


def test_a_dozen_points() -> None:
    i, j = np.meshgrid(np.arange(4), np.arange(3))
    lattice = fit_lattice(20.0 * np.stack([i, j], axis=-1).reshape(-1, 2))
    assert lattice.kind == "square"
    assert len(np.unique(lattice.indices, axis=0)) == 12
