"""Which motif-cells lie in which others (step 7 of the paper's construction)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motifgpu.structure.cells import Content
from motifgpu.structure.hierarchy.graph_shapes import Bonds, graph_key
from motifgpu.structure.hierarchy.motif_cell import MotifCell

# Cells taken away one after another before a search for contained graphs ends, and partial graphs followed at
# a time.
_DEEPEST, _FRONTIER = 3, 400


def contained_shapes(nodes: Sequence[MotifCell], linking: int | str) -> np.ndarray:
    """Find the pairs of motif-cells of which the one lies in the other by translation.

    Parameters
    ----------
    nodes : sequence of MotifCell
        By ascending level.
    linking : {"nearest", "all"} or int
        As in `motifgpu.build_hierarchy`.

    Returns
    -------
    (e, 2) int64 ndarray
        Places of the lower and of the higher one in `nodes`.

    Notes
    -----
    Exhaustive over all pairs, all orientations seen of both and all translations, in compiled
    code: a cell of the rarest type is the anchor that translations are tried for.
    """
    from motifgpu.cpu.subsets import subset_pairs  # Numba, which takes its time

    ways = [(k, way) for k, node in enumerate(nodes) for way in node.orientations]
    if not ways:
        return np.zeros((0, 2), np.int64)
    number: dict[tuple[int, ...], int] = {}
    for _, way in ways:
        for _, _, content in way:
            number.setdefault(content, len(number))
    cells = np.array([(i, j, number[content]) for _, way in ways for i, j, content in way], np.int64)
    start = np.cumsum([0, *(len(way) for _, way in ways)])
    owner = np.repeat(np.arange(len(ways)), np.diff(start))
    rarity = np.bincount(cells[:, 2], minlength=len(number))
    cells = cells[np.lexsort((np.arange(len(cells)), cells[:, 2], rarity[cells[:, 2]], owner))]
    cells[:, :2] -= np.minimum.reduceat(cells[:, :2], start[:-1], axis=0)[owner]
    bits = np.left_shift(np.uint64(1), (cells[:, 2] % 64).astype(np.uint64))
    node = np.array([k for k, _ in ways], np.int64)
    level = np.array([n.level for n in nodes], np.int64)
    return subset_pairs(
        start.astype(np.int64),
        cells,
        np.bitwise_or.reduceat(bits, start[:-1]),
        level,
        np.searchsorted(node, np.arange(len(nodes) + 1)).astype(np.int64),
        linking if isinstance(linking, int) else int(level.max()),
        linking == "nearest",
    )


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
        As in `motifgpu.build_hierarchy`; differences in level beyond 3 are not searched.

    Returns
    -------
    (e, 2) int64 ndarray
        Places of the lower and of the higher one in `nodes`.

    Notes
    -----
    Cells are removed one at a time and the rest is looked up by its key.
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
