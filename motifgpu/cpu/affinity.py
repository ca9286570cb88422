"""Edge weights and the symmetric graph on the CPU."""

from __future__ import annotations

import numpy as np
from scipy import sparse

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
    like, neighbors, weights = weights, namespace.to_numpy(neighbors), namespace.to_numpy(weights)
    by_name = np.argsort(neighbors, axis=1)
    listed, given = (np.take_along_axis(each, by_name, axis=1).ravel() for each in (neighbors, weights))
    turned = sparse.csr_array((given, listed, np.arange(0, n * k + 1, k)), shape=(n, n)).tocsc()
    arriving = np.repeat(np.arange(n), np.diff(turned.indptr)) * n + turned.indices
    edges = np.concatenate([np.repeat(np.arange(n), k) * n + listed, arriving])
    order = np.argsort(edges, kind="stable")  # of two that are in order each, so in linear time
    edges, weights = edges[order], np.concatenate([given, turned.data])[order]
    twice = edges[1:] == edges[:-1]
    first = np.append(True, ~twice)
    both, back = np.append(twice, False)[first], weights[1:][twice]
    edges, weights = edges[first], weights[first]
    there = weights[both]
    weights[both] = there + back - there * back if union else there + back
    begin, indices = np.divmod(edges, n)
    indptr = np.append(0, np.cumsum(np.bincount(begin, minlength=n)))
    indptr = indptr if indptr[-1] >= 2**31 else indptr.astype(np.int32)
    return (
        namespace.from_numpy(indptr, like),
        namespace.from_numpy(indices.astype(np.int32), like),
        namespace.from_numpy(weights, like),
    )
