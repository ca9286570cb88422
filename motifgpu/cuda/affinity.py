"""Edge weights and the symmetric graph on a GPU: launches ``kernels/affinity.cu``."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.affinity import LEAST_SIGMA, STEPS, TOLERANCE
from motifgpu.core.namespace import Array
from motifgpu.cuda import loader

STAGE = "affinity"
THREADS = 256
CONSTANTS: dict[str, int | str] = {
    "THREADS": THREADS,
    "LEAST_SIGMA": loader.single(LEAST_SIGMA),
    "TOLERANCE": loader.single(TOLERANCE),
    "STEPS": STEPS,
}


def _lanes(k: int) -> int:
    """Return how many threads sort a row: enough for half as many entries more than the k of its own."""
    return min(32, 1 << (k + k // 2 - 1).bit_length())


def solve(distances: Array, target: float) -> tuple[Array, Array, Array]:
    """Return weights (N, k), sigma (N,) and what is tied (N,) for distances (N, k) float32 on the device."""
    xp, where = namespace.array_namespace(distances), namespace.device(distances)
    n, k = distances.shape
    distances = loader.dense(distances, xp.float32)
    weights = xp.empty((n, k), dtype=xp.float32, device=where)
    sigma = xp.empty((n,), dtype=xp.float32, device=where)
    tied = xp.empty((n,), dtype=xp.bool, device=where)
    constants = CONSTANTS | {"K": k, "LANES": _lanes(k), "INDEX": loader.index_type(2 * n * k), "SUM": 0}
    launch = loader.kernel(STAGE, "solve_rows", **constants)
    launch(
        (-(-n // THREADS),), (THREADS,), (distances, np.float32(target), weights, sigma, tied, np.int32(n))
    )
    return weights, sigma, tied


def symmetrize(neighbors: Array, weights: Array, union: bool) -> tuple[Array, Array, Array]:
    """Return the symmetric graph of directed edges in compressed rows, sorted by index.

    Parameters
    ----------
    neighbors : (N, k) int32 array on the device
        Distinct vertices that each vertex lists, itself not among them.
    weights : (N, k) float32 array on the device
        Weight of each of these edges.
    union : bool
        Fuzzy union q + q' - q q'; otherwise the sum q + q'.

    Returns
    -------
    indptr (N + 1,) int32 or, where it must be, int64; indices (nnz,) int32; weights (nnz,) float32
    """
    xp, where = namespace.array_namespace(neighbors), namespace.device(neighbors)
    n, k = neighbors.shape
    neighbors, weights = loader.dense(neighbors, xp.int32), loader.dense(weights, xp.float32)
    index = loader.index_type(2 * n * k)
    scalar, dtype = (np.int32, xp.int32) if index == "int" else (np.int64, xp.int64)
    constants = CONSTANTS | {"K": k, "LANES": _lanes(k), "INDEX": index, "SUM": int(not union)}

    def launch(name: str, threads: int, *args: Any) -> None:
        loader.kernel(STAGE, name, **constants)((-(-threads // THREADS),), (THREADS,), args)

    extra = xp.zeros((n,), dtype=xp.int32, device=where)
    launch("count_edges", n * k, neighbors, extra, scalar(n * k))
    indptr = xp.cumulative_sum(xp.astype(extra + k, dtype), dtype=dtype, include_initial=True)
    total = int(indptr[-1])
    columns = xp.empty((total,), dtype=xp.int32, device=where)
    values = xp.empty((total,), dtype=xp.float32, device=where)
    extra[...] = 0
    launch("place_edges", n * k, neighbors, weights, indptr, extra, columns, values, scalar(n * k))
    launch("sort_rows", n * _lanes(k), indptr, columns, values, np.int32(n))
    return indptr, columns, values
