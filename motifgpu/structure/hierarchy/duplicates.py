"""Duplicates merged: shapes that a symmetry makes equal are one motif-cell (step 6 of the Methods)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from motifgpu.structure.cells import STEPS, Cells, Content
from motifgpu.structure.hierarchy.graph_shapes import graph_forms
from motifgpu.structure.hierarchy.motif_cell import Cell, Context, MotifCell, node_order
from motifgpu.structure.hierarchy.shapes import (
    LabeledSite,
    PointGroup,
    canonical_forms,
    compact,
    decode,
    shape_key,
)


def shape_nodes(
    cells: Cells, rows: np.ndarray, shape: np.ndarray, group: PointGroup, context: Context
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

    def describe(form: bytes) -> tuple[str, tuple[Cell, ...], tuple[LabeledSite, ...]]:
        held = decode(form)
        return shape_key(form, described), _as_cells(compact(group, held, steps), crystal), held

    return _collect(forms.canonical, forms.oriented, describe, lambda way: _as_cells(decode(way), crystal))


def _as_cells(sites: Sequence[LabeledSite], crystal: Content) -> tuple[Cell, ...]:
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
    describe: Callable[[bytes], tuple[str, tuple[Cell, ...], tuple[LabeledSite, ...]]],
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
