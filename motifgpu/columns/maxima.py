"""Local maxima of an image, by height, by radius and by prominence."""

from __future__ import annotations

import itertools
from types import ModuleType

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array


def dilate(x: Array, radius: float = 1.5) -> Array:
    """Return the largest value within `radius` of each pixel, the image continued by minus infinity.

    Parameters
    ----------
    x : (H, W) array
    radius : float
        Of the disc, px; 1.5 is the square of 3 x 3.
    """
    xp = namespace.array_namespace(x)
    if radius == 1.5:
        for axis in (0, 1):
            x = xp.maximum(x, xp.maximum(_shift(x, 1, axis, xp), _shift(x, -1, axis, xp)))
        return x
    result = x
    for row, col in _disc(radius):
        result = xp.maximum(result, _shift(_shift(x, row, 0, xp), col, 1, xp))
    return result


def _disc(radius: float) -> list[tuple[int, int]]:
    reach = range(-int(radius), int(radius) + 1)
    return [(r, c) for r, c in itertools.product(reach, reach) if 0 < r * r + c * c <= radius * radius]


def _shift(x: Array, by: int, axis: int, xp: ModuleType) -> Array:
    """Move an image by a few pixels along an axis, minus infinity moving in."""
    if by == 0:
        return x
    length = x.shape[axis]
    edge = list(x.shape)
    edge[axis] = min(abs(by), length)
    fill = xp.full(tuple(edge), -xp.inf, dtype=x.dtype, device=namespace.device(x))
    rest = max(length - abs(by), 0)
    kept = slice(0, rest) if by > 0 else slice(length - rest, length)
    kept_part = x[kept, :] if axis == 0 else x[:, kept]
    return xp.concat([fill, kept_part] if by > 0 else [kept_part, fill], axis=axis)


def local_maxima(x: Array, radius: float = 1.5) -> Array:
    """Say which pixels equal the grey dilation: (H, W) bool."""
    return x == dilate(x, radius)


def prominent(x: Array, height: float, reach: int) -> Array:
    """Say which pixels belong to maxima of at least a given topographic prominence: (H, W) bool.

    The image lowered by `height` is flooded back under the image (grey reconstruction); where it comes no
    closer than `height`, no path to higher ground stays above that. Only the ground within `reach` is looked
    at: higher ground further away is not seen, and a maximum must stand out from what is near.

    Parameters
    ----------
    x : (H, W) array
    height : float
        Least prominence, in the image's unit.
    reach : int
        Longest path to higher ground, px.
    """
    xp = namespace.array_namespace(x)
    flooded, lowered = x - height, -x
    for _ in range(reach):
        flooded = xp.minimum(dilate(flooded), x)
        lowered = dilate(lowered)
    # What the floods do not reach stands out only if the ground near it is low enough.
    return xp.minimum(x - flooded, x + lowered) > 0.999 * height


def peak_positions(x: Array, mask: Array) -> Array:
    """Return the sub-pixel positions of maxima, one for each connected plateau.

    Parameters
    ----------
    x : (H, W) array
    mask : (H, W) bool array
        Pixels that are maxima. Those that touch, also by a corner, are one plateau.

    Returns
    -------
    (n, 2) array
        Centroid of each plateau as (row, col), moved to the vertex of the parabola through its neighbours
        along each axis where it is a single pixel.
    """
    xp = namespace.array_namespace(x)
    height, width = x.shape
    plateaus, count = namespace.ndimage(xp).label(mask, structure=_ones(x, xp))
    flat = xp.nonzero(xp.reshape(mask, (-1,)))[0]
    owner = xp.astype(xp.take(xp.reshape(plateaus, (-1,)), flat), flat.dtype) - 1
    row, col = flat // width, flat % width
    values = xp.reshape(x, (-1,))

    def neighbours(step: int, inside: Array) -> Array:
        there = xp.take(values, xp.where(inside, flat + step, flat))
        return xp.where(inside, there, xp.take(values, flat))

    vertices = []
    for place, length, step in ((row, height, width), (col, width, 1)):
        before, after = neighbours(-step, place > 0), neighbours(step, place < length - 1)
        bend = 2 * xp.take(values, flat) - before - after
        offset = xp.where(bend > 0, 0.5 * (after - before) / xp.where(bend > 0, bend, 1), 0)
        vertices.append(xp.astype(place, x.dtype) + xp.clip(offset, min=-0.5, max=0.5))
    members = xp.astype(namespace.bincount(owner, None, int(count)), x.dtype)
    return xp.stack([namespace.bincount(owner, v, int(count)) / members for v in vertices], axis=1)


def _ones(like: Array, xp: ModuleType) -> Array:
    return namespace.from_numpy(np.ones((3, 3), np.int32), like)


