"""Images at points: what they hold there, and points drawn on them.

Images are on any device, and points, two numbers each, on the host.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from motifgpu.core import namespace
from motifgpu.core.lockstep import together
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.core.rows import gathered, parts


def pixel_of(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the flat index (n,) of the pixel under each point."""
    nearest = np.round(points).astype(np.int64)
    row = namespace.clip(nearest[:, 0], min=0, max=shape[0] - 1)
    index: np.ndarray = row * shape[1] + namespace.clip(nearest[:, 1], min=0, max=shape[1] - 1)
    return index


def positions(mask: Array) -> np.ndarray:
    """Return the flat indices (n,) of the pixels where a mask is True, in their order."""
    if isinstance(mask, np.ndarray):
        return np.flatnonzero(mask)
    found: np.ndarray = _positions(mask)
    return found


@together
def _positions(calls: Sequence[tuple[Any, ...]]) -> list[np.ndarray]:
    masks = gathered([mask for (mask,) in calls])
    xp = namespace.array_namespace(masks)
    size = math.prod(masks.shape[1:])
    flat = to_numpy(xp.nonzero(xp.reshape(masks, (-1,)))[0])
    limits = np.searchsorted(flat, np.arange(1, len(calls)) * size)
    return [part - k * size for k, part in enumerate(np.split(flat, limits))]


def values_at(image: Array, index: np.ndarray) -> np.ndarray:
    """Return the values (...) of an image at flat indices (...)."""
    there: np.ndarray = image.reshape(-1)[index] if isinstance(image, np.ndarray) else _values(image, index)
    return there


