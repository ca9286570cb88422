"""Exact nearest neighbours by difference, on the CPU.

A tile holds 64 rows as columns, so that one row's distances to a tile are plain vector arithmetic in one
fixed order, the same from either side: a pair is computed once, for the lists of both, and no bit depends on
the order of rows, on the number of threads or on what else is in the batch. Subtracting before squaring keeps
full relative precision at any distance, so no shortlist has to be refined, and costs the same loads as a
product. Rows are put in an order in which alike ones share a tile, and a tile is left out where the ball
around it lies further away than the neighbours known already. Pairs of blocks of tiles come in rounds; no
block occurs twice in a round, so that threads never write to one list.
"""

from __future__ import annotations

from itertools import chain, pairwise, zip_longest
from typing import Any, NamedTuple

import numpy as np

from motifgpu import cpu
from motifgpu.core import device, namespace
from motifgpu.core.checks import check_spread
from motifgpu.core.namespace import Array
from motifgpu.cpu.alike import alike_order

STAGE = "neighbors"
TILE = 64  # rows in a tile
GROUP = 4  # columns summed at a time; rows are padded with zeros to a multiple
LEAST, MOST = 16, TILE  # tiles of a block; its centres are at most one tile
SLACK, TINY = np.float32(1e-5), np.float32(1e-18)  # far more than what rounding takes from a distance


class _Tiled(NamedTuple):
    """The rows of a micrograph, alike ones together, tile by tile."""

    names: np.ndarray  # (n,) int64: which row of the micrograph each one is
    rows: np.ndarray  # (n, columns) float32
    tiles: np.ndarray  # (t, columns * TILE) float32: rows as columns, padded with zeros
    centres: np.ndarray  # (blocks, columns * TILE) float32: the mean row of each tile of a block, likewise
    radii: np.ndarray  # (t,) float32: how far the rows of a tile are from its mean row at most
    width: int  # tiles of a block


