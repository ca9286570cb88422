"""Shapes of Voronoi cells: labelled graphs of cells that touch, up to isomorphism."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from motifgpu.structure.hierarchy.nodes import MotifCell

# Larger graphs have no vertex singled out, and partial graphs are followed no further than so many at a time.
_SINGLED_OUT, _FRONTIER = 48, 400
# Cells taken away one after another before a search for contained graphs ends.
_DEEPEST = 3

Content = tuple[int, ...]
Bonds = tuple[tuple[int, int], ...]


class Graph(NamedTuple):
    """Cells of a shape, which of them touch, and a key that isomorphic shapes share."""

    key: str
    contents: tuple[Content, ...]
    bonds: Bonds


def _digest(parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def graph_key(contents: Sequence[Content], bonds: Bonds) -> str:
    """Return a key of a labelled graph that does not depend on how its vertices are numbered.

    Parameters
    ----------
    contents : sequence of tuple of int
        Label of each vertex.
    bonds : tuple of (int, int)
        Vertices that touch.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Notes
    -----
    Colour refinement (Weisfeiler and Lehman) with every vertex singled out in turn: equal keys of graphs that
    are not isomorphic take strongly regular ones, which no tiling of the plane has beyond a few vertices.
    """
    near: list[list[int]] = [[] for _ in contents]
    for a, b in bonds:
        near[a].append(b)
        near[b].append(a)

    def refined(colors: list[str]) -> list[str]:
        kinds = len(set(colors))
        while True:
            colors = [_digest((c, sorted(colors[b] for b in near[a]))) for a, c in enumerate(colors)]
            now = len(set(colors))
            if now == kinds:
                return colors
            kinds = now

    start = refined([_digest(content) for content in contents])
    if len(contents) > _SINGLED_OUT or len(set(start)) == len(start):
        return _digest(sorted((c, sorted(start[b] for b in near[a])) for a, c in enumerate(start)))
    singled = []
    for chosen in range(len(contents)):
        colors = refined([_digest((c, k == chosen)) for k, c in enumerate(start)])
        singled.append(_digest((start[chosen], sorted(colors))))
    return _digest(sorted(singled))


def graph_forms(
    types: np.ndarray,
    rows: np.ndarray,
    shape: np.ndarray,
    pairs: np.ndarray,
    n_shapes: int,
    contents: Sequence[Content],
) -> list[Graph]:
    """Return the graph of each shape.

    Parameters
    ----------
    types, rows, shape : (e,) int64 ndarray
        Type, row and shape of each cell, shapes ascending.
    pairs : (p, 2) int64 ndarray
        Rows of cells that touch.
    n_shapes : int
    contents : sequence of tuple of int
        Content of each type.

    Returns
    -------
    list of Graph
    """
    size = int(max(rows.max(initial=-1), pairs.max(initial=-1))) + 1
    which, place = np.full(size, -1), np.full(size, -1)
    offsets = np.searchsorted(shape, np.arange(n_shapes + 1))
    which[rows] = shape
    place[rows] = np.arange(len(rows)) - offsets[shape]
    inner = pairs[(which[pairs[:, 0]] == which[pairs[:, 1]]) & (which[pairs[:, 0]] >= 0)]
    bonds: list[list[tuple[int, int]]] = [[] for _ in range(n_shapes)]
    for a, b in inner:
        bonds[which[a]].append((int(place[a]), int(place[b])))
    graphs = []
    for k in range(n_shapes):
        held = tuple(contents[t] for t in types[offsets[k] : offsets[k + 1]])
        graphs.append(Graph(graph_key(held, tuple(bonds[k])), held, tuple(bonds[k])))
    return graphs


def _without(
    contents: tuple[Content, ...], bonds: Bonds, gone: int
) -> tuple[tuple[Content, ...], Bonds] | None:
    """Return the graph without one vertex, or None where it falls apart."""
    number = [k - (k > gone) for k in range(len(contents))]
    left = tuple((number[a], number[b]) for a, b in bonds if gone not in (a, b))
    root = list(range(len(contents) - 1))

    def top(k: int) -> int:
        while root[k] != k:
            root[k] = root[root[k]]
            k = root[k]
        return k

    pieces = len(root)
    for a, b in left:
        if top(a) != top(b):
            root[top(a)] = top(b)
            pieces -= 1
    return (contents[:gone] + contents[gone + 1 :], left) if pieces == 1 else None


def contained_graphs(nodes: Sequence[MotifCell], linking: int | str) -> np.ndarray:
    """Find the pairs of motif-cells of which the one is a connected part of the other.

    Parameters
    ----------
    nodes : sequence of MotifCell
        By ascending level, with their bonds.
    linking : {"nearest", "all"} or int
        As in `motifgpu.build_hierarchy`; differences in level beyond 3 are not looked at.

    Returns
    -------
    (e, 2) int64 ndarray
        Places of the lower and of the higher one in `nodes`.

    Notes
    -----
    Cells are taken away one at a time and what is left is looked up by its key.
    """
    number = {node.key: k for k, node in enumerate(nodes)}
    deepest = min(linking, _DEEPEST) if isinstance(linking, int) else _DEEPEST
    found = []
    for higher, node in enumerate(nodes):
        contents = tuple(content for _, _, content in node.cells)
        graphs = {node.key: (contents, node.bonds)}
        for _ in range(deepest):
            smaller = {}
            for held, bonds in list(graphs.values())[:_FRONTIER]:
                for gone in range(len(held)) if len(held) > 1 else ():
                    rest = _without(held, bonds, gone)
                    if rest is not None:
                        smaller[graph_key(*rest)] = rest
            graphs = smaller
            hits = sorted(number[key] for key in graphs if key in number)
            found += [(lower, higher) for lower in hits]
            if hits and linking == "nearest":
                break
    return np.array(sorted(found, key=lambda pair: pair[::-1]), np.int64).reshape(-1, 2)
