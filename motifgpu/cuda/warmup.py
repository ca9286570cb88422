"""Compiles the kernels before they are needed, by using each once on a few small graphs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.forces import STAGES, Forces
from motifgpu.core.sampling import Sampling
from motifgpu.cuda import affinity, loader, neighbors, patches, refine, relaxation

VALUES = 66, 36  # in a row: moments up to order 10, and what is left of them under rotation
COUNTS = 40, 150  # vertices of the graphs


def run(like: Any = None, n_neighbors: int = 10) -> int:
    """Use every kernel once, so that it is compiled and stored in CuPy's cache.

    Parameters
    ----------
    like : array, optional
        An array on the device to warm up; host memory by default, which is for a stand-in of a GPU.
    n_neighbors : int
        As analyses will use it, the point itself counted: kernels are specialised for it.

    Returns
    -------
    int
        Number of kernels that were compiled or loaded.
    """
    like = np.empty(0, np.float32) if like is None else like
    before = loader.compiled()
    rng = np.random.default_rng(0)
    image = namespace.from_numpy(np.zeros((32, 32), np.float32), like)
    pixel = np.zeros((1, 2), np.int64)
    patches.sample(image, pixel, np.zeros((1, 2)), Sampling(8, 1.0))
    columns = np.full((1, 2), 16.0), np.ones(1), 1.0
    for known in (None, image):
        refine.fit(image, *columns, known, 1, 0.0)
        refine.measure(image, *columns, known, 1)
    refine.draw(image, *columns)
    offsets = np.concatenate([[0], np.cumsum(COUNTS)])
    for values in VALUES:
        x = rng.normal(size=(offsets[-1], values)).astype(np.float32)
        x[:100] = x[0] + 1e-5 * x[:100]  # so near each other that they are searched by difference
        indices, distances = neighbors.nearest(namespace.from_numpy(x, like), n_neighbors - 1, offsets)
    weights, _, _ = affinity.solve(distances, math.log2(n_neighbors))
    graph = affinity.symmetrize(indices, weights, True)
    start = namespace.from_numpy(rng.normal(size=(offsets[-1], 2)).astype(np.float32), like)
    forces = Forces([stage._replace(sweeps=1) for stage in STAGES], n_repulsions=10.0, clip=4.0, seed=0)
    relaxation.relax(*graph, offsets, start, forces, None, 16)
    relaxation.relax_by_launches(*graph, offsets, start, forces)
    return loader.compiled() - before
