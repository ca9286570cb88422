"""Which shapes lie in which others by translation, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu import cpu


def subset_pairs(
    start: np.ndarray,
    cells: np.ndarray,
    mask: np.ndarray,
    level: np.ndarray,
    first: np.ndarray,
    max_gap: int,
    nearest: bool,
) -> np.ndarray:
    """Return the pairs (lower, higher) of nodes one of whose orientations lies in one of the other's.

    Parameters
    ----------
    start : (w + 1,) int64 ndarray
        First cell of each orientation in `cells`.
    cells : (e, 3) int64 ndarray
        Row, column and type of each cell, rows and columns from 0 on in every orientation; the cell of the
        rarest type of all comes first in each.
    mask : (w,) uint64 ndarray
        One bit for each type in an orientation, types 64 apart sharing a bit.
    level : (d,) int64 ndarray
        Level of each node, ascending.
    first : (d + 1,) int64 ndarray
        First orientation of each node.
    max_gap : int
        Largest difference in level.
    nearest : bool
        Only the pairs of each higher node whose lower one has the highest level.

    Returns
    -------
    (e, 2) int64 ndarray
    """
    grid = np.full(cells[:, :2].max(axis=0) + 1, -1, np.int64)
    lowest = np.searchsorted(level, level - max_gap)
    found = [np.zeros((0, 2), np.int64)]
    for higher, end in enumerate(np.searchsorted(level, level).tolist()):  # of those of a lower level
        hit = np.zeros(end, np.bool_)
        _contain(hit, grid, start, cells, mask, first, lowest[higher], first[higher], first[higher + 1])
        lower = np.flatnonzero(hit)
        if nearest and lower.size:
            lower = lower[level[lower] == level[lower[-1]]]
        found.append(np.stack([lower, np.full_like(lower, higher)], axis=1))
    return np.concatenate(found)


@cpu.compiled(nogil=True, error_model="numpy")
def _contain(
    hit: Any, grid: Any, start: Any, cells: Any, mask: Any, first: Any, lowest: int, begin: int, end: int
) -> None:
    """Say which nodes, from `lowest` on, lie in one of the orientations begin ... end-1."""
    for large in range(begin, end):
        for e in range(start[large], start[large + 1]):
            grid[cells[e, 0], cells[e, 1]] = cells[e, 2]
        for lower in range(lowest, hit.size):
            for small in range(first[lower], first[lower + 1]):
                if not hit[lower] and (mask[small] & ~mask[large]) == 0:
                    hit[lower] = _inside(grid, start, cells, small, large)
        for e in range(start[large], start[large + 1]):
            grid[cells[e, 0], cells[e, 1]] = -1


@cpu.compiled(nogil=True, error_model="numpy")
def _inside(grid: Any, start: Any, cells: Any, small: int, large: int) -> bool:
    """Say whether a translation takes every cell of `small` onto one of `large` of its type."""
    n, anchor = start[small + 1] - start[small], start[small]
    if n > start[large + 1] - start[large]:
        return False
    height, width = grid.shape
    for e in range(start[large], start[large + 1]):
        if cells[e, 2] != cells[anchor, 2]:
            continue
        down, right = cells[e, 0] - cells[anchor, 0], cells[e, 1] - cells[anchor, 1]
        good = True
        for k in range(anchor + 1, anchor + n):
            row, col = cells[k, 0] + down, cells[k, 1] + right
            if row < 0 or row >= height or col < 0 or col >= width or grid[row, col] != cells[k, 2]:
                good = False
                break
        if good:
            return True
    return False
