"""Points near each other on an image: the strongest of those too close, what is close by, groups."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import array_api_compat
import numpy as np

from motifgpu.columns.maxima import dilate, label_touching
from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.cpu import spacing as on_host


def pixel_of(points: Array, shape: tuple[int, int]) -> Array:
    """Return the flat index (n,) of the pixel under each point."""
    xp = namespace.array_namespace(points)
    nearest = xp.astype(xp.round(points), xp.int64)
    row = namespace.clip(nearest[:, 0], min=0, max=shape[0] - 1)
    return row * shape[1] + namespace.clip(nearest[:, 1], min=0, max=shape[1] - 1)


def four_around(row: Array, col: Array, shape: tuple[int, int]) -> Iterator[tuple[Array, Array]]:
    """Yield the flat index of each of the four pixels around places, and its share in them by distance."""
    xp = namespace.array_namespace(row)
    sides = []
    for place, length in zip((row, col), shape, strict=True):
        low = xp.floor(place)
        rest, low = place - low, xp.astype(low, xp.int64)
        sides.append(
            [
                (namespace.clip(low, min=0, max=length - 1), 1 - rest),
                (namespace.clip(low + 1, min=0, max=length - 1), rest),
            ]
        )
    for (r, down), (c, right) in itertools.product(*sides):
        yield r * shape[1] + c, down * right


def sampled(image: Array, points: Array, around: Array) -> Array:
    """Return an image between its pixels, linearly, at steps (2, m) from points (n, 2): (n, m)."""
    xp = namespace.array_namespace(points)
    place = points[:, :, None] + around[None, :, :]
    if array_api_compat.is_numpy_namespace(xp) or namespace.is_cupy(xp):
        return namespace.ndimage(xp).map_coordinates(
            image, xp.permute_dims(place, (1, 0, 2)), order=1, mode="nearest"
        )
    flat, total = xp.reshape(image, (-1,)), xp.zeros_like(place[:, 0, :])
    shape = (image.shape[0], image.shape[1])
    for pixel, share in four_around(place[:, 0, :], place[:, 1, :], shape):
        there = xp.take(flat, xp.reshape(pixel, (-1,)))
        total = total + share * xp.reshape(there, share.shape)
    return total


def sums_around(
    image: Array, centre: Array, steps: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum an image over the pixels at each step (2, m) from pixels (n, 2) of each of k kinds, on the host.

    Returns
    -------
    total : (k, m) float64 ndarray
        Sums of the values.
    square : (k,) float64 ndarray
        Sums of the squares, over all steps.
    """
    xp = namespace.array_namespace(image)
    number, width = int(kind.max()) + 1, steps.shape[1]
    total, square = np.zeros(number * width), np.zeros(number)
    rows, cols = (namespace.from_numpy(step, image) for step in steps)
    at_once = max(1, namespace.block_size(xp) // width)
    for first in range(0, len(kind), at_once):
        own = kind[first : first + at_once]
        some = centre[first : first + len(own), :]
        row = namespace.clip(some[:, 0, None] + rows[None, :], min=0, max=image.shape[0] - 1)
        col = namespace.clip(some[:, 1, None] + cols[None, :], min=0, max=image.shape[1] - 1)
        around = xp.take(xp.reshape(image, (-1,)), xp.reshape(row * image.shape[1] + col, (-1,)))
        place = namespace.from_numpy(own, image)[:, None] * width
        place = xp.reshape(place + xp.arange(width, dtype=xp.int64, device=namespace.device(image)), (-1,))
        total += namespace.to_numpy(namespace.bincount(place, around, number * width))
        squares = xp.sum(xp.reshape(around * around, (-1, width)), axis=1)
        square += np.bincount(own, namespace.to_numpy(squares), number)
    return total.reshape(number, width), square


def disc_of(steps: np.ndarray) -> np.ndarray:
    """Return the steps (2, m) along rows and columns that are in a disc as wide as the steps along one."""
    rows, cols = (s.reshape(-1) for s in np.meshgrid(steps, steps, indexing="ij"))
    inside = rows**2 + cols**2 <= 1.01 * steps[-1] ** 2  # those on the rim whatever their rounding
    return np.stack([rows[inside], cols[inside]])


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
    rank = xp.argsort(by_strength, stable=False)
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
    """Return how many points are connected to each, by steps of at most 9 px along either axis: (n,) int.

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
    groups, count = label_touching(marked > 0, xp)
    group = xp.astype(xp.take(xp.reshape(groups, (-1,)), pixel), pixel.dtype)
    return xp.take(namespace.bincount(group, None, count + 1), group)


def _outranked(
    points: Array, rank: Array, others: Array, their_rank: Array, shape: tuple[int, int], radius: float
) -> Array:
    """Say which points (n, 2) have one of `others` (m, 2) within `radius` that is of higher rank."""
    xp = namespace.array_namespace(points)
    if others.shape[0] == 0:
        return xp.zeros_like(rank, dtype=xp.bool)
    if array_api_compat.is_numpy_namespace(xp):
        here, there = pixel_of(points, shape), pixel_of(others, shape)
        return on_host.outranked(points, here, rank, others, there, their_rank, shape, radius)
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
        row = namespace.clip(centre // shape[1] + steps, min=0, max=shape[0] - 1)
        col = namespace.clip(centre % shape[1] + steps, min=0, max=shape[1] - 1)
        around = row[:, :, None] * shape[1] + col[:, None, :]
        number = xp.take(ground, xp.reshape(around, (-1,)))
        there = namespace.clip(number - 1, min=0)
        away = xp.reshape(xp.take(others, there, axis=0), (some.shape[0], -1, 2)) - some[:, None, :]
        number, higher = (
            xp.reshape(values, away.shape[:2]) for values in (number, xp.take(their_rank, there))
        )
        close = (number > 0) & (xp.sum(away * away, axis=2) <= radius * radius)
        parts.append(xp.any(close & (higher > rank[first:last, None]), axis=1))
    return xp.concat(parts)
