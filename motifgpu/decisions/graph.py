"""The neighbour graph after columns came or went.

The layout stays as it is, and so does what it was relaxed by: edges between columns that stay are kept with
their weights, and columns that are added get edges to those that are most like them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from motifgpu.core.namespace import Array, from_numpy, to_numpy
from motifgpu.cpu.affinity import solve
from motifgpu.features.zernike import rotation_invariants
from motifgpu.graph.affinity import AffinityGraph


def with_vertices(
    graph: AffinityGraph, origin: np.ndarray, moments: Array, parameters: Mapping[str, Any]
) -> AffinityGraph:
    """Return the graph of other vertices, most of which are in it already.

    Parameters
    ----------
    graph : AffinityGraph
        Of one micrograph.
    origin : (w,) int ndarray
        Which vertex of `graph` each is, -1 for those that are new.
    moments : (w, n_moments) array
        Theirs.
    parameters : mapping
        Of the analysis: how the graph was made.

    Returns
    -------
    AffinityGraph
        In the namespace and on the device of `graph`.
    """
    old = [to_numpy(x) for x in (graph.weights, graph.indices, graph.indptr)]
    place, new = np.maximum(origin, 0), np.flatnonzero(origin < 0)
    edges = sparse.csr_array((old[0], old[1], old[2]), shape=(len(old[2]) - 1,) * 2)[place][:, place]
    sigma, tied = to_numpy(graph.sigma)[place], to_numpy(graph.tied)[place]
    if new.size:
        kept = sparse.diags_array((origin >= 0).astype(np.float32))
        near, distance = _nearest(moments, new, parameters)
        weight, sigma[new], tied[new] = solve(distance, math.log2(distance.shape[1] + 1))
        ends = np.repeat(new, near.shape[1]), near.ravel()
        given = sparse.csr_array((weight.ravel(), ends), shape=edges.shape)
        edges = sparse.csr_array(kept @ edges @ kept + given + given.T - given * given.T)
        edges.eliminate_zeros()
    edges.sort_indices()
    return AffinityGraph(
        from_numpy(edges.indptr.astype(old[2].dtype), graph.indptr),
        from_numpy(edges.indices.astype(np.int32), graph.indices),
        from_numpy(edges.data.astype(np.float32), graph.weights),
        from_numpy(sigma, graph.sigma),
        from_numpy(tied, graph.tied),
        np.array([0, len(origin)], np.int64),
    )


def _nearest(
    moments: Array, rows: np.ndarray, parameters: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest other columns (r, k) of some, and how far they are, as of `nearest_neighbors`."""
    features = rotation_invariants(moments) if parameters["rotation_invariant"] else moments
    x = to_numpy(features).astype(np.float64)
    if parameters["metric"] == "correlation":
        x = x - x.mean(axis=1, keepdims=True)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    square = (x * x).sum(axis=1)
    half = 0.5 * (square[rows, None] + square) - x[rows] @ x.T
    half[np.arange(rows.size), rows] = np.inf
    k = min(parameters["n_neighbors"], len(x)) - 1
    near = np.argsort(half, axis=1, kind="stable")[:, :k].astype(np.int32)
    half = np.maximum(np.take_along_axis(half, near, axis=1), 0.0)
    distance = half if parameters["metric"] == "correlation" else np.sqrt(2 * half)
    return near, distance.astype(np.float32)
