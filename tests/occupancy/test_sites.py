from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from motifgpu import simulate
from motifgpu.columns.find import find_columns
from motifgpu.columns.patch_size import estimate_patch_size
from motifgpu.core.errors import StageError
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import zernike_moments
from motifgpu.motifs.find import find_motifs
from motifgpu.occupancy.sites import SiteGrid, classify_sites, site_grid
from motifgpu.occupancy.statistics import EXCLUDED, occupancy_statistics
from motifgpu.simulate import TilingSimulation


def agreement(found: SiteGrid, truth: TilingSimulation) -> tuple[float, float, float]:
    """Share of sites in view that are sites, of true centres found, and of states that are right."""
    places = found.centers[found.in_view]
    distance, nearest = cKDTree(truth.centers).query(places)
    near = distance < 5
    state = found.grid[found.in_view][near] == truth.states[nearest[near]]
    return float(near.mean()), len(set(nearest[near].tolist())) / len(truth.centers), float(state.mean())


def numbering_is_a_grid(found: SiteGrid, truth: TilingSimulation) -> bool:
    """Whether rows and columns are those of the truth, but for a shift and a turn by quarters."""
    index = np.argwhere(found.in_view)
    _, nearest = cKDTree(truth.centers).query(found.centers[found.in_view])
    design = np.column_stack([index, np.ones(len(index))])
    fit = np.linalg.lstsq(design, truth.indices[nearest].astype(float), rcond=None)[0]
    turn = np.round(fit[:2])
    return bool(np.abs(design @ fit - truth.indices[nearest]).max() < 1e-6 and abs(np.linalg.det(turn)) == 1)


@pytest.mark.parametrize(
    "angle", [0.0, 7.0, *(pytest.param(angle, marks=pytest.mark.slow) for angle in (40.0, 88.0)), 200.0]
)
def test_grid_of_a_tiling_is_exact(angle: float) -> None:
    truth = simulate.tiling(angle=angle, disorder=0.02, counts=None, seed=3)
    found = site_grid(truth.points, truth.labels, filled=1)
    near, covered, right = agreement(found, truth)
    assert near > 0.98
    assert covered > 0.95
    assert right == 1
    assert numbering_is_a_grid(found, truth)
    assert (found.grid[~found.in_view] == EXCLUDED).all()


def test_predicted_empty_sites_may_be_columns(xp_array: Callable[[Any], Any]) -> None:
    truth = simulate.tiling(shape=(320, 320), disorder=0.02, counts=None, seed=4)
    hollow = truth.centers[truth.states == 0]
    points = np.concatenate([truth.points, hollow])
    labels = np.concatenate([truth.labels, np.full(len(hollow), 5)])
    found = site_grid(xp_array(points), xp_array(labels), filled=[1], hollow=[5])
    assert agreement(found, truth)[2] == 1
    swapped = site_grid(points, labels, filled=5, hollow=1)
    assert (swapped.grid == 1).sum() == (found.grid == 0).sum()


def test_motifs_found_without_truth_give_the_grid() -> None:
    """From the image to the grid: the user says only which motifs are the filled and the hollow sites."""
    truth = simulate.tiling(counts=30.0, angle=5.0, disorder=0.02, seed=1)
    columns = find_columns(truth.image).points
    patches, inside = extract_patches(truth.image, columns, round(estimate_patch_size(truth.image).pixels))
    points = columns[inside]
    motifs = find_motifs(zernike_moments(patches)).labels
    distance, nearest = cKDTree(truth.points).query(points)
    identity = np.where(distance < 5, truth.labels[nearest], 3)  # 3 where no column is: a hollow site
    mostly = [int(np.bincount(identity[motifs == motif]).argmax()) for motif in range(motifs.max() + 1)]
    found = site_grid(
        points,
        motifs,
        filled=[motif for motif, kind in enumerate(mostly) if kind == 1],
        hollow=[motif for motif, kind in enumerate(mostly) if kind == 3],
    )
    near, covered, right = agreement(found, truth)
    assert near > 0.98
    assert covered > 0.8  # patches as wide as a cell do not fit at the border
    assert right > 0.99


def test_composition_and_entropy_survive_the_way() -> None:
    order = simulate.occupancy_grid("ising", (24, 24), coupling=0.35, excluded=0.043, seed=5)
    truth = simulate.tiling(order.grid, angle=5.0, counts=None, seed=5)
    found = site_grid(truth.points, truth.labels, filled=1)
    states = found.grid[found.in_view]
    for state in (0, 1, EXCLUDED):
        assert (states == state).mean() == pytest.approx((truth.states == state).mean(), abs=0.02)
    assert occupancy_statistics(found.grid, 2).null.p_value < 0.01


def test_sites_of_a_plain_lattice() -> None:
    rng = np.random.default_rng(0)
    places = 12.0 * np.argwhere(np.ones((15, 18))) + rng.normal(0, 0.3, (270, 2)) + 20
    labels = (rng.random(270) < 0.4).astype(int)
    found = site_grid(places, labels, filled=1, hollow=0)
    np.testing.assert_array_equal(found.grid, labels.reshape(15, 18))


@pytest.mark.parametrize("counts", [10.0, 30.0])
def test_sites_are_classified_by_their_patch(counts: float) -> None:
    truth = simulate.tiling(counts=counts, disorder=0.02, seed=6)
    states = classify_sites(truth.image, truth.centers, 20.0)
    inside = ((truth.centers > 10) & (truth.centers < 757)).all(axis=1)
    assert (states[inside] == truth.states[inside]).mean() > 0.98
    assert (states[~inside] == EXCLUDED).all()
    two = simulate.tiling(np.array([[0, 1], [1, 0]]), counts=counts, seed=6)
    states = classify_sites(two.image, two.centers, 20.0)
    inside = ((two.centers > 10) & (two.centers < 757)).all(axis=1)
    assert (states[inside] == two.states[inside]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filled": 9}, "there is no motif 9; choose among \\[0, 1, 2\\]"),
        ({"hollow": 8}, "there is no motif 8"),
        ({"hollow": 1}, "filled motifs are \\[1\\] and hollow ones \\[1\\]"),
        ({"filled": []}, "choose at least one filled motif"),
        ({"labels": np.zeros(3, int)}, "labels \\(3,\\)"),
        ({"labels": np.zeros(3)}, "float64"),
        ({"filled": 2}, "0 of the 10 sites of the cell mostly hold the chosen motifs"),
    ],
)
def test_bad_choices_are_named(change: dict[str, Any], message: str) -> None:
    truth = simulate.tiling(counts=None, seed=3)
    arguments: dict[str, Any] = {"points": truth.points, "labels": truth.labels, "filled": 1} | change
    with pytest.raises(StageError, match=f"^occupancy: .*{message}"):
        site_grid(**arguments)


def test_bad_points_are_named() -> None:
    points = 10.0 * np.argwhere(np.ones((8, 5)))
    labels = np.arange(40) % 2
    with pytest.raises(StageError, match=r"^lattice: there are only 10"):
        site_grid(points[:10], labels[:10], 1, 0)
    points[3] = np.nan
    with pytest.raises(StageError, match=r"^occupancy: points has 2 of 80 values that are NaN"):
        site_grid(points, labels, 1, 0)


def test_bad_patches_are_named() -> None:
    with pytest.raises(StageError, match=r"^occupancy: 0 sites have a patch inside"):
        classify_sites(np.zeros((64, 64)), np.zeros((10, 2)), 20.0)
    with pytest.raises(StageError, match=r"^occupancy: the patches of all sites are equal"):
        classify_sites(np.zeros((64, 64)), np.full((10, 2), 30.0), 20.0)
