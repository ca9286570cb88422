"""Points near each other: the strongest of those too close, what is close by, groups. Runs on the host."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from motifgpu.core import namespace
from motifgpu.core.on_points import pixel_of
from motifgpu.cpu import spacing as on_host

_STEP = 9  # px along either axis by which points are connected


def four_around(
    row: np.ndarray, col: np.ndarray, shape: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the flat index of each of the four pixels around places, and its share in them by distance."""
    sides = []
    for place, length in zip((row, col), shape, strict=True):
        low = np.floor(place)
        rest, low = place - low, low.astype(np.int64)
        sides.append(
            [
                (namespace.clip(low, min=0, max=length - 1), 1 - rest),
                (namespace.clip(low + 1, min=0, max=length - 1), rest),
            ]
        )
    for (r, down), (c, right) in itertools.product(*sides):
        yield r * shape[1] + c, down * right


def disc_of(steps: np.ndarray) -> np.ndarray:
    """Return the steps (2, m) along rows and columns that are in a disc as wide as the steps along one."""
    rows, cols = (s.reshape(-1) for s in np.meshgrid(steps, steps, indexing="ij"))
    inside = rows**2 + cols**2 <= 1.01 * steps[-1] ** 2  # those on the rim whatever their rounding
    return np.stack([rows[inside], cols[inside]])


def strongest_within(
    points: np.ndarray, strength: np.ndarray, shape: tuple[int, ...], radius: float
) -> np.ndarray:
    """Say which points have no stronger one within `radius`: (n,) bool. Of equals the later one is stronger.

    Parameters
    ----------
    points : (n, 2) ndarray
        As (row, col) in pixels.
    strength : (n,) ndarray
    shape : (int, int)
        Rows and columns that hold all points.
    radius : float
        px.
    """
    by_strength = np.argsort(strength, kind="stable")
    rank = np.argsort(by_strength)
    # Of points on one pixel only the strongest is seen, and none of the others is the strongest.
    pixel = pixel_of(points, shape)
    order = by_strength[np.argsort(pixel[by_strength], kind="stable")]
    pixel = pixel[order]
    seen = order[np.append(pixel[1:] != pixel[:-1], np.ones_like(pixel[:1], dtype=bool))]
    stronger: np.ndarray = ~_outranked(points, rank, points[seen], rank[seen], shape, radius)
    return stronger


def near(points: np.ndarray, others: np.ndarray, shape: tuple[int, ...], radius: float) -> np.ndarray:
    """Say which points (n, 2) have one of `others` (m, 2), of which no two share a pixel, within `radius`."""
    low, high = (np.zeros(len(p), np.int64) for p in (points, others))
    return _outranked(points, low, others, high + 1, shape, radius)


def group_sizes(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return how many points are connected to each, by steps of at most 9 px along either axis: (n,) int.

    Parameters
    ----------
    points : (n, 2) ndarray
        As (row, col) in pixels.
    shape : (int, int)
        Rows and columns that hold all points.
    """
    pixel = np.stack(np.divmod(pixel_of(points, shape), shape[1]), axis=1)
    pairs = cKDTree(pixel).query_pairs(_STEP + 0.5, p=np.inf, output_type="ndarray")
    links = sparse.coo_array((np.ones(len(pairs)), pairs.T), shape=(len(pixel), len(pixel)))
    group = sparse.csgraph.connected_components(links, directed=False)[1]
    sizes: np.ndarray = np.bincount(group)[group]
    return sizes


def _outranked(
    points: np.ndarray,
    rank: np.ndarray,
    others: np.ndarray,
    their_rank: np.ndarray,
    shape: tuple[int, ...],
    radius: float,
) -> np.ndarray:
    """Say which points (n, 2) have one of `others` (m, 2) within `radius` that is of higher rank."""
    if len(others) == 0:
        return np.zeros(len(points), bool)
    here, there = pixel_of(points, shape), pixel_of(others, shape)
    return on_host.outranked(points, here, rank, others, there, their_rank, (shape[0], shape[1]), radius)
