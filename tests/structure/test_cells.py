"""What motif-cells hold, which of them touch, and the components of non-dominant ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from support.animals import expected_components
from support.grids import cell_grid, square_cells

from motifgpu.core.errors import StageError
from motifgpu.simulate import monolayer
from motifgpu.structure.cells import MISSING, motif_cells, voronoi_cells
from motifgpu.structure.hierarchy.components import find_components
from motifgpu.structure.lattice import fit_lattice
from motifgpu.structure.voronoi import voronoi_tiling

STRUCTURE = {
    4: np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]),
    6: np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]]),
}


def test_contents_by_slot() -> None:
    truth = monolayer(seed=1, vacancies=0.05, divacancies=0.02, dopants={"Fe": 0.03}, counts=None)
    lattice = fit_lattice(truth.points[truth.occupied])
    labels = truth.labels[truth.occupied]
    cells = motif_cells(lattice, labels)
    assert cells.contents[0] == (0, 1)
    assert len(cells) == cells.counts.sum() == len(lattice.cells)
    assert (np.diff(cells.counts) <= 0).all()
    held = np.where(cells.members >= 0, labels[cells.members], MISSING)
    assert (held == np.array(cells.contents)[cells.types]).all()
    # Metal first, because it is motif 0, whichever sublattice that is.
    assert set(held[:, 0]) <= {0, 4}
    assert set(held[:, 1]) == {1, 2, MISSING}
    gap = np.linalg.norm(cells.centers[:, None] - truth.points[truth.labels == 3], axis=2).min(axis=1)
    assert (gap[held[:, 1] == MISSING] < 10).all()


def test_reading_as_a_set() -> None:
    types = np.zeros((8, 8), int)
    types[3, 3] = 1
    cells = square_cells(types)
    assert cells.contents == ((0,), (1,))
    truth = monolayer(seed=1, vacancies=0.1, counts=None)
    lattice = fit_lattice(truth.points)
    both = np.zeros(len(truth.points), int)
    as_set = motif_cells(lattice, both, reading="set")
    assert as_set.contents == ((0, MISSING),)
    swapped = np.where(truth.sublattice == 0, truth.labels, 1 - np.minimum(truth.labels, 1))
    assert len(motif_cells(lattice, swapped, reading="set").contents) <= 2


@pytest.mark.parametrize("neighborhood", [4, 6])
@pytest.mark.parametrize("p", [0.1, 0.35, 0.6])
def test_components_are_those_of_a_labelling(neighborhood: int, p: float) -> None:
    rng = np.random.default_rng(int(100 * p) + neighborhood)
    for _ in range(4):
        types = (rng.random((24, 31)) < p).astype(int)
        cells = square_cells(types)
        dominant = cells.contents[0][0]
        found = find_components(cells, neighborhood)
        free = cell_grid(cells, cells.types != 0) == 1
        oracle, n = ndimage.label(free, STRUCTURE[neighborhood])
        ours = cell_grid(cells, found.component)
        assert len(found.sizes) == n
        pairs = np.unique(np.stack([oracle[free], ours[free]]), axis=1)
        assert pairs.shape[1] == n
        assert (ours[~free] == -1).all()
        assert (found.sizes == np.bincount(ours[free], minlength=n)).all()
        rim = np.unique(np.concatenate([ours[0], ours[-1], ours[:, 0], ours[:, -1]]))
        assert (np.flatnonzero(found.truncated) == rim[rim >= 0]).all()
        assert dominant in (0, 1)


@pytest.mark.parametrize(("neighborhood", "p"), [(4, 0.1), (4, 0.25), (6, 0.1), (6, 0.2)])
def test_numbers_of_components_are_those_of_lattice_animals(neighborhood: int, p: float) -> None:
    rng = np.random.default_rng(7)
    seen = []
    for _ in range(24):
        types = (rng.random((40, 40)) < p).astype(int)
        found = find_components(square_cells(types), neighborhood)
        seen.append(np.bincount(found.sizes[~found.truncated], minlength=6)[1:6])
    mean, error = np.mean(seen, axis=0), np.std(seen, axis=0, ddof=1) / np.sqrt(len(seen))
    expected = np.array(expected_components((40, 40), p, 5, neighborhood))
    often = expected * len(seen) >= 10
    assert often[:3].all()
    assert (np.abs(mean - expected)[often] <= 4 * error[often]).all()


def test_cells_have_six_neighbours_on_hexagonal_lattices_and_four_on_others() -> None:
    truth = monolayer(seed=0, counts=None)
    hexagonal = motif_cells(fit_lattice(truth.points), truth.labels)
    square = square_cells(np.zeros((6, 6), int))
    for cells, usual in ((hexagonal, 6), (square, 4)):
        for found, expected in zip(cells.neighbors(), cells.neighbors(usual), strict=True):
            np.testing.assert_array_equal(found, expected)
        pairs, at_border = cells.neighbors()
        assert set(np.bincount(pairs.ravel(), minlength=len(cells))[~at_border]) == {usual}
    with pytest.raises(StageError, match="cells: neighborhood is 5; choose 4 or 6"):
        square.neighbors(5)


def test_holes_in_the_lattice_truncate() -> None:
    truth = monolayer(seed=0, grains=(0.0, 25.0), counts=None, vacancies=0.05)
    cells = motif_cells(fit_lattice(truth.points), truth.labels)
    found = find_components(cells, 6)
    _, open_ = cells.neighbors(6)
    rows = np.flatnonzero(open_ & (found.component >= 0))
    assert len(rows)
    assert found.truncated[found.component[rows]].all()


def test_connecting_equal_cells_only() -> None:
    types = np.zeros((9, 9), int)
    types[4, 2:7] = [1, 1, 2, 2, 1]
    cells = square_cells(types)
    assert find_components(cells, 4).sizes.tolist() == [5]
    assert sorted(find_components(cells, 4, connect="same").sizes.tolist()) == [1, 2, 2]


def test_dominant_by_fraction() -> None:
    types = np.zeros((20, 20), int)
    types[:, 10:] = 1
    types[5, 5], types[5, 15] = 2, 3
    cells = square_cells(types)
    assert len(find_components(cells, 4, dominant=0.2).sizes) == 2
    assert find_components(cells, 4, dominant=0.2).dominant.sum() == 2
    with pytest.raises(StageError, match="dominant is 0"):
        find_components(cells, 4, dominant=0)


def test_voronoi_tiling_of_a_lattice() -> None:
    i, j = np.meshgrid(np.arange(9.0), np.arange(9.0))
    rng = np.random.default_rng(0)
    points = 10 * np.stack([i, j], axis=-1).reshape(-1, 2) + rng.normal(0, 0.3, (81, 2))
    tiling = voronoi_tiling(points)
    # The four corners of a square's cell touch others in a point, jitter makes of it a short border.
    neighbors = np.bincount(tiling.pairs.reshape(-1), minlength=81)
    inner = tiling.complete & (np.abs(points - 40) < 25).all(axis=1)
    assert (neighbors[inner] == 4).all()
    assert inner.sum() == 25
    areas = [
        0.5 * abs(np.dot(p[:, 0], np.roll(p[:, 1], 1)) - np.dot(p[:, 1], np.roll(p[:, 0], 1)))
        for p, complete in zip(tiling.polygons, tiling.complete, strict=True)
        if complete
    ]
    assert np.allclose(areas, 100, rtol=0.2)


def test_voronoi_cells_and_their_components() -> None:
    truth = monolayer(seed=2, vacancies=0.08, counts=None)
    cells = voronoi_cells(truth.points, truth.labels)
    assert set(cells.contents) == {(0,), (1,), (2,)}
    found = find_components(cells, None, dominant=0.3)
    # Chalcogen sites do not touch, so that every vacancy is by itself.
    assert (found.sizes == 1).all()
    assert len(found.sizes) == (cells.labels[cells.members[:, 0]] == 2).sum()


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.zeros(5, int), r"labels has shape \(5,\)"),
        (None, "dtype|float"),
        (-3, "a label -3"),
    ],
)
def test_bad_labels(labels: Any, says: str) -> None:
    truth = monolayer(shape=(128, 128), counts=None)
    lattice = fit_lattice(truth.points)
    if labels is None:
        labels = truth.labels.astype(float)
    elif isinstance(labels, int):
        labels = np.full(len(truth.labels), labels)
    with pytest.raises(StageError, match=says) as error:
        motif_cells(lattice, labels)
    assert error.value.stage == "cells"


def test_bad_options_and_small_views() -> None:
    truth = monolayer(shape=(128, 128), counts=None)
    lattice = fit_lattice(truth.points)
    with pytest.raises(StageError, match="no reading 'bag'"):
        motif_cells(lattice, truth.labels, reading="bag")
    with pytest.raises(StageError, match="no connect"):
        find_components(motif_cells(lattice, truth.labels), 4, connect="all")
    narrow = fit_lattice(truth.points, extent=((40, 40), (50, 50)))
    with pytest.raises(StageError, match="no cell of the lattice is complete"):
        motif_cells(narrow, truth.labels)
    with pytest.raises(StageError, match="on a line"):
        voronoi_tiling(np.outer(np.arange(20.0), [1.0, 2.0]))
    with pytest.raises(StageError, match="only 3 different"):
        voronoi_tiling(np.eye(3)[:, :2])
