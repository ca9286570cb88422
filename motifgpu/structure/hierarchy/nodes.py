"""Motif-cells: shapes that occur, each counted once for all its orientations and places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from motifgpu.structure.cells import STEPS, Cells, Content
from motifgpu.structure.hierarchy.graph_shapes import graph_forms
from motifgpu.structure.hierarchy.shapes import Site, SiteGroup, canonical_forms, compact, decode, shape_key

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
    sites: tuple[Site, ...]
    orientations: tuple[tuple[Cell, ...], ...]
    bonds: tuple[tuple[int, int], ...]
    count: int


def shape_nodes(
    cells: Cells, rows: np.ndarray, shape: np.ndarray, group: SiteGroup, context: Context
) -> tuple[tuple[MotifCell, ...], np.ndarray, np.ndarray]:
    """Return the nodes of shapes on a lattice, and node and orientation of each shape."""
    assert cells.indices is not None
    table = np.array(cells.contents)
    differs = table[cells.types[rows]] != table[0]
    cell, slot = np.nonzero(differs)
    label = table[cells.types[rows[cell]], slot]
    sites = np.column_stack([cells.indices[rows[cell]], slot, label])
    forms = canonical_forms(group, shape[cell], sites)
    crystal = cells.contents[0]
    described = f"{context!r} {crystal!r}"
    steps = STEPS[context.neighborhood]

    def describe(form: bytes) -> tuple[str, tuple[Cell, ...], tuple[Site, ...]]:
        held = decode(form)
        return shape_key(form, described), _as_cells(compact(group, held, steps), crystal), held

    return _collect(forms.canonical, forms.oriented, describe, lambda way: _as_cells(decode(way), crystal))


def _as_cells(sites: Sequence[Site], crystal: Content) -> tuple[Cell, ...]:
    """Return the cells with the sites that differ from the crystal's cell."""
    content: dict[tuple[int, int], list[int]] = {}
    for i, j, slot, label in sites:
        content.setdefault((i, j), list(crystal))[slot] = label
    return tuple((i, j, tuple(labels)) for (i, j), labels in content.items())


def graph_nodes(
    cells: Cells, rows: np.ndarray, shape: np.ndarray, n_shapes: int
) -> tuple[tuple[MotifCell, ...], np.ndarray, np.ndarray]:
    """Return the nodes of shapes of Voronoi cells, and node and orientation of each shape."""
    pairs, _ = cells.neighbors()
    graphs = graph_forms(cells.types[rows], rows, shape, pairs, n_shapes, cells.contents)
    example = {graph.key.encode(): graph for graph in reversed(graphs)}
    forms = [graph.key.encode() for graph in graphs]

    def place(form: bytes) -> tuple[Cell, ...]:
        return tuple((k, 0, content) for k, content in enumerate(example[form].contents))

    nodes, node, orientation = _collect(forms, forms, lambda form: (form.decode(), place(form), ()), place)
    return tuple(replace(n, bonds=example[n.key.encode()].bonds) for n in nodes), node, orientation


def _collect(
    canonical: list[bytes],
    oriented: list[bytes],
    describe: Callable[[bytes], tuple[str, tuple[Cell, ...], tuple[Site, ...]]],
    place: Callable[[bytes], tuple[Cell, ...]],
) -> tuple[tuple[MotifCell, ...], np.ndarray, np.ndarray]:
    """Count equal forms: nodes in order, and node and orientation of each shape."""
    seen: dict[bytes, dict[bytes, int]] = {}
    for form, way in zip(canonical, oriented, strict=True):
        ways = seen.setdefault(form, {})
        ways[way] = ways.get(way, 0) + 1
    made = []
    for form, ways in seen.items():
        key, cells, sites = describe(form)
        # Orientations in an order that the order of the shapes does not change.
        ordered = sorted(ways, key=lambda way: (-ways[way], way))
        node = MotifCell(key, len(cells), cells, sites, tuple(map(place, ordered)), (), sum(ways.values()))
        made.append((node, form, ordered))
    made.sort(key=lambda entry: node_order(entry[0]))
    number = {form: k for k, (_, form, _) in enumerate(made)}
    rank = {form: {way: k for k, way in enumerate(ordered)} for _, form, ordered in made}
    return (
        tuple(node for node, _, _ in made),
        np.array([number[form] for form in canonical], np.int64),
        np.array([rank[form][way] for form, way in zip(canonical, oriented, strict=True)], np.int64),
    )


def node_order(node: MotifCell) -> tuple[int, int, str]:
    """Return what motif-cells are sorted by: level, the most frequent first, key."""
    return node.level, -node.count, node.key