def mean_and_values_at(image: Array, index: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return the mean of an image, and its values (n,) at flat indices (n,)."""
    if isinstance(image, np.ndarray):
        return np.mean(image), image.reshape(-1)[index]
    values = _values(image, index, True)
    return values[0], values[1:]


@together
def _values(calls: Sequence[tuple[Any, ...]]) -> list[np.ndarray]:
    images, indices, *with_mean = zip(*calls, strict=True)
    stack = gathered(images)
    xp, size = namespace.array_namespace(stack), math.prod(stack.shape[1:])
    where = np.concatenate([index.reshape(-1) + k * size for k, index in enumerate(indices)])
    there = xp.take(xp.reshape(stack, (-1,)), namespace.from_numpy(where, stack))
    limits = np.cumsum([index.size for index in indices])[:-1]
    if not with_mean:
        return [
            part.reshape(index.shape)
            for part, index in zip(np.split(to_numpy(there), limits), indices, strict=True)
        ]
    host = to_numpy(xp.concat([there, xp.mean(stack, axis=(1, 2))]))
    parts_of = np.split(host[: -len(calls)], limits)
    return [np.append(mean, part) for mean, part in zip(host[-len(calls) :], parts_of, strict=True)]


def scattered(index: Sequence[np.ndarray], weights: Sequence[np.ndarray], image: Array) -> Array:
    """Sum weights (n,) at flat indices (n,), several of each, on an image of the shape of `image`."""
    if isinstance(image, np.ndarray):
        size = image.shape[0] * image.shape[1]
        total = sum(namespace.bincount(i, w, size) for i, w in zip(index, weights, strict=True))
        return np.reshape(total, image.shape)
    return _scattered(image, np.concatenate(index), np.concatenate(weights))


@together
def _scattered(calls: Sequence[tuple[Any, ...]]) -> Sequence[Array]:
    images = gathered([image for image, _, _ in calls])
    xp, size = namespace.array_namespace(images), images.shape[1] * images.shape[2]
    where = np.concatenate([index + k * size for k, (_, index, _) in enumerate(calls)])
    weights = np.concatenate([weights for _, _, weights in calls])
    there, strength = namespace.from_numpy(where, images), namespace.as_like(weights, images)
    total = namespace.bincount(there, strength, len(calls) * size)
    return parts(xp.reshape(total, images.shape))


def sampled(image: Array, points: np.ndarray, around: np.ndarray) -> Array:
    """Return an image between its pixels, linearly, at steps (2, m) from points (n, 2): (n, m)."""
    if isinstance(image, np.ndarray):
        found = np.empty((len(points), around.shape[1]), image.dtype)
        at_once = max(1, namespace.block_size(np) // around.shape[1])
        for first in range(0, len(points), at_once):  # some at a time: places need four times the room
            some = slice(first, first + at_once)
            place = np.transpose(points[some, :, None] + around[None, :, :], (1, 0, 2))
            ndimage.map_coordinates(image, place, found[some], order=1, mode="nearest")
        return found
    return _sampled(image, points, around)


@together
def _sampled(calls: Sequence[tuple[Any, ...]]) -> Sequence[Array]:
    images = gathered([image for image, _, _ in calls])
    xp, number = namespace.array_namespace(images), [len(points) for _, points, _ in calls]
    of_image = np.repeat(np.arange(len(calls)), number)
    points = np.column_stack([of_image, np.concatenate([points for _, points, _ in calls])])
    # Steps are of one length, and differ where the images have other periods.
    steps = np.stack([np.pad(around, ((1, 0), (0, 0))) for _, _, around in calls])
    alike = (steps == steps[:1]).all()
    where, around = (
        namespace.as_like(points, images),
        namespace.as_like(steps[: 1 if alike else None], images),
    )
    if not alike:
        around = xp.take(around, namespace.from_numpy(of_image, images), axis=0)
    place = xp.permute_dims(where[:, :, None] + around, (1, 0, 2))
    there = namespace.ndimage(xp).map_coordinates(images, place, order=1, mode="nearest")
    return parts(there, [0, *itertools.accumulate(number)])


def sums_around(
    image: Array, centre: np.ndarray, steps: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum an image over the pixels at each step (2, m) from pixels (n, 2) of each of k kinds.

    Returns
    -------
    total : (k, m) float64 ndarray
        Sums of the values.
    square : (k,) float64 ndarray
        Sums of the squares, over all steps.
    """
    if isinstance(image, np.ndarray):
        return _sums_on_host(image, centre, steps, kind)
    found: tuple[np.ndarray, np.ndarray] = _sums_around(image, centre, kind, steps)
    return found


def _sums_on_host(
    image: np.ndarray, centre: np.ndarray, steps: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    number, width = int(kind.max()) + 1, steps.shape[1]
    total, square = np.zeros(number * width), np.zeros(number)
    at_once = max(1, namespace.block_size(np) // width)
    for first in range(0, len(kind), at_once):
        own = kind[first : first + at_once]
        some = centre[first : first + len(own), :]
        row = np.clip(some[:, 0, None] + steps[0], 0, image.shape[0] - 1)
        col = np.clip(some[:, 1, None] + steps[1], 0, image.shape[1] - 1)
        around = image.reshape(-1)[(row * image.shape[1] + col).reshape(-1)]
        place = (own[:, None] * width + np.arange(width)).reshape(-1)
        total += namespace.bincount(place, around, number * width)
        squares = (around * around).reshape(-1, width).sum(axis=1)
        square += np.bincount(own, squares, number)
    return total.reshape(number, width), square


@together
def _sums_around(calls: Sequence[tuple[Any, ...]]) -> list[tuple[np.ndarray, np.ndarray]]:
    images, steps = gathered([call[0] for call in calls]), calls[0][3]
    xp, (_, height, width) = namespace.array_namespace(images), images.shape
    many = steps.shape[1]
    first, limits = [], [0]
    for k, (_, centre, kind, _) in enumerate(calls):
        first.append(np.stack([np.full(len(centre), k), *centre.T, kind + limits[-1]]))
        limits.append(limits[-1] + int(kind.max()) + 1)
    there = namespace.from_numpy(np.concatenate(first, axis=1)[:, :, None], images)
    steps = namespace.from_numpy(steps[:, None, :], images)
    down, right = steps[0, :, :], steps[1, :, :]
    row = namespace.clip(there[1, :, :] + down, min=0, max=height - 1)
    col = namespace.clip(there[2, :, :] + right, min=0, max=width - 1)
    pixel = (there[0, :, :] * height + row) * width + col
    around = xp.take(xp.reshape(images, (-1,)), xp.reshape(pixel, (-1,)))
    place = there[3, :, :] * many + xp.arange(many, dtype=xp.int64, device=namespace.device(images))
    place = xp.reshape(place, (-1,))
    sums = [namespace.bincount(place, x, limits[-1] * many) for x in (around, around * around)]
    total, square = to_numpy(xp.stack(sums)).astype(np.float64).reshape(2, -1, many)
    square = square.sum(axis=1)
    return [(total[a:b], square[a:b]) for a, b in itertools.pairwise(limits)]
