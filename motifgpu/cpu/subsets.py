"""Which shapes lie in which others by translation, compiled."""

from __future__ import annotations

import numpy as np

from motifgpu import cpu


@cpu.compiled(error_model="numpy")
def subset_pairs(
    node: np.ndarray,
    start: np.ndarray,
    cells: np.ndarray,
    mask: np.ndarray,
    level: np.ndarray,
    first: np.ndarray,
    max_gap: int,
    nearest: bool,
) -> list[tuple[np.int64, np.int64]]:
    """Return the pairs (lower, higher) of nodes one of whose orientations lies in one of the other's.

    Parameters
    ----------
    node : (w,) int64 ndarray
        Node that each orientation belongs to, ascending.
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
    list of (int, int)
    """
    height, width = cells[:, 0].max() + 1, cells[:, 1].max() + 1
    grid = np.full((height, width), -1, np.int64)
    found = [(np.int64(0), np.int64(0)) for _ in range(0)]
    for higher in range(level.size):
        begin = len(found)
        hit = np.zeros(higher, np.bool_)
        for large in range(first[higher], first[higher + 1]):
            for e in range(start[large], start[large + 1]):
                grid[cells[e, 0], cells[e, 1]] = cells[e, 2]
            for lower in range(higher - 1, -1, -1):
                gap = level[higher] - level[lower]
                if gap > max_gap:
                    break
                if gap == 0 or hit[lower]:
                    continue
                for small in range(first[lower], first[lower + 1]):
                    if (mask[small] & ~mask[large]) == 0 and _inside(grid, start, cells, small, large):
                        hit[lower] = True
                        break
            for e in range(start[large], start[large + 1]):
                grid[cells[e, 0], cells[e, 1]] = -1
        best = -1
        for lower in range(higher - 1, -1, -1):
            if hit[lower] and (not nearest or best < 0 or level[lower] == best):
                best = level[lower]
                found.append((np.int64(lower), np.int64(higher)))
        found[begin:] = found[begin:][::-1]
    return found


@cpu.compiled(error_model="numpy")
def _inside(grid: np.ndarray, start: np.ndarray, cells: np.ndarray, small: int, large: int) -> bool:
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
