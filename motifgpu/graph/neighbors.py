"""Exact nearest neighbours of features, micrograph by micrograph."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer, check_offsets, listed
from motifgpu.core.choices import METRICS
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.shown import one_line

STAGE = "neighbors"


class Neighbors(NamedTuple):
    """The nearest neighbours of N rows.

    Attributes
    ----------
    indices : (N, k) int32 array
        Rows of the input, of the same micrograph, without the row itself, by increasing distance; ties by
        index.
    distances : (N, k) float32 array
        Their distances: 0 to 2 by correlation, in the unit of the features by the Euclidean distance.
    """

    indices: Array
    distances: Array

    def __repr__(self) -> str:
        return one_line(self)


def nearest_neighbors(
    x: Any, k: int = 9, offsets: Array | None = None, metric: str = "correlation"
) -> Neighbors:
    """Find the k nearest other rows of every row, exactly.

    The paper's distance is one minus the correlation of two rows, computed as half the squared difference of
    the centred and normalised rows, which keeps its relative precision where neighbours are nearly equal. It
    does not depend on the contrast of a pattern, which is an advantage where brightness is uneven and a
    disadvantage where contrast identifies a column: compared with the Euclidean distance layouts lose 0.03 to
    0.11 in AMI at low dose (benchmarks/paper/bench_embeddings.py), and are better on a real micrograph
    (benchmarks/bench_relaxation.py). The result for a micrograph is the same bits for any number of threads,
    alone or in a batch.

    Parameters
    ----------
    x : (N, D) array
        Features, such as moments, of all micrographs.
    k : int
        Number of neighbours, the row itself not included.
    offsets : (m + 1,) array of int, optional
        Where each micrograph's rows begin and end; one micrograph without.
    metric : {"correlation", "euclidean"}
        The paper's distance, or the plain one.

    Returns
    -------
    Neighbors
        Unpacks as ``indices, distances``, in the namespace and on the device of `x`. Indices refer to the
        rows of `x`, also in a batch.

    Raises
    ------
    StageError
        If a row is not finite, or constant with the metric ``"correlation"``, which is then undefined, or a
        micrograph has no more than k rows, or the metric is unknown.

    References
    ----------
    Dan et al., Science Advances 8, eabk1005 (2022), supplement, "Construction of an Adjacency Matrix".

    Examples
    --------
    Nearest neighbours in the space of moments are columns of the same kind:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0)
    >>> patches, inside = motifgpu.extract_patches(made.image, made.points, 28)
    >>> indices, distances = motifgpu.nearest_neighbors(motifgpu.zernike_moments(patches), k=5)
    >>> indices.shape == distances.shape == (inside.sum(), 5)
    True
    >>> labels = made.labels[inside]
    >>> bool((labels[indices] == labels[:, None]).all())
    True
    """
    xp, x = check_array(x, STAGE, "x", 2, finite=False)
    if metric not in METRICS:
        raise StageError(STAGE, f"metric is {metric!r}", f"give one of {', '.join(METRICS)}")
    n = int(x.shape[0])
    k = check_integer(k, STAGE, "k", 1)
    limits = check_offsets(offsets, n, STAGE)
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
            f"{listed(namespace.to_numpy(bad))} of x have values that are NaN or infinite",
            "remove these points, or compute their moments from a repaired image",
        )
    if metric == "correlation":
        return Neighbors(*_nearest(xp, x, k, limits, unit=True))
    # By a power of two nothing is rounded, and no square leaves the range of float32.
    largest = float(xp.max(xp.abs(x), axis=None)) if n else 0.0
    scale = 2.0 ** (math.frexp(largest)[1] - 1)
    indices, halves = _nearest(xp, x / scale, k, limits, unit=False)
    return Neighbors(indices, xp.sqrt(2 * halves) * scale)


def _nearest(xp: ModuleType, x: Array, k: int, limits: np.ndarray, unit: bool) -> tuple[Array, Array]:
    """Return neighbours and half their squared distances, of rows as they are or made unit rows."""
    if namespace.is_cupy(xp):
        from motifgpu.cuda.neighbors import nearest
    else:
        from motifgpu.cpu.neighbors import nearest
    return nearest(x, k, limits, unit)
