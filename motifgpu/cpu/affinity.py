"""The symmetric graph of directed edges on the CPU."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _turned(neighbors, weights, begin):
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


@njit(cache=True, nogil=True)
def _merge(neighbors, weights, begin, sources, arriving, union, indptr, indices, values):
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


def symmetrize(
    neighbors: np.ndarray, weights: np.ndarray, union: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the symmetric graph of directed edges in compressed rows, sorted by index.

    Edges are turned around by counting, which leaves their sources in order, and merged with each vertex's
    own.

    Parameters
    ----------
    neighbors : (N, k) int32 ndarray
        Distinct vertices that each vertex lists, itself not among them.
    weights : (N, k) float32 ndarray
        Weight of each of these edges.
    union : bool
        Fuzzy union q + q' - q q'; otherwise the sum q + q'.

    Returns
    -------
    indptr (N + 1,) int32 or, where it must be, int64; indices (nnz,) int32; weights (nnz,) float32
    """
    n, k = neighbors.shape
    neighbors = np.require(neighbors, np.int32, ["C", "W"])
    weights = np.require(weights, np.float32, ["C", "W"])
    begin = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(neighbors.ravel(), minlength=n), out=begin[1:])
    sources, arriving = _turned(neighbors, weights, begin)
    indptr = np.zeros(n + 1, np.int64)
    nothing = np.empty(0, np.int32), np.empty(0, np.float32)
    _merge(neighbors, weights, begin, sources, arriving, union, indptr, *nothing)
    indices, values = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
    _merge(neighbors, weights, begin, sources, arriving, union, indptr, indices, values)
    return (indptr if indptr[-1] >= 2**31 else indptr.astype(np.int32)), indices, values
