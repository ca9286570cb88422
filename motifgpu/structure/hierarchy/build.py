"""The hierarchy of motif-cells: shapes of connected non-dominant cells, and which lie in which.

The work is on the host; a micrograph has some hundreds of shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.shown import notebook_table, one_line
from motifgpu.structure.cells import Cells, Content, default_neighborhood
from motifgpu.structure.hierarchy.components import Components, find_components
from motifgpu.structure.hierarchy.duplicates import graph_nodes, shape_nodes
from motifgpu.structure.hierarchy.growth import Growth, growth
from motifgpu.structure.hierarchy.motif_cell import Context, MotifCell
from motifgpu.structure.hierarchy.shapes import PointGroup, point_group
from motifgpu.structure.hierarchy.subsets import contained_graphs, contained_shapes

# Above this share of non-dominant cells the number of shapes explodes, and those with more cells are left
# out.
_CROWDED, _MOST_CELLS = 0.30, 20


@dataclass(frozen=True, eq=False)
class Occurrences:
    """Where motif-cells occur; the arrays of length o have one row per occurrence.

    Attributes
    ----------
    node : (o,) int64 ndarray
        Motif-cell, as a place in `Hierarchy.nodes`.
    orientation : (o,) int64 ndarray
        Which of its orientations.
    micrograph : (o,) int64 ndarray
        0 for a hierarchy of one micrograph.
    positions : (o, 2) float64 ndarray
        Mean of the centres of its cells as (row, col), px.
    offsets : (o + 1,) int64 ndarray
        Its cells are ``cells[offsets[k]:offsets[k + 1]]``.
    cells : (e,) int64 ndarray
        Rows of the `Cells` of its micrograph.
    """

    node: np.ndarray
    orientation: np.ndarray
    micrograph: np.ndarray
    positions: np.ndarray
    offsets: np.ndarray
    cells: np.ndarray

    __repr__ = one_line

    def __len__(self) -> int:
        return len(self.node)

    def members(self, occurrence: int) -> np.ndarray:
        """Return the rows of the cells of one occurrence."""
        return self.cells[self.offsets[occurrence] : self.offsets[occurrence + 1]]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Motif-cells by level, where they occur, and which lie in which.

    Attributes
    ----------
    nodes : tuple of MotifCell
        By level, then the most frequent first, then by key.
    occurrences : Occurrences
    context : Context
    contents : dict of tuple of int to int
        How many cells have each content, the most frequent first.
    dominant : tuple of tuple of int
        Contents of the dominant cells, which are in no motif-cell; the first is the crystal's.
    truncated : int
        Components that are cut by the border or by a place without lattice; they are no motif-cells.
    dropped : int
        Components left out because they have too many cells.
    micrographs : int
        How many were merged.
    linking : int or str
        Which edges there are: the largest difference in level, ``"nearest"`` or ``"all"``.
    warnings : tuple of str
        What a reader of the results should know.

    Examples
    --------
    Where do pairs of vacancies occur, and which motif-cells contain them?

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), lattice_constant=12.0, vacancies=0.1)
    >>> cells = motifgpu.motif_cells(motifgpu.fit_lattice(made.points), made.labels)
    >>> hierarchy = motifgpu.build_hierarchy(cells)
    >>> pair = hierarchy.levels.tolist().index(2)
    >>> hierarchy.positions(pair).shape
    (2, 2)
    >>> larger = hierarchy.linked("all").edges
    >>> [hierarchy.nodes[node].level for node in larger[larger[:, 0] == pair, 1]]
    [4]
    """

    nodes: tuple[MotifCell, ...]
    occurrences: Occurrences
    context: Context
    contents: dict[Content, int]
    dominant: tuple[Content, ...]
    truncated: int
    dropped: int
    micrographs: int
    linking: int | str
    warnings: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        return (
            f"<Hierarchy of {len(self.nodes)} motif-cells in {len(self.occurrences):,} places of "
            f"{self.n_cells:,} cells>"
        )

    def _repr_html_(self) -> str:
        at = [self.levels == level for level in np.unique(self.levels)]
        rows = [(self.levels[here][0], here.sum(), self.counts[here].sum()) for here in at]
        return notebook_table(repr(self).strip("<>"), ("level", "motif-cells", "places"), rows)

    @property
    def n_cells(self) -> int:
        """Number of complete cells, the dominant ones included."""
        return sum(self.contents.values())

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of occurrences (d,) of each motif-cell."""
        return np.array([node.count for node in self.nodes], np.int64)

    @cached_property
    def levels(self) -> np.ndarray:
        """Level (d,) of each motif-cell."""
        return np.array([node.level for node in self.nodes], np.int64)

    @cached_property
    def edges(self) -> np.ndarray:
        """Pairs (e, 2) of places in `nodes`, the lower level first: the one lies in the other.

        Step 7 of the paper's construction: by translation alone, any observed orientation of the one in any
        observed orientation of the other. Computed when first used.
        """
        contained = contained_graphs if self.context.symmetry == "graph" else contained_shapes
        return contained(self.nodes, self.linking)

    @cached_property
    def growth(self) -> Growth:
        """Number of distinct motif-cells against level, and how fast it rises."""
        return growth(self.levels, self.counts)

    def positions(self, node: int) -> np.ndarray:
        """Return where (count, 2) px a motif-cell occurs."""
        places: np.ndarray = self.occurrences.positions[self.occurrences.node == node]
        return places

    def linked(self, linking: int | str) -> Hierarchy:
        """Return the same hierarchy with other edges, `linking` as in `build_hierarchy`."""
        return replace(self, linking=_linking(linking))


def build_hierarchy(
    cells: Cells,
    *,
    neighborhood: int | str = "auto",
    symmetry: str = "auto",
    dominant: float | None = None,
    connect: str = "nondominant",
    linking: int | str = "nearest",
    max_cells: int | None = None,
) -> Hierarchy:
    """Compose the cells that are not the crystal's into motif-cells of increasing size.

    Parameters
    ----------
    cells : Cells
        From `motifgpu.motif_cells` or `motifgpu.voronoi_cells`.
    neighborhood : {"auto", 4, 6}
        Which cells are adjacent, see `motifgpu.Cells.neighbors`: 4 is the paper's von Neumann
        neighbourhood, ``"auto"`` is 6 on hexagonal lattices and 4 on others.
    symmetry : {"auto", "lattice", "rotations90", "translations"}
        What makes two motif-cells duplicates, see `motifgpu.structure.hierarchy.shapes.point_group`: the
        lattice's own point group, site by site (default), or the paper's rotations by 90 degrees of the grid
        of indices. Voronoi cells have ``"auto"`` only: equal labelled graphs.
    dominant : float, optional
        Leave out all types of cell that hold at least this fraction of the cells, by default the most
        frequent one alone.
    connect : {"nondominant", "same"}
        Connect cells to all their non-dominant neighbours (Methods), or to those of their own type.
    linking : {"nearest", "all"} or int
        Edges join a motif-cell to those that lie in it: of the highest such level (Fig. S15), of all, or of
        levels that differ by this number at most (Methods).
    max_cells : int, optional
        Leave out components with more cells. By default none, and those above 20 cells where more than 30 %
        of the cells are not dominant.

    Returns
    -------
    Hierarchy
        Without nodes where all cells are dominant; `Hierarchy.warnings` says so.

    Raises
    ------
    StageError
        If an option is unknown or does not fit the cells.

    Notes
    -----
    Steps 3 to 7 of the paper's construction (Methods). The neighbours of a component at the border are not
    known: such components are counted in `Hierarchy.truncated` and are no motif-cells.

    Examples
    --------
    Vacancies in MoSe2 that stand side by side are motif-cells of higher levels:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), lattice_constant=12.0, vacancies=0.1)
    >>> cells = motifgpu.motif_cells(motifgpu.fit_lattice(made.points), made.labels)
    >>> hierarchy = motifgpu.build_hierarchy(cells)
    >>> for level, count in zip(hierarchy.levels, hierarchy.counts, strict=True):
    ...     print(f"{level} cells: {count} times")
    1 cells: 11 times
    2 cells: 2 times
    3 cells: 1 times
    4 cells: 1 times
    """
    group, context = _context(cells, neighborhood, symmetry, connect)
    found = find_components(cells, context.neighborhood or None, dominant=dominant, connect=connect)
    warnings = []
    share = float(np.mean(found.component >= 0))
    if share > _CROWDED and max_cells is None:
        max_cells = _MOST_CELLS
    small = found.sizes <= (np.inf if max_cells is None else max_cells)
    kept = np.flatnonzero(small & ~found.truncated)
    dropped = int(np.sum(~small & ~found.truncated))
    if share == 0:
        warnings.append(f"all {len(cells)} cells are dominant: there is no motif-cell")
    elif share > _CROWDED:
        warnings.append(
            f"{share:.0%} of the cells are not dominant, above {_CROWDED:.0%}, as where defects are crowded"
            " or several grains are in view: the number of distinct motif-cells explodes"
            + (f"; {dropped} components of more than {max_cells} cells are left out" if dropped else "")
        )
    rows, shape = _members(found, kept)
    if context.symmetry == "graph":
        nodes, node, orientation = graph_nodes(cells, rows, shape, len(kept))
    else:
        assert group is not None
        nodes, node, orientation = shape_nodes(cells, rows, shape, group, context)
    offsets = np.searchsorted(shape, np.arange(len(kept) + 1))
    sums = np.zeros((len(kept), 2))
    np.add.at(sums, shape, cells.centers[rows])
    occurrences = Occurrences(
        node=node,
        orientation=orientation,
        micrograph=np.zeros(len(kept), np.int64),
        positions=sums / np.maximum(np.diff(offsets), 1)[:, None],
        offsets=offsets,
        cells=rows,
    )
    return Hierarchy(
        nodes=nodes,
        occurrences=occurrences,
        context=context,
        contents={c: int(n) for c, n in zip(cells.contents, cells.counts, strict=True)},
        dominant=tuple(c for c, is_ in zip(cells.contents, found.dominant, strict=True) if is_),
        truncated=int(found.truncated.sum()),
        dropped=dropped,
        micrographs=1,
        linking=_linking(linking),
        warnings=(*(cells.lattice.warnings if cells.lattice else ()), *warnings),
    )


def _context(
    cells: Cells, neighborhood: int | str, symmetry: str, connect: str
) -> tuple[PointGroup | None, Context]:
    if cells.lattice is None:
        if neighborhood != "auto" or symmetry != "auto":
            raise StageError(
                "hierarchy",
                f"Voronoi cells have no neighborhood {neighborhood!r} and no symmetry {symmetry!r}",
                "leave both at auto",
            )
        return None, Context("graph", 0, cells.reading, connect)
    if neighborhood == "auto":
        neighborhood = default_neighborhood(cells.lattice)
    if neighborhood not in (4, 6):
        raise StageError("hierarchy", f"neighborhood is {neighborhood!r}", "choose auto, 4 or 6")
    group = point_group(symmetry, cells.lattice, cells.slots, cells.reading)
    return group, Context(group.name, int(neighborhood), cells.reading, connect)


def _linking(linking: int | str) -> int | str:
    is_number = isinstance(linking, (int, np.integer)) and not isinstance(linking, bool)
    if (is_number and int(linking) >= 1) or linking in ("nearest", "all"):
        return int(linking) if is_number else linking
    raise StageError(
        "hierarchy", f"linking is {linking!r}", "choose nearest, all, or a difference in level of at least 1"
    )


def _members(found: Components, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the cells in the components `kept`, and which of them each is in, ascending."""
    number = np.full(len(found.sizes) + 1, -1)
    number[kept] = np.arange(len(kept))
    shape = number[found.component]
    rows = np.flatnonzero(shape >= 0)
    order = np.argsort(shape[rows], kind="stable")
    return rows[order], shape[rows[order]]
