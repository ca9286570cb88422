"""Motif-cells: what the cells of a lattice, or Voronoi cells, contain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.structure.lattice import Lattice
from motifgpu.structure.voronoi import VoronoiTiling, voronoi_tiling

UNASSIGNED, MISSING = -1, -2

Content = tuple[int, ...]

# Steps from a cell to its neighbours, one of each pair of opposite steps.
STEPS = {4: ((1, 0), (0, 1)), 6: ((1, 0), (0, 1), (1, 1))}


def default_neighborhood(lattice: Lattice) -> int:
    """Return how many neighbours a cell of a lattice has unless told otherwise."""
    return 6 if lattice.kind == "hexagonal" else 4


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells that are complete in view and their contents; the arrays of length c have one row per cell.

    Attributes
    ----------
    contents : tuple of tuple of int
        Each type of cell: the motif in every slot, `MISSING` (-2) where no point is, `UNASSIGNED` (-1) where
        a point has no motif. In order of frequency, then of the numbers. A set of motifs is written in order
        and filled up with `MISSING`.
    types : (c,) int64 ndarray
        Type of each cell.
    counts : (t,) int64 ndarray
        Cells of each type.
    reading : {"slots", "set"}
        Whether a cell is what its slots hold, or the set of motifs in it.
    centers : (c, 2) float64 ndarray
        Middle of each cell as (row, col), px.
    polygons : sequence of c (k, 2) float64 ndarray
        Corners of each cell in order around it, px.
    members : (c, m) int64 ndarray
        Row of the point in each slot, -1 where there is none.
    points, labels : (n, 2) float64, (n,) int64 ndarray
        All points, px, and their motifs.
    indices : (c, 2) int64 ndarray or None
        Lattice index (i, j) of each cell; None for Voronoi cells.
    slots : (m,) int64 ndarray
        Sublattice that each slot is: sublattices in order of their commonest motif, so that slots mean the
        same in all micrographs that share their motifs.
    lattice : Lattice or None
    tiling : VoronoiTiling or None

    Examples
    --------
    Every complete cell of a monolayer holds one metal and one chalcogen column:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192))
    >>> cells = motifgpu.motif_cells(motifgpu.fit_lattice(made.points), made.labels)
    >>> cells.contents
    ((0, 1),)
    >>> cells.members.shape == (len(cells.types), 2)
    True
    >>> cells.polygons[0].shape
    (4, 2)
    """

    contents: tuple[Content, ...]
    types: np.ndarray
    counts: np.ndarray
    reading: str
    centers: np.ndarray
    polygons: Any
    members: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    indices: np.ndarray | None
    slots: np.ndarray
    lattice: Lattice | None
    tiling: VoronoiTiling | None

    def __repr__(self) -> str:
        kind = "Voronoi" if self.lattice is None else self.lattice.kind
        return f"<{len(self):,} {kind} cells of {len(self.contents)} kinds>"

    def __len__(self) -> int:
        return len(self.types)

    def neighbors(self, neighborhood: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return which cells touch, and which touch a place where no complete cell is.

        Parameters
        ----------
        neighborhood : {4, 6}, optional
            Neighbours of a cell: the von Neumann neighbourhood (i +- 1, j), (i, j +- 1), as in the paper, or
            with (i + 1, j + 1) and (i - 1, j - 1) also, the six nearest of a hexagonal lattice; by default 6
            on hexagonal lattices and 4 on others. Without effect on Voronoi cells, whose neighbours are those
            of the tiling.

        Returns
        -------
        pairs : (e, 2) int64 ndarray
            Rows of cells that touch, the lower row first.
        open : (c,) bool ndarray
            Cells one of whose neighbours is not there.

        Raises
        ------
        StageError
            If the neighbourhood is neither 4 nor 6.

        Examples
        --------
        Away from the border a cell has four neighbours, or six:

        >>> import motifgpu
        >>> import numpy as np
        >>> made = motifgpu.simulate.monolayer(shape=(192, 192))
        >>> cells = motifgpu.motif_cells(motifgpu.fit_lattice(made.points), made.labels)
        >>> for neighborhood in (4, 6):
        ...     pairs, at_border = cells.neighbors(neighborhood)
        ...     number = np.bincount(pairs.ravel(), minlength=len(at_border))
        ...     print(set(number[~at_border].tolist()))
        {4}
        {6}
        """
        if self.tiling is not None:
            complete = np.flatnonzero(self.tiling.complete)
            row = np.full(len(self.tiling.points), -1)
            row[complete] = np.arange(len(complete))
            pairs = row[self.tiling.pairs]
            open_ = np.zeros(len(self), bool)
            open_[pairs[(pairs[:, 0] >= 0) & (pairs[:, 1] < 0), 0]] = True
            open_[pairs[(pairs[:, 1] >= 0) & (pairs[:, 0] < 0), 1]] = True
            return pairs[(pairs >= 0).all(axis=1)], open_
        assert self.indices is not None
        assert self.lattice is not None
        if neighborhood is None:
            neighborhood = default_neighborhood(self.lattice)
        if neighborhood not in STEPS:
            raise StageError("cells", f"neighborhood is {neighborhood!r}", "choose 4 or 6, or leave it out")
        first = self.indices.min(axis=0) - 1
        grid = np.full(self.indices.max(axis=0) + 2 - first, -1, np.int64)
        place = self.indices - first
        grid[tuple(place.T)] = np.arange(len(self))
        found = []
        open_ = np.zeros(len(self), bool)
        for step in STEPS[neighborhood]:
            after, before = (grid[tuple((place + sign * np.array(step)).T)] for sign in (1, -1))
            open_ |= (after < 0) | (before < 0)
            has = np.flatnonzero(after >= 0)
            found.append(np.stack([has, after[has]], axis=1))
        return np.sort(np.concatenate(found), axis=1), open_


def motif_cells(lattice: Lattice, labels: Any, *, reading: str = "slots") -> Cells:
    """Determine the content of each cell of a lattice.

    Parameters
    ----------
    lattice : Lattice
        From `motifgpu.fit_lattice`.
    labels : (n,) int array
        Motif of each of the lattice's points, -1 for unassigned.
    reading : {"slots", "set"}
        ``"slots"`` distinguishes cells by the motif on each sublattice. ``"set"`` is the paper's literal "set
        membership of their motifs", which cannot tell {M, X} from {M, X, X}, nor where a motif is.

    Returns
    -------
    Cells
        Cells all of whose sites are in view; those at the border are left out.

    Raises
    ------
    StageError
        If the labels do not fit the points, the reading is unknown, or no cell is complete.

    Notes
    -----
    Steps 2 and 3 of the paper's construction (Methods).

    Examples
    --------
    What the cells of MoSe2 with vacancies hold, the most frequent first:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), vacancies=0.1)
    >>> cells = motifgpu.motif_cells(motifgpu.fit_lattice(made.points), made.labels)
    >>> [[made.names[label] for label in content] for content in cells.contents]
    [['Mo', 'Se2'], ['Mo', 'V_Se']]
    """
    if reading not in ("slots", "set"):
        raise StageError("cells", f"there is no reading {reading!r}", "choose slots or set")
    motifs = checked_labels(labels, len(lattice.points))
    if len(lattice.cells) == 0:
        raise StageError("cells", "no cell of the lattice is complete in view", "give a larger field of view")
    slots = _slot_order(lattice, motifs)
    members = lattice.occupants[:, slots]
    table = np.where(members >= 0, motifs[members], MISSING)
    if reading == "set":
        # Each motif once, in order, and the places of repeats at the end.
        table = np.sort(table, axis=1)
        again = np.zeros(table.shape, bool)
        again[:, 1:] = table[:, 1:] == table[:, :-1]
        table = np.where(again | (table == MISSING), np.iinfo(np.int64).max, table)
        table = np.sort(table, axis=1)
        table[table == np.iinfo(np.int64).max] = MISSING
    contents, types, counts = _types(table)
    polygons = lattice.polygons(lattice.cells)
    return Cells(
        contents=contents,
        types=types,
        counts=counts,
        reading=reading,
        centers=polygons.mean(axis=1),
        polygons=polygons,
        members=members,
        points=lattice.points,
        labels=motifs,
        indices=lattice.cells,
        slots=slots,
        lattice=lattice,
        tiling=None,
    )


def voronoi_cells(points: Any, labels: Any) -> Cells:
    """Make a cell of the region nearest to each point, for samples without a lattice.

    Parameters
    ----------
    points : (n, 2) array
        Atom columns as (row, col), px.
    labels : (n,) int array
        Motif of each, -1 for unassigned.

    Returns
    -------
    Cells
        A cell for each point whose region is complete in view, with one slot.

    Raises
    ------
    StageError
        If the points have no Voronoi tiling (`motifgpu.structure.voronoi.voronoi_tiling`), the labels do not
        fit them, or no cell is complete.

    Examples
    --------
    Every atom column has a cell of its own, whose content is its motif:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), lattice_constant=12.0, vacancies=0.05)
    >>> cells = motifgpu.voronoi_cells(made.points, made.labels)
    >>> [made.names[slot] for (slot,) in cells.contents]
    ['Mo', 'Se2', 'V_Se']
    """
    tiling = voronoi_tiling(points)
    motifs = checked_labels(labels, len(tiling.points))
    rows = np.flatnonzero(tiling.complete)
    if len(rows) == 0:
        raise StageError("cells", "no Voronoi cell is complete in view", "give a larger field of view")
    contents, types, counts = _types(motifs[rows, None])
    return Cells(
        contents=contents,
        types=types,
        counts=counts,
        reading="slots",
        centers=tiling.points[rows],
        polygons=[tiling.polygons[row] for row in rows],
        members=rows[:, None],
        points=tiling.points,
        labels=motifs,
        indices=None,
        slots=np.zeros(1, np.int64),
        lattice=None,
        tiling=tiling,
    )


def checked_labels(labels: Any, n: int) -> np.ndarray:
    """Return the labels (n,) on the host, or say what is wrong with them."""
    given = np.asarray(namespace.to_numpy(labels))
    if given.shape != (n,):
        raise StageError(
            "cells", f"labels has shape {given.shape} for {n} points", "give one label per point"
        )
    if given.dtype.kind not in "biu" or (len(given) and given.min() < UNASSIGNED):
        what = given.dtype if given.dtype.kind not in "biu" else f"a label {given.min()}"
        raise StageError("cells", f"labels has {what}", "give whole numbers from 0 on, or -1 for unassigned")
    return given.astype(np.int64)


def _slot_order(lattice: Lattice, motifs: np.ndarray) -> np.ndarray:
    """Return the sublattices in order of their commonest motif."""
    commonest = []
    for sublattice in range(lattice.n_sublattices):
        held = motifs[(lattice.sublattice == sublattice) & (motifs >= 0)]
        commonest.append(int(np.bincount(held).argmax()) if len(held) else np.iinfo(np.int64).max)
    return np.argsort(commonest, kind="stable")


def _types(table: np.ndarray) -> tuple[tuple[Content, ...], np.ndarray, np.ndarray]:
    """Return the distinct rows of `table` by frequency, the type of each row, and how many have each."""
    distinct, inverse, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    contents = tuple(tuple(int(label) for label in distinct[k]) for k in order)
    return contents, rank[inverse.reshape(-1)], counts[order]
