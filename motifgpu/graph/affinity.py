"""The weighted graph of nearest neighbours whose edges attract in the force relaxation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer, check_offsets, listed
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.shown import one_line
from motifgpu.graph.neighbors import Neighbors

STAGE = "affinity"


@dataclass(frozen=True)
class AffinityGraph:
    """A symmetric weighted graph in compressed rows, one component or more for each micrograph.

    Attributes
    ----------
    indptr : (N + 1,) int32 or, where it must be, int64 array
        Where the edges of each vertex begin and end in `indices` and `weights`.
    indices : (nnz,) int32 array
        The vertices at the other ends of the edges, in increasing order within a row, numbered over all
        micrographs.
    weights : (nnz,) float32 array
        Strength of the edges, up to 1 for a union and up to 2 for a sum.
    sigma : (N,) float32 array
        Distance over which a vertex's weights fall by e, in units of the neighbours' distances.
    tied : (N,) bool array
        True where no sigma gives the required sum of weights, because too many neighbours are as near as the
        nearest; sigma is then a thousandth of the mean distance.
    offsets : (m + 1,) int64 ndarray
        First vertex of each micrograph, and N; on the host.

    Examples
    --------
    Every vertex has edges to its nearest neighbours and to those of which it is one:

    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.patches((30, 30), size=32, distance=8, sigma=2, gaussian=0.1)
    >>> neighbors = motifgpu.nearest_neighbors(motifgpu.zernike_moments(made.patches), k=5)
    >>> graph = motifgpu.affinity_graph(neighbors)
    >>> len(graph.indptr) - 1, int(np.diff(graph.indptr).min()) >= 5
    (60, True)
    >>> bool(0 < graph.weights.min() and graph.weights.max() <= 1)
    True
    """

    indptr: Array
    indices: Array
    weights: Array
    sigma: Array
    tied: Array
    offsets: np.ndarray

    __repr__ = one_line

    def part(self, micrograph: int) -> AffinityGraph:
        """Return the graph of one micrograph, with its vertices numbered from 0.

        Examples
        --------
        The graphs of two micrographs with 30 columns each, and that of the second one:

        >>> import motifgpu
        >>> import numpy as np
        >>> made = motifgpu.simulate.patches((30, 30), size=32, distance=8, sigma=2, gaussian=0.1)
        >>> offsets = np.array([0, 30, 60])
        >>> neighbors = motifgpu.nearest_neighbors(motifgpu.zernike_moments(made.patches), 5, offsets)
        >>> graph = motifgpu.affinity_graph(neighbors, offsets=offsets)
        >>> second = graph.part(1)
        >>> len(second.indptr) - 1, int(second.indices.max())
        (30, 29)
        """
        return self.parts()[micrograph]

    def parts(self) -> list[AffinityGraph]:
        """Return the graphs of all micrographs, each with indices from 0 on."""
        if self.offsets.size == 2:
            return [self]
        xp, limits = namespace.array_namespace(self.indices), self.offsets
        ends = namespace.to_numpy(xp.take(self.indptr, namespace.from_numpy(limits, self.indptr)))
        number = np.diff(limits)
        # Every graph has one limit more than vertices.
        place = np.arange(limits[-1] + number.size) - np.repeat(np.arange(number.size), number + 1)
        before = np.repeat(ends[:-1], number + 1).astype(ends.dtype)
        indptr = xp.take(self.indptr, namespace.from_numpy(place, self.indptr))
        indptr = indptr - namespace.from_numpy(before, indptr)
        starts = namespace.from_numpy(limits.astype(namespace.dtype_name(self.indices)), self.indices)
        indices = self.indices - xp.take(starts, xp.searchsorted(starts, self.indices, side="right") - 1)
        return [
            AffinityGraph(
                indptr=indptr[a + k : b + k + 1],
                indices=indices[int(ends[k]) : int(ends[k + 1])],
                weights=self.weights[int(ends[k]) : int(ends[k + 1])],
                sigma=self.sigma[a:b],
                tied=self.tied[a:b],
                offsets=np.array([0, b - a], np.int64),
            )
            for k, (a, b) in enumerate(pairwise(limits.tolist()))
        ]


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
        From `nearest_neighbors`, or a pair of indices (N, k), distinct within a row and of the same
        micrograph, and distances (N, k), increasing in each row.
    n_neighbors : int, optional
        Number of neighbours, the vertex itself included, as in other packages: k + 1 by default.
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

    Examples
    --------
    The edges of a graph of patches of two kinds join patches of one kind:

    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.patches(
    ...     (30, 30), centers=(1.0, 0.5), gaussian=0.1, size=32, distance=8, sigma=2
    ... )
    >>> graph = motifgpu.affinity_graph(motifgpu.nearest_neighbors(motifgpu.zernike_moments(made.patches)))
    >>> begins = np.repeat(np.arange(60), np.diff(graph.indptr))
    >>> bool((made.labels[begins] == made.labels[graph.indices]).mean() > 0.95)
    True
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