def strongest_within(points: Array, strength: Array, shape: tuple[int, int], radius: float) -> Array:
    """Say which points have no stronger one within `radius`: (n,) bool. Of equals the later one is stronger.

    Parameters
    ----------
    points : (n, 2) array
        As (row, col) in pixels.
    strength : (n,) array
    shape : (int, int)
        Rows and columns that hold all points.
    radius : float
        px.
    """
    xp = namespace.array_namespace(points)
    by_strength = xp.argsort(strength, stable=True)
    rank = xp.argsort(by_strength)
    # Of points on one pixel only the strongest is seen, and none of the others is the strongest.
    order = xp.take(by_strength, xp.argsort(xp.take(pixel_of(points, shape), by_strength), stable=True))
    pixel = xp.take(pixel_of(points, shape), order)
    last = xp.concat([pixel[1:] != pixel[:-1], xp.ones_like(pixel[:1], dtype=xp.bool)])
    seen = namespace.take_rows(order, last)
    return ~_outranked(points, rank, xp.take(points, seen, axis=0), xp.take(rank, seen), shape, radius)


def near(points: Array, others: Array, shape: tuple[int, int], radius: float) -> Array:
    """Say which points (n, 2) have one of `others` (m, 2), of which no two share a pixel, within `radius`."""
    xp = namespace.array_namespace(points)
    low, high = (xp.zeros_like(p[:, 0], dtype=xp.int64) for p in (points, others))
    return _outranked(points, low, others, high + 1, shape, radius)


def group_sizes(points: Array, shape: tuple[int, int]) -> Array:
    """Return how many points hang together with each, by steps of at most 9 px along either axis: (n,) int.

    Parameters
    ----------
    points : (n, 2) array
        As (row, col) in pixels.
    shape : (int, int)
        Rows and columns that hold all points.
    """
    xp = namespace.array_namespace(points)
    pixel = pixel_of(points, shape)
    marked = namespace.bincount(pixel, xp.ones_like(points[:, 0]), shape[0] * shape[1])
    marked = xp.reshape(marked, shape)
    for _ in range(4):
        marked = dilate(marked)
    groups, count = namespace.ndimage(xp).label(marked > 0, structure=_ones(points, xp))
    group = xp.astype(xp.take(xp.reshape(groups, (-1,)), pixel), pixel.dtype)
    return xp.take(namespace.bincount(group, None, int(count) + 1), group)


def _outranked(
    points: Array, rank: Array, others: Array, their_rank: Array, shape: tuple[int, int], radius: float
) -> Array:
    """Say which points (n, 2) have one of `others` (m, 2) within `radius` that is of higher rank."""
    xp = namespace.array_namespace(points)
    if others.shape[0] == 0:
        return xp.zeros_like(rank, dtype=xp.bool)
    numbers = xp.arange(1, others.shape[0] + 1, dtype=points.dtype, device=namespace.device(points))
    ground = namespace.bincount(pixel_of(others, shape), numbers, shape[0] * shape[1])
    ground = xp.astype(ground, xp.int64)
    reach = int(radius + 1)
    steps = xp.arange(-reach, reach + 1, dtype=xp.int64, device=namespace.device(points))
    at_once = max(1, namespace.block_size(xp) // (2 * reach + 1) ** 2)
    parts = [xp.zeros_like(rank[:0], dtype=xp.bool)]
    for first in range(0, points.shape[0], at_once):
        last = min(first + at_once, points.shape[0])
        some = points[first:last, :]
        centre = pixel_of(some, shape)[:, None]
        row = xp.clip(centre // shape[1] + steps, min=0, max=shape[0] - 1)
        col = xp.clip(centre % shape[1] + steps, min=0, max=shape[1] - 1)
        around = row[:, :, None] * shape[1] + col[:, None, :]
        number = xp.take(ground, xp.reshape(around, (-1,)))
        there = xp.clip(number - 1, min=0)
        away = xp.reshape(xp.take(others, there, axis=0), (some.shape[0], -1, 2)) - some[:, None, :]
        number, higher = (
            xp.reshape(values, away.shape[:2]) for values in (number, xp.take(their_rank, there))
        )
        close = (number > 0) & (xp.sum(away * away, axis=2) <= radius * radius)
        parts.append(xp.any(close & (higher > rank[first:last, None]), axis=1))
    return xp.concat(parts)


def pixel_of(points: Array, shape: tuple[int, int]) -> Array:
    """Return the flat index (n,) of the pixel under each point."""
    xp = namespace.array_namespace(points)
    nearest = xp.astype(xp.round(points), xp.int64)
    row = xp.clip(nearest[:, 0], min=0, max=shape[0] - 1)
    return row * shape[1] + xp.clip(nearest[:, 1], min=0, max=shape[1] - 1)
