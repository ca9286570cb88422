"""Lattice vectors of a set of points, from the displacements between them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from motifgpu.core.errors import StageError
from motifgpu.structure.lattice.bravais import reduced

# Bin and standard deviation of the smoothed displacement histogram, in nearest-neighbour distances.
_BIN, _WIDTH = 0.1, 0.17
# A translation brings this share of the highest peak; between the two sites of a honeycomb it is 0.5.
_TRANSLATION = 0.72
# Two translations of one lattice have sum and difference with this share; those of two grains do not.
_CLOSURE = 0.45
# The highest peak of a lattice: the share of points with a partner there, and over the usual displacement.
_LEAST_SHARE, _ABOVE_USUAL = 0.15, 3.5
# Reaches that are tried, in nearest-neighbour distances: large cells need the second.
_REACHES = (4.0, 9.0)
_MOST_SOURCES = 6000


class _Displacements:
    """The smoothed histogram of pair displacements: how many points have a partner there."""

    def __init__(self, points: np.ndarray, labels: np.ndarray, spacing: float, reach: float) -> None:
        tree = cKDTree(points)
        sources = np.arange(0, len(points), -(-len(points) // _MOST_SOURCES))
        rows = tree.query_ball_point(points[sources], reach * spacing)
        target = np.concatenate([np.asarray(row, np.int64) for row in rows])
        source = np.repeat(sources, np.fromiter(map(len, rows), np.int64, len(rows)))
        steps = (points[target] - points[source]) / spacing
        self.steps = steps[(np.hypot(*steps.T) > 0.3) & (labels[target] == labels[source])]
        self.half = round(reach / _BIN)
        edges = (np.arange(2 * self.half + 2) - self.half - 0.5) * _BIN
        histogram = np.histogram2d(self.steps[:, 0], self.steps[:, 1], bins=[edges, edges])[0]
        sigma = _WIDTH / _BIN
        smooth = ndimage.gaussian_filter(histogram, sigma, mode="constant") * 2 * np.pi * sigma**2
        offset = np.arange(-self.half, self.half + 1) * _BIN * spacing
        # Points half a spacing inside the border on average: a row of n of them is n spacings long.
        extent = np.ptp(points, axis=0) + spacing
        overlap = [np.maximum(1 - np.abs(offset) / length, 0.15) for length in extent]
        self.share = smooth / (len(sources) * overlap[0][:, None] * overlap[1][None, :])
        self.share = (self.share + self.share[::-1, ::-1]) / 2
        radius = np.hypot(*np.meshgrid(*(offset / spacing,) * 2))
        self.usual = float(np.median(self.share[(radius > 0.7) & (radius < reach)]))
        self.share[radius > reach - 2 * _WIDTH] = 0.0
        self.spacing = spacing

    def at(self, steps: np.ndarray) -> np.ndarray:
        """Return the share at displacements (k, 2) in nearest-neighbour distances, NaN beyond the reach."""
        place = steps / _BIN + self.half
        inside = (np.abs(place - self.half) < self.half - 2).all(axis=1)
        values = ndimage.map_coordinates(self.share, place.T, order=1, mode="constant")
        return np.where(inside & (values > 0), values, np.nan)

    def peaks(self) -> np.ndarray:
        """Return the translations (k, 2), shortest first, one of each pair of opposite ones."""
        size = 2 * round(0.3 / _BIN) + 1
        highest = self.share == ndimage.maximum_filter(self.share, size=size, mode="constant")
        row, col = np.nonzero(highest & (self.share >= _TRANSLATION * self.share.max()))
        steps = (np.stack([row, col], axis=1) - self.half) * _BIN
        steps = steps[(steps[:, 1] > 1e-9) | ((np.abs(steps[:, 1]) <= 1e-9) & (steps[:, 0] < 0))]
        tree = cKDTree(self.steps)
        centred = [self.steps[tree.query_ball_point(step, 2 * _WIDTH)].mean(axis=0) for step in steps]
        result = np.array(centred).reshape(-1, 2)
        return result[np.argsort(np.hypot(*result.T), kind="stable")]


def nearest_distance(points: np.ndarray) -> float:
    """Return the median distance of a point from its nearest other one, coincident points left out."""
    unique = np.unique(points, axis=0)
    if len(unique) < 2:
        return 0.0
    return float(np.median(cKDTree(unique).query(unique, k=2)[0][:, 1]))


def find_translations(points: np.ndarray, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Find two vectors that span the translations of a set of points.

    Parameters
    ----------
    points : (n, 2) float64 ndarray
        Points as (row, col), px.
    labels : (n,) int ndarray, optional
        Count only displacements between points of equal label.

    Returns
    -------
    u, v : (2,) float64 ndarray
        Shortest independent translations, px.

    Raises
    ------
    StageError
        If no two independent displacements bring enough points onto others.

    Notes
    -----
    The pair whose longer member is shortest is taken among those whose sum and difference are translations
    too, because the translations of two grains are all in the one histogram.
    """
    spacing = nearest_distance(points)
    labels = np.zeros(len(points), np.int64) if labels is None else labels
    best_share = 0.0
    for reach in _REACHES if spacing > 0 else ():
        pairs = _Displacements(points, labels, spacing, reach)
        highest = float(pairs.share.max())
        best_share = max(best_share, highest)
        if highest < max(_LEAST_SHARE, _ABOVE_USUAL * pairs.usual):
            continue
        found = _shortest_pair(pairs, pairs.peaks(), highest)
        if found is not None:
            return found[0] * spacing, found[1] * spacing
    raise StageError(
        "lattice",
        f"the {len(points)} points have no lattice (no two independent displacements shared by enough points;"
        f" the commonest is shared by {best_share:.0%})",
        "use Voronoi cells (voronoi_cells)",
    )


def _shortest_pair(
    pairs: _Displacements, steps: np.ndarray, highest: float
) -> tuple[np.ndarray, np.ndarray] | None:
    for second in range(1, len(steps)):
        for first in range(second):
            a, b = steps[first], steps[second]
            area = abs(a[0] * b[1] - a[1] * b[0])
            if area < 0.3 * np.hypot(*a) * np.hypot(*b):
                continue
            around = pairs.at(np.stack([a + b, a - b]))
            # Of sum and difference the longer one may lie beyond the reach.
            if np.nanmin(np.append(around, np.inf)) >= _CLOSURE * highest and not np.isnan(around).all():
                return reduced(a, b)
    return None
