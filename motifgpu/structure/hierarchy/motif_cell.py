"""A motif-cell of a hierarchy, and what the motif-cells of one hierarchy have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from motifgpu.core.shown import one_line
from motifgpu.structure.cells import Content
from motifgpu.structure.hierarchy.shapes import LabeledSite

Cell = tuple[int, int, Content]


class Context(NamedTuple):
    """What shapes must share to be compared.

    Attributes
    ----------
    symmetry : str
        Group that makes shapes duplicates: C3v, say, ``"rotations90"``, ``"translations"``, or ``"graph"``
        for Voronoi cells, whose shapes are labelled graphs.
    neighborhood : int
        4 or 6; 0 for Voronoi cells.
    reading, connect : str
        As given to `motifgpu.motif_cells` and `build_hierarchy`.
    """

    symmetry: str
    neighborhood: int
    reading: str
    connect: str


@dataclass(frozen=True)
class MotifCell:
    """One motif-cell of the hierarchy: a shape up to the symmetry.

    Attributes
    ----------
    key : str
        Sixteen hexadecimal digits, the same in every micrograph in which labels mean the same.
    level : int
        Number of its cells; where the symmetry moves single sites, in the orientation with fewest.
    cells : tuple of (i, j, content)
        The cells in that orientation, `level` of them, for a shape on a lattice; one example for Voronoi
        cells, in which i only numbers the cells.
    sites : tuple of (i, j, slot, label)
        Canonical form: the sites that differ from the crystal's cell.
    orientations : tuple of tuple of (i, j, content)
        The cells of every orientation that was seen, in the setting of the lattice that all micrographs
        share.
    bonds : tuple of (int, int)
        Which of the example's cells touch, for Voronoi cells; empty otherwise, as neighbours follow from (i,
        j).
    count : int
        How often it occurs.
    """

    key: str
    level: int
    cells: tuple[Cell, ...]
    sites: tuple[LabeledSite, ...]
    orientations: tuple[tuple[Cell, ...], ...]
    bonds: tuple[tuple[int, int], ...]
    count: int

    __repr__ = one_line


def node_order(node: MotifCell) -> tuple[int, int, str]:
    """Return what motif-cells are sorted by: level, the most frequent first, key."""
    return node.level, -node.count, node.key
