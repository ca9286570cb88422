"""Connected pieces of cells that are not the crystal's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from motifgpu.core.errors import StageError
from motifgpu.structure.cells import Cells


@dataclass(frozen=True, eq=False)
class Components:
    """Connected non-dominant cells.

    Attributes
    ----------
    component : (c,) int64 ndarray
        Component of each cell, numbered by their first cells; -1 for dominant cells.
    sizes : (k,) int64 ndarray
        Cells in each component.
    truncated : (k,) bool ndarray
        Components that touch a place where no complete cell is: what they are is not known.
    dominant : (t,) bool ndarray
        Which types of cell are dominant.
    """

    component: np.ndarray
    sizes: np.ndarray
    truncated: np.ndarray
    dominant: np.ndarray


def dominant_types(cells: Cells, dominant: float | None) -> np.ndarray:
    """Say which types (t,) are the crystal's own.

    Parameters
    ----------
    cells : Cells
    dominant : float or None
        All types that hold at least this fraction of the cells, 0 to 1; None for the most frequent type
        alone.

    Returns
    -------
    (t,) bool ndarray

    Raises
    ------
    StageError
        If the fraction is not above 0 and at most 1.
    """
    chosen = np.zeros(len(cells.contents), bool)
    if dominant is None:
        chosen[0] = True
        return chosen
    if not 0 < dominant <= 1:
        raise StageError("hierarchy", f"dominant is {dominant!r}", "give a fraction above 0 and at most 1")
    return cells.counts >= dominant * len(cells)


def find_components(
    cells: Cells,
    neighborhood: int | None,
    *,
    dominant: float | None = None,
    connect: str = "nondominant",
) -> Components:
    """Connect non-dominant cells to their neighbours until none is left to connect.

    Parameters
    ----------
    cells : Cells
    neighborhood : {4, 6} or None
        As in `Cells.neighbors`; None for Voronoi cells.
    dominant : float, optional
        As in `dominant_types`.
    connect : {"nondominant", "same"}
        Connect a cell to any non-dominant neighbour (Methods), or to those of its own type only ("connected
        to similar adjacent motif-cells" in the main text).

    Returns
    -------
    Components

    Raises
    ------
    StageError
        If an option is unknown or out of range.

    Notes
    -----
    Steps 3 and 5 of the paper's construction (Methods).
    """
    if connect not in ("nondominant", "same"):
        raise StageError("hierarchy", f"there is no connect {connect!r}", "choose nondominant or same")
    ours = dominant_types(cells, dominant)
    free = ~ours[cells.types]
    pairs, open_ = cells.neighbors(neighborhood)
    joined = free[pairs].all(axis=1)
    if connect == "same":
        joined &= cells.types[pairs[:, 0]] == cells.types[pairs[:, 1]]
    kept = pairs[joined]
    graph = coo_array((np.ones(len(kept), bool), (kept[:, 0], kept[:, 1])), shape=(len(cells),) * 2)
    part = connected_components(graph, directed=False)[1]
    component = np.full(len(cells), -1, np.int64)
    rows = np.flatnonzero(free)
    _, first, number = np.unique(part[rows], return_index=True, return_inverse=True)
    rank = np.empty_like(first)
    rank[np.argsort(first)] = np.arange(len(first))
    component[rows] = rank[number]
    truncated = np.zeros(len(first), bool)
    truncated[component[rows[open_[rows]]]] = True
    return Components(component, np.bincount(component[rows], minlength=len(first)), truncated, ours)