def _shifted_rows(x: np.ndarray, columns: int, unit: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return rows less their mean row as (n, columns) float32, and their spreads (n,).

    With `unit` the rows are centred and of norm 1 before.
    """
    rows, spread = x.astype(np.float64), np.ones(len(x))
    if unit:
        size = np.sqrt(np.sum(rows * rows, axis=1))
        rows -= rows.mean(axis=1, keepdims=True)
        norm = np.sqrt(np.sum(rows * rows, axis=1))
        spread = np.divide(norm, size, out=np.zeros_like(size), where=size > 0)
        rows /= np.where(norm > 0, norm, 1.0)[:, None]
    rows -= rows.mean(axis=0)
    shifted = np.zeros((len(x), columns), np.float32)
    shifted[:, : x.shape[1]] = rows
    return shifted, spread


@cpu.compiled(needed=True, nogil=True, error_model="numpy", fastmath={"contract", "nnan", "nsz"})
def _compare(row: np.ndarray, tile: np.ndarray, total: np.ndarray) -> Any:
    """Write the squared distances of a row to those of a tile, and return the least."""
    for v in range(TILE):
        total[v] = 0
    for d in range(0, row.size, GROUP):
        part = tile[d * TILE : (d + GROUP) * TILE]
        a, b, c, e = row[d], row[d + 1], row[d + 2], row[d + 3]
        for v in range(TILE):
            s = (part[v] - a) * (part[v] - a) + (part[TILE + v] - b) * (part[TILE + v] - b)
            s += (part[2 * TILE + v] - c) * (part[2 * TILE + v] - c)
            s += (part[3 * TILE + v] - e) * (part[3 * TILE + v] - e)
            total[v] += s
    least = total[0]
    for v in range(TILE):
        least = min(least, total[v])
    return least


@cpu.compiled(nogil=True, error_model="numpy")
def _insert(best: np.ndarray, who: np.ndarray, i: int, distance: np.float32, name: int) -> None:
    """Put a row into the list of row `i`, which is sorted by distance and then by name."""
    p = best.shape[1] - 1
    if distance > best[i, p] or (distance == best[i, p] and name > who[i, p]):
        return
    while p > 0 and (best[i, p - 1] > distance or (best[i, p - 1] == distance and who[i, p - 1] > name)):
        best[i, p] = best[i, p - 1]
        who[i, p] = who[i, p - 1]
        p -= 1
    best[i, p] = distance
    who[i, p] = name


@cpu.compiled(nogil=True, error_model="numpy")
def _search(given: _Tiled, first: int, second: int, best: np.ndarray, who: np.ndarray) -> None:
    """Compare the rows of block `first` with those of block `second`, not before it, for the lists of both.

    A row and a tile are left out where the ball around the tile is further away than the last neighbour that
    the row and those of the tile have so far.
    """
    n, k = best.shape
    width = given.width
    total, reach = np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    begin, end = first * width * TILE, min((first + 1) * width * TILE, n)
    far = np.empty((end - begin, TILE), np.float32)
    for i in range(begin, end):
        _compare(given.rows[i], given.centres[second], far[i - begin])
    for t in range(second * width, min((second + 1) * width, given.tiles.shape[0])):
        tile, radius, start = given.tiles[t], given.radii[t], t * TILE
        members = min(TILE, n - start)
        longest = np.float32(0)
        for v in range(TILE):
            reach[v] = best[start + v, k - 1] if v < members else np.float32(-1)
            longest = max(longest, reach[v])
        for i in range(min(end, start + members) - 1, begin - 1, -1):  # from alike rows to others
            centre = np.sqrt(far[i - begin, t - second * width])
            gap = centre - radius - SLACK * (centre + radius) - TINY
            if gap > 0 and gap * gap > max(longest, best[i, k - 1]):
                continue
            if _compare(given.rows[i], tile, total) <= best[i, k - 1]:
                for v in range(members):
                    if total[v] <= best[i, k - 1] and start + v != i:
                        _insert(best, who, i, total[v], given.names[start + v])
            if i >= start:  # rows of the tile itself meet each other in both orders
                continue
            near = 0
            for v in range(TILE):
                near += total[v] <= reach[v]
            if near:
                for v in range(members):
                    if total[v] <= reach[v]:
                        _insert(best, who, start + v, total[v], given.names[i])
                        reach[v] = best[start + v, k - 1]


def _as_tiles(rows: np.ndarray, size: int) -> np.ndarray:
    """Return rows (n, columns) as tiles (t, columns * TILE) of `size` rows, padded with zeros."""
    n, columns = rows.shape
    count = -(-n // size)
    whole = np.zeros((count * size, columns), np.float32)
    whole[:n] = rows
    tiles = np.zeros((count, columns, TILE), np.float32)
    tiles[:, :, :size] = whole.reshape(count, size, columns).transpose(0, 2, 1)
    return tiles.reshape(count, columns * TILE)


def _tiled(rows: np.ndarray) -> _Tiled:
    """Return rows (n, columns) with alike ones together, and the ball around each tile."""
    n = rows.shape[0]
    names = alike_order(rows, TILE)
    rows = rows[names]
    starts = np.arange(0, n, TILE)
    sizes = np.diff(np.append(starts, n)).astype(np.float32)
    centres = np.add.reduceat(rows, starts) / sizes[:, None]
    away = np.empty(n, np.float32)
    for begin, centre in zip(starts.tolist(), centres, strict=True):
        away[begin : begin + TILE] = np.linalg.norm(rows[begin : begin + TILE] - centre, axis=1)
    width = min(MOST, max(LEAST, -(-len(starts) // (2 * device.threads()))))
    return _Tiled(
        names,
        rows,
        _as_tiles(rows, TILE),
        _as_tiles(centres, width),
        np.maximum.reduceat(away, starts),
        width,
    )


def _rounds(blocks: int) -> list[list[tuple[int, int]]]:
    """Return every pair of blocks once, each block with itself first, none twice in a round."""
    rounds = [[(b, b) for b in range(blocks)]]
    ring = blocks - 1 + blocks % 2
    for turn in range(ring if blocks > 1 else 0):
        pairs = [(turn, ring), *(((turn + b) % ring, (turn - b) % ring) for b in range(1, ring // 2 + 1))]
        rounds.append([(min(pair), max(pair)) for pair in pairs if max(pair) < blocks])
    return rounds


def nearest(x: Array, k: int, offsets: np.ndarray, unit: bool = True) -> tuple[Array, Array]:
    """Return the k nearest rows of each row within its micrograph, and half their squared distances.

    Parameters
    ----------
    x : (N, D) float32 or float64 array
        Finite rows.
    k : int
        Less than the rows of every micrograph.
    offsets : (m + 1,) int64 ndarray
        Where each micrograph begins and ends.
    unit : bool
        Whether rows are centred and of norm 1 before, so that the result is one less their correlation.

    Returns
    -------
    indices (N, k) int32, distances (N, k) float32

    Raises
    ------
    StageError
        If rows that are to be of norm 1 are constant.
    """
    host = np.require(namespace.to_numpy(x), requirements=["C", "W"])
    columns = -(-host.shape[1] // GROUP) * GROUP
    spreads = np.empty(host.shape[0])
    best = np.full((host.shape[0], k), np.float32(np.inf))
    who = np.full((host.shape[0], k), np.iinfo(np.int32).max, np.int32)
    graphs, rounds = [], []
    for first, last in pairwise(offsets.tolist()):
        rows, spreads[first:last] = _shifted_rows(host[first:last], columns, unit)
        given = _tiled(rows)
        lists = best[first:last], who[first:last]
        graphs.append((first, given.names, *lists))
        rounds.append(
            [[(given, a, b, *lists) for a, b in pairs] for pairs in _rounds(given.centres.shape[0])]
        )
    check_spread(spreads, STAGE)
    cpu.run_rounds(_search, [list(chain(*together)) for together in zip_longest(*rounds, fillvalue=[])])
    indices, distances = np.empty_like(who), np.empty_like(best)
    for first, names, halves, found in graphs:
        indices[first + names] = found + first
        distances[first + names] = np.float32(0.5) * halves
    return namespace.from_numpy(indices, x), namespace.from_numpy(distances, x)
