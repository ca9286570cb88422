"""K-means on the device where the points are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.philox import philox

STAGE = "kmeans"
_COUNTED = 0x6B6D  # what sets these random numbers apart from those of other stages
_MOST_STEPS = 300
# Steps end when the centres' summed squared moves are below this share of the mean variance of a coordinate.
_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class KMeans:
    """Points parted into clusters about their means.

    Attributes
    ----------
    labels : (n,) int64 array
        Cluster of each point, from 0 on.
    centres : (k, d) array
        Mean of each cluster; of one without points, where it last was.
    inertia : float
        Sum of the squared distances of the points from their centres.
    """

    labels: Array
    centres: Array
    inertia: float


def kmeans(x: Any, n_clusters: int, *, starts: int = 3, seed: int = 0) -> KMeans:
    """Part points into clusters of least summed squared distance from their means.

    Parameters
    ----------
    x : (n, d) array
        Points.
    n_clusters : int
        From 1 to n. Where fewer points differ, some clusters stay without points.
    starts : int
        Starts, of which the best end is taken.
    seed : int
        Of the starts.

    Returns
    -------
    KMeans
        In the namespace and on the device of `x`. The same input gives the same bits on one backend.

    Raises
    ------
    StageError
        If the points are not (n, d) and finite, or an argument is no whole number or out of range.

    Notes
    -----
    Lloyd's iteration (S. P. Lloyd, IEEE Trans. Inf. Theory 28, 129, 1982) from greedy k-means++ starts (D.
    Arthur and S. Vassilvitskii, SODA 2007: of 2 + ln k candidates drawn by squared distance, the one that
    leaves the least is taken), by random numbers that are counted. A cluster that runs empty starts again at
    the point farthest from its centre. A few numbers per step are copied to the host.
    """
    xp, x = check_array(x, STAGE, "x", 2)
    n = int(x.shape[0])
    if n == 0:
        raise StageError(STAGE, "there are 0 points", "give at least one")
    k = check_integer(n_clusters, STAGE, "n_clusters", 1, n)
    starts = check_integer(starts, STAGE, "starts", 1)
    seed = check_integer(seed, STAGE, "seed", 0, 2**64 - 1)
    middle = xp.mean(x, axis=0)
    points = _Points(x - middle)
    best = min((points.descend(points.spread(k, start, seed)) for start in range(starts)), key=_inertia)
    return KMeans(best.labels, best.centres + middle, best.inertia)


def _inertia(found: KMeans) -> float:
    return found.inertia


class _Points:
    """Points about their mean, where products lose no digits to a common offset."""

    def __init__(self, x: Array) -> None:
        self.xp, self.x = namespace.array_namespace(x), x
        self.squares = self.xp.sum(x * x, axis=1)

    def distances(self, centres: Array, rows: slice = slice(None)) -> Array:
        """Return squared distances (rows, k)."""
        xp = self.xp
        product = xp.matmul(self.x[rows, :], xp.matrix_transpose(centres))
        beyond = self.squares[rows][:, None] + xp.sum(centres * centres, axis=1)[None, :]
        return xp.clip(beyond - 2.0 * product, min=0.0)

    def chunks(self, k: int) -> list[slice]:
        step, n = max(1, namespace.block_size(self.xp) // k), self.x.shape[0]
        return [slice(begin, min(begin + step, n)) for begin in range(0, n, step)]

    def spread(self, k: int, start: int, seed: int) -> Array:
        """Return k of the points, far from each other."""
        xp = self.xp
        trials = 2 + int(math.log(k))
        words = -(-trials // 4)
        pick, part = np.divmod(np.arange(k * words), words)
        counters = np.stack([pick, part, np.full_like(pick, start), np.full_like(pick, _COUNTED)], axis=1)
        share = philox(counters, seed).reshape(k, -1)[:, :trials] * 2.0**-32
        shares = namespace.as_like(share, self.x)
        place = xp.astype(shares[0, :1] * float(self.x.shape[0]), xp.int64)
        chosen = [xp.take(self.x, self._within(place), axis=0)]
        nearest = self.distances(chosen[0])[:, 0]
        for number in range(1, k):
            upto = xp.cumulative_sum(nearest)
            drawn = self._within(xp.searchsorted(upto, shares[number, :] * upto[-1], side="right"))
            candidates = xp.take(self.x, drawn, axis=0)
            left = xp.minimum(nearest[:, None], self.distances(candidates))
            best = xp.reshape(xp.argmin(xp.sum(left, axis=0)), (1,))
            chosen.append(xp.take(candidates, best, axis=0))
            nearest = xp.reshape(xp.take(left, best, axis=1), (-1,))
        return xp.concat(chosen, axis=0)

    def _within(self, place: Array) -> Array:
        return self.xp.clip(place, max=self.x.shape[0] - 1)

    def descend(self, centres: Array) -> KMeans:
        """Move centres to the means of their points until they stay."""
        xp = self.xp
        small = _TOLERANCE * float(xp.mean(self.squares)) / self.x.shape[1]
        labels, nearest = self.assign(centres)
        for _ in range(_MOST_STEPS):
            moved = self.means(labels, nearest, centres)
            shift = float(xp.sum((moved - centres) ** 2))
            centres = moved
            labels, nearest = self.assign(centres)
            if shift <= small:
                break
        return KMeans(labels, centres, float(xp.sum(nearest)))

    def assign(self, centres: Array) -> tuple[Array, Array]:
        """Return for each point the nearest centre, the first of several, and the squared distance."""
        labels, nearest = [], []
        for rows in self.chunks(centres.shape[0]):
            distances = self.distances(centres, rows)
            labels.append(self.xp.argmin(distances, axis=1))
            nearest.append(self.xp.min(distances, axis=1))
        return self.xp.concat(labels), self.xp.concat(nearest)

    def means(self, labels: Array, nearest: Array, centres: Array) -> Array:
        """Return the means of the clusters; empty ones at the points farthest from their centres."""
        xp, (k, _) = self.xp, centres.shape
        numbers = xp.arange(k, dtype=labels.dtype, device=namespace.device(labels))
        total, count = xp.zeros_like(centres), xp.zeros_like(numbers)
        for rows in self.chunks(k):
            member = labels[rows][None, :] == numbers[:, None]
            total = total + xp.matmul(xp.astype(member, total.dtype), self.x[rows, :])
            count = count + xp.sum(xp.astype(member, count.dtype), axis=1)
        full = count > 0
        means = total / xp.astype(xp.clip(count, min=1), total.dtype)[:, None]
        if bool(xp.all(full)):
            return means
        empty = xp.cumulative_sum(xp.astype(~full, numbers.dtype)) - 1
        farthest = xp.take(xp.argsort(nearest, descending=True, stable=True)[:k], xp.clip(empty, min=0))
        again = ~full & (xp.take(nearest, farthest) > 0)
        means = xp.where(full[:, None], means, centres)
        return xp.where(again[:, None], xp.take(self.x, farthest, axis=0), means)
