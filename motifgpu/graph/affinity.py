"""The weighted graph of nearest neighbours whose edges attract in the force relaxation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer, check_offsets, listed
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.graph.neighbors import Neighbors

STAGE = "affinity"


@dataclass(frozen=True)
class AffinityGraph:
    """A symmetric weighted graph in compressed rows, one component or more for each micrograph.

    Attributes
    ----------
    indptr : (N + 1,) int32 or, where it must be, int64 array
        Where each vertex's edges begin and end in the next two.
    indices : (nnz,) int32 array
        Other ends of the edges, rising within a row, counted over all micrographs.
    weights : (nnz,) float32 array
        Strength of the edges, up to 1 for a union and up to 2 for a sum.
    sigma : (N,) float32 array
        Distance over which a vertex's weights fall by e, in units of the neighbours' distances.
    tied : (N,) bool array
        True where no sigma gives the wanted sum of weights, because too many neighbours are as near as the
        nearest; sigma is then a thousandth of the mean distance.
    offsets : (m + 1,) int64 ndarray
        First vertex of each micrograph, and N; on the host.
    """

    indptr: Array
    indices: Array
    weights: Array
    sigma: Array
    tied: Array
    offsets: np.ndarray

    def part(self, micrograph: int) -> AffinityGraph:
        """Return the graph of one micrograph, counted from its own first vertex."""
        a, b = (int(limit) for limit in self.offsets[micrograph : micrograph + 2])
        if self.offsets.size == 2:
            return self
        first, last = int(self.indptr[a]), int(self.indptr[b])
        return AffinityGraph(
            indptr=self.indptr[a : b + 1] - first,
            indices=self.indices[first:last] - a,
            weights=self.weights[first:last],
            sigma=self.sigma[a:b],
            tied=self.tied[a:b],
            offsets=np.array([0, b - a], np.int64),
        )


def _outside(indices: Array, limits: np.ndarray) -> Array:
    """Return the rows of `indices` (N, k) with an index beyond the limits (m + 1,) of their micrograph."""
    xp = namespace.array_namespace(indices)
    if limits.size == 2:
        beyond = (indices < 0) | (indices >= int(limits[1]))
    else:
        ends = namespace.from_numpy(limits, indices)
        row = xp.arange(indices.shape[0], dtype=ends.dtype, device=namespace.device(indices))
        own = xp.searchsorted(ends, row, side="right")
        first, last = xp.take(ends, own - 1)[:, None], xp.take(ends, own)[:, None]
        beyond = (indices < first) | (indices >= last)
    return xp.nonzero(xp.any(beyond, axis=1))[0]


def affinity_graph(
    neighbors: Neighbors | tuple[Array, Array],
    *,
    n_neighbors: int | None = None,
    combine: str = "union",
    offsets: Array | None = None,
) -> AffinityGraph:
    """Build the weighted graph of nearest neighbours.

    Vertex i gives its neighbour j the weight q_ij = exp(-(d_ij - r_i) / sigma_i), where r_i is its smallest
    distance and sigma_i such that its weights sum to log2(n_neighbors).

    Parameters
    ----------
    neighbors : Neighbors
        From `nearest_neighbors`, or a pair of indices (N, k), each row's distinct and in its own micrograph,
        and distances (N, k), rising in each row.
    n_neighbors : int, optional
        Counts the vertex itself, as in other packages: k + 1 by default.
    combine : {"union", "sum"}
        How the two directions of an edge become one weight: q + q' - q q' (fuzzy union, the authors' code) or
        q + q' (the paper's text, with which strong pairs overshoot in the paper's own update).
    offsets : (m + 1,) array of int, optional
        Where each micrograph's rows begin and end; one micrograph without.

    Returns
    -------
    AffinityGraph
        In the namespace and on the device of the distances.

    Raises
    ------
    StageError
        If distances are not finite, shapes disagree, or an index is not a vertex of the same micrograph.

    References
    ----------
    Dan et al., Science Advances 8, eabk1005 (2022), supplement, "Construction of an Adjacency Matrix".
    """
    indices, distances = neighbors
    xp, distances = check_array(distances, STAGE, "distances", 2, finite=False)
    n, k = distances.shape
    if tuple(indices.shape) != (n, k):
        raise StageError(
            STAGE,
            f"indices have shape {tuple(indices.shape)} and distances {(n, k)}",
            "give one for each other",
        )
    bad = xp.nonzero(~xp.all(xp.isfinite(distances), axis=1))[0]
    if bad.shape[0]:
        raise StageError(
            STAGE,
            f"distances in {listed(namespace.to_numpy(bad))} are NaN or infinite",
            "compute them with nearest_neighbors, which names the points that have none",
        )
    n_neighbors = check_integer(k + 1 if n_neighbors is None else n_neighbors, STAGE, "n_neighbors", 2, k + 1)
    if combine not in ("union", "sum"):
        raise StageError(STAGE, f"there is no combination {combine!r}", "choose union or sum")
    limits = check_offsets(offsets, n, STAGE)
    outside = _outside(indices, limits)
    if outside.shape[0]:
        raise StageError(
            STAGE,
            f"{listed(namespace.to_numpy(outside))} of indices point outside their micrograph",
            "give the same offsets as to nearest_neighbors",
        )
    distances, target = xp.astype(distances, xp.float32), math.log2(n_neighbors)
    if namespace.is_cupy(xp):
        from motifgpu.cuda.affinity import solve, symmetrize
    else:
        from motifgpu.cpu.affinity import solve, symmetrize
    weights, sigma, tied = solve(distances, target)
    return AffinityGraph(*symmetrize(indices, weights, combine == "union"), sigma, tied, limits)
