"""Exact nearest neighbours of features under the correlation distance, micrograph by micrograph."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from motifgpu import backend
from motifgpu.backend import Array
from motifgpu.errors import StageError

STAGE = "neighbors"
NAMED = 8  # rows that a message lists


class Neighbors(NamedTuple):
    """The nearest neighbours of N rows.

    Attributes
    ----------
    indices : (N, k) int32 array
        Rows of the input, of the same micrograph, by rising distance; ties by index. Never the row itself.
    distances : (N, k) float32 array
        Their correlation distances, 0 to 2.
    """

    indices: Array
    distances: Array


def checked_offsets(offsets: Array | None, n: int, stage: str) -> np.ndarray:
    """Return `offsets` as (m + 1,) int64 on the host, [0, n] for None.

    Raises
    ------
    StageError
        If they do not rise from 0 to n.
    """
    if offsets is None:
        return np.array([0, n], np.int64)
    limits = np.asarray(backend.to_numpy(offsets))
    if limits.ndim != 1 or limits.size < 1 or limits.dtype.kind not in "iu":
        raise StageError(
            stage, f"offsets have shape {limits.shape} and dtype {limits.dtype}", "give (m + 1,) integers"
        )
    limits = limits.astype(np.int64)
    if limits[0] != 0 or limits[-1] != n:
        raise StageError(
            stage,
            f"offsets go from {limits[0]} to {limits[-1]}",
            f"let them go from 0 to the {n} rows there are",
        )
    falls = np.flatnonzero(np.diff(limits) < 0)
    if falls.size:
        raise StageError(
            stage, f"offsets fall after number {falls[0]}", "let them rise from 0 to the number of rows"
        )
    return limits


def listed(rows: np.ndarray) -> str:
    """Return row numbers as words, the first of many."""
    words = ("row " if rows.size == 1 else "rows ") + ", ".join(map(str, rows[:NAMED]))
    return words if rows.size <= NAMED else f"{words} and {rows.size - NAMED} more"


def nearest_neighbors(x: Any, k: int = 9, offsets: Array | None = None) -> Neighbors:
    """Find the k nearest other rows of every row, exactly.

    The distance is one minus the correlation of two rows, computed as half the squared difference of the
    centred and normalised rows, which keeps its relative precision where neighbours are nearly equal. A
    micrograph's result is the same bits for any number of threads, and alone or in a batch.

    Parameters
    ----------
    x : (N, D) array
        Features, such as moments, of all micrographs.
    k : int
        Number of neighbours, the row itself not counted.
    offsets : (m + 1,) array of int, optional
        Where each micrograph's rows begin and end; one micrograph without.

    Returns
    -------
    Neighbors
        Unpacks as ``indices, distances``, in the namespace and on the device of `x`. Indices count all rows,
        also in a batch.

    Raises
    ------
    StageError
        If a row is not finite or constant (its correlation is undefined), or a micrograph has not more than k
        rows.

    References
    ----------
    Dan et al., Science Advances 8, eabk1005 (2022), supplement, "Construction of an Adjacency Matrix".
    """
    xp, x = backend.floating(x, STAGE, "x", 2, finite=False)
    n = int(x.shape[0])
    k = backend.whole(k, STAGE, "k", 1)
    limits = checked_offsets(offsets, n, STAGE)
    counts = np.diff(limits)
    few = int(counts.min(initial=n))
    if few <= k:
        where = f"micrograph {int(np.argmin(counts))} has" if counts.size > 1 else "there are"
        remedy = f"give k of at most {few - 1}" if few > 1 else "give more points"
        leave = ", or leave the micrograph out" if counts.size > 1 else ""
        raise StageError(STAGE, f"k is {k} and {where} {few} points", remedy + leave)
    bad = xp.nonzero(~xp.all(xp.isfinite(x), axis=1))[0]
    if bad.shape[0]:
        raise StageError(
            STAGE,
            f"{listed(backend.to_numpy(bad))} of x have values that are NaN or infinite",
            "remove these points, or compute their moments from a repaired image",
        )
    if backend.is_cupy(xp):
        from motifgpu.cuda import neighbors as cuda

        return Neighbors(*cuda.nearest(x, k, limits))
    from motifgpu.cpu import neighbors as cpu

    return Neighbors(*(backend.from_numpy(a, x) for a in cpu.nearest(backend.to_numpy(x), k, limits)))
