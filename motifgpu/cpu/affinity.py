"""Edge weights and the symmetric graph on the CPU."""

from __future__ import annotations

import numpy as np

from motifgpu import cpu
from motifgpu.core import namespace
from motifgpu.core.affinity import LEAST_SIGMA, STEPS, TOLERANCE
from motifgpu.core.namespace import Array


def solve(distances: Array, target: float) -> tuple[Array, Array, Array]:
    """Return weights (N, k), sigma (N,) and what is tied (N,) for the distances (N, k) of each row.

    Newton's method from 1/sigma = 0: the sum of weights falls and is convex in 1/sigma, so the steps never
    pass the solution. A row stops on its own, so that its bits do not depend on the others.
    """
    xp = namespace.array_namespace(distances)
    columns = [xp.asarray(distances[:, p], copy=True) for p in range(distances.shape[1])]
    nearest, k = columns[0], len(columns)
    mean = sum(columns[1:], start=columns[0]) / k
    excess = [column - nearest for column in columns]
    unit = sum(excess[1:], start=excess[0]) / k
    unit = xp.where(unit > 0, unit, xp.ones_like(unit))
    excess = [e / unit for e in excess]
    floor = LEAST_SIGMA * mean / unit
    steepest = xp.where(floor > 0, 1 / xp.where(floor > 0, floor, xp.ones_like(floor)), xp.ones_like(floor))
    ties = sum(xp.astype(e == 0, unit.dtype) for e in excess)
    tied = ties >= target
    beta = xp.where(tied, steepest, xp.zeros_like(steepest))
    for _ in range(STEPS):
        weights = [xp.exp(-beta * e) for e in excess]
        over = sum(weights[1:], start=weights[0]) - target
        unsolved = (over > TOLERANCE) & (beta < steepest)
        if not bool(xp.any(unsolved)):
            break
        slope = sum(
            (w * e for w, e in zip(weights[1:], excess[1:], strict=True)), start=weights[0] * excess[0]
        )
        step = over / xp.where(slope > 0, slope, xp.ones_like(slope))
        step = xp.where(slope > 0, step, steepest)
        beta = xp.where(unsolved, xp.minimum(beta + step, steepest), beta)
    return xp.stack(weights, axis=1), unit / beta, tied | (over > TOLERANCE)


@cpu.compiled(needed=True, nogil=True)
def _turned(neighbors: np.ndarray, weights: np.ndarray, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sources and weights of the edges that arrive at each vertex, whose places end at begin[1:]."""
    n, k = neighbors.shape
    sources, values = np.empty(n * k, np.int32), np.empty(n * k, np.float32)
    place = begin.copy()
    for i in range(n):
        for p in range(k):
            to = place[neighbors[i, p]]
            sources[to] = i
            values[to] = weights[i, p]
            place[neighbors[i, p]] += 1
    return sources, values


@cpu.compiled(nogil=True)
def _merge(
    neighbors: np.ndarray,
    weights: np.ndarray,
    begin: np.ndarray,
    sources: np.ndarray,
    arriving: np.ndarray,
    union: bool,
    indptr: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
) -> None:
    """Merge each vertex's own edges with those that arrive; arrays of no length are only counted for."""
    n, k = neighbors.shape
    order = np.empty(k, np.int64)
    at = 0
    for i in range(n):
        for p in range(k):
            q = p
            while q > 0 and neighbors[i, order[q - 1]] > neighbors[i, p]:
                order[q] = order[q - 1]
                q -= 1
            order[q] = p
        p, s = 0, begin[i]
        while p < k or s < begin[i + 1]:
            own = neighbors[i, order[p]] if p < k else n
            other = sources[s] if s < begin[i + 1] else n
            value = np.float32(0)
            if own <= other:
                value = weights[i, order[p]]
                p += 1
            if other <= own:
                back = arriving[s]
                value = value + back - value * back if union else value + back
                s += 1
            if indices.size:
                indices[at] = min(own, other)
                values[at] = value
            at += 1
        indptr[i + 1] = at


def symmetrize(neighbors: Array, weights: Array, union: bool) -> tuple[Array, Array, Array]:
    """Return the symmetric graph of directed edges in compressed rows, sorted by index.

    Edges are turned around by counting, which leaves their sources in order, and merged with each vertex's
    own.

    Parameters
    ----------
    neighbors : (N, k) int32 array
        Distinct vertices that each vertex lists, itself not among them.
    weights : (N, k) float32 array
        Weight of each of these edges.
    union : bool
        Fuzzy union q + q' - q q'; otherwise the sum q + q'.

    Returns
    -------
    indptr (N + 1,) int32 or, where it must be, int64; indices (nnz,) int32; weights (nnz,) float32
    """
    n, k = neighbors.shape
    like = weights
    neighbors = np.require(namespace.to_numpy(neighbors), np.int32, ["C", "W"])
    weights = np.require(namespace.to_numpy(weights), np.float32, ["C", "W"])
    begin = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(neighbors.ravel(), minlength=n), out=begin[1:])
    sources, arriving = _turned(neighbors, weights, begin)
    indptr = np.zeros(n + 1, np.int64)
    nothing = np.empty(0, np.int32), np.empty(0, np.float32)
    _merge(neighbors, weights, begin, sources, arriving, union, indptr, *nothing)
    indices, values = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
    _merge(neighbors, weights, begin, sources, arriving, union, indptr, indices, values)
    indptr = indptr if indptr[-1] >= 2**31 else indptr.astype(np.int32)
    return (
        namespace.from_numpy(indptr, like),
        namespace.from_numpy(indices, like),
        namespace.from_numpy(values, like),
    )
