"""Which motif-cells lie in which others by translation (step 7 of the paper's construction)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from motifgpu.structure.hierarchy.nodes import MotifCell


def contained_shapes(nodes: Sequence[MotifCell], linking: int | str) -> np.ndarray:
    """Find the pairs of motif-cells of which the one lies in the other.

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
    found = subset_pairs(
        node,
        start.astype(np.int64),
        cells,
        np.bitwise_or.reduceat(bits, start[:-1]),
        level,
        np.searchsorted(node, np.arange(len(nodes) + 1)).astype(np.int64),
        linking if isinstance(linking, int) else int(level.max()),
        linking == "nearest",
    )
    return np.array(found, np.int64).reshape(-1, 2)
