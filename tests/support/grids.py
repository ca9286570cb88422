"""Crystals made from index grids, so that what each cell holds is known."""

from __future__ import annotations

import functools

import numpy as np

from motifgpu.structure.cells import Cells, motif_cells
from motifgpu.structure.lattice import Lattice, fit_lattice

HONEYCOMB = np.array([[2 / 3, 1 / 3], [1 / 3, 2 / 3]])


def vectors(degrees: float, hexagonal: bool = True, length: float = 20.0) -> np.ndarray:
    """Return u and v in the rows, as (row, col)."""
    turns = np.deg2rad([degrees, degrees + (120 if hexagonal else 90)])
    return length * np.stack([-np.sin(turns), np.cos(turns)], axis=1)


def square_cells(types: np.ndarray, reading: str = "slots") -> Cells:
    """Return the cells of a square lattice whose cell (i, j) holds the motif ``types[j, i]``."""
    return motif_cells(_square(types.shape), types.T.reshape(-1), reading=reading)


@functools.cache
def _square(shape: tuple[int, int]) -> Lattice:
    i, j = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]), indexing="ij")
    points = np.stack([-10.0 * j, 10.0 * i], axis=-1).reshape(-1, 2)
    extent = points.min(axis=0) - 1, points.max(axis=0) + 1
    return fit_lattice(points, extent=extent)


def cell_grid(cells: Cells, values: np.ndarray, fill: int = -1) -> np.ndarray:
    """Return the values of cells on the grid of their indices."""
    assert cells.indices is not None
    first = cells.indices.min(axis=0)
    grid = np.full(cells.indices.max(axis=0) + 1 - first, fill)
    grid[tuple((cells.indices - first).T)] = values
    return grid
