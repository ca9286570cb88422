"""Voronoi cells, for columns that have no lattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import QhullError, Voronoi

from motifgpu.core import namespace
from motifgpu.core.checks import check_array
from motifgpu.core.errors import StageError
from motifgpu.core.shown import one_line

# Cells that share less than this share of the usual border touch by accident (SPEC: 0.3 of the median).
_LEAST_RIDGE = 0.3


@dataclass(frozen=True, eq=False)
class VoronoiTiling:
    """One polygon per point, and which polygons are neighbours.

    Attributes
    ----------
    points : (n, 2) float64 ndarray
        The points as (row, col), px.
    polygons : list of n (k, 2) float64 ndarray
        Corners of each cell in order around it, px; empty for a cell that is not complete.
    complete : (n,) bool ndarray
        False for cells that reach beyond what the points span, and for points that coincide with another.
    pairs : (e, 2) int64 ndarray
        Cells that share a border of usual length, whether complete or not, the lower row first.
    """

    points: np.ndarray
    polygons: list[np.ndarray]
    complete: np.ndarray
    pairs: np.ndarray

    __repr__ = one_line


def voronoi_tiling(points: Any) -> VoronoiTiling:
    """Divide the plane into the regions nearest to each point.

    Parameters
    ----------
    points : (n, 2) array
        Atom columns as (row, col), px.

    Returns
    -------
    VoronoiTiling
        On the host.

    Raises
    ------
    StageError
        If there are fewer than 12 different points, they lie on a line, or a coordinate is not finite.

    Notes
    -----
    The second way of the paper's step 1 (Methods), for samples without a lattice. Borders shorter than 0.3 of
    the median make no neighbours.
    """
    _, given = check_array(points, "voronoi", "points", 2)
    where = namespace.to_numpy(given).astype(np.float64)
    if where.shape[1] != 2:
        raise StageError("voronoi", f"points has shape {where.shape}", "give (row, col) in two columns")
    unique, first = np.unique(where, axis=0, return_index=True)
    if len(unique) < 12:
        raise StageError("voronoi", f"there are only {len(unique)} different points", "give at least 12")
    try:
        diagram = Voronoi(unique)
    except QhullError:
        raise StageError(
            "voronoi", f"the {len(unique)} points lie on a line", "give points in the plane"
        ) from None
    low, high = unique.min(axis=0), unique.max(axis=0)
    polygons: list[np.ndarray] = [np.zeros((0, 2)) for _ in where]
    complete = np.zeros(len(where), bool)
    for row, region in zip(first, diagram.point_region, strict=True):
        corners = diagram.regions[region]
        if corners and -1 not in corners:
            polygon = _ordered(diagram.vertices[corners])
            if ((polygon >= low) & (polygon <= high)).all():
                polygons[row], complete[row] = polygon, True
    ridges = np.array(diagram.ridge_vertices)
    finite = (ridges >= 0).all(axis=1)
    length = np.full(len(ridges), np.inf)
    length[finite] = np.linalg.norm(
        diagram.vertices[ridges[finite, 0]] - diagram.vertices[ridges[finite, 1]], axis=1
    )
    pairs = first[diagram.ridge_points]
    inner = finite & complete[pairs].any(axis=1)
    usual = float(np.median(length[inner])) if inner.any() else 0.0
    kept = np.sort(pairs[length >= _LEAST_RIDGE * usual], axis=1).astype(np.int64)
    return VoronoiTiling(where, polygons, complete, kept[np.lexsort(kept.T[::-1])])


def _ordered(polygon: np.ndarray) -> np.ndarray:
    """Return the corners of a convex polygon in order around it."""
    away = polygon - polygon.mean(axis=0)
    return polygon[np.argsort(np.arctan2(away[:, 0], away[:, 1]), kind="stable")]
