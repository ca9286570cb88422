"""Shapes of Voronoi cells: labelled graphs of cells that touch, up to isomorphism."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from motifgpu.structure.cells import Content

# Larger graphs have no vertex singled out.
_SINGLED_OUT = 48

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
