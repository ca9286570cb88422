"""Local maxima of an image, by height, by radius and by prominence."""

from __future__ import annotations

import math
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
    height, width = x.shape
    if namespace.is_cupy(xp) and int(radius) == int(math.sqrt(radius**2 - 1)) == 1:
        return namespace.ndimage(xp).maximum_filter(x, 3, mode="constant", cval=-math.inf)

    def beyond(rows: int, cols: int) -> Array:
        return xp.full((rows, cols), -xp.inf, dtype=x.dtype, device=namespace.device(x))

    # Rows of the disc by their length, the shortest first: maxima along rows are made longer step by step.
    result, along, reach = x, x, 0
    for row in range(int(radius), -1, -1):
        while reach < int(math.sqrt(radius**2 - row**2)):
            wide = xp.concat([beyond(height, 1), along, beyond(height, 1)], axis=1)
            along = xp.maximum(along, xp.maximum(wide[:, :width], wide[:, 2:]))
            reach += 1
        if row:
            wide = xp.concat([beyond(row, width), along, beyond(row, width)], axis=0)
            result = xp.maximum(result, xp.maximum(wide[:height, :], wide[2 * row :, :]))
    return xp.maximum(result, along)


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
    plateaus, count = label_touching(mask, xp)
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
        vertices.append(xp.astype(place, x.dtype) + namespace.clip(offset, min=-0.5, max=0.5))
    members = xp.astype(namespace.bincount(owner, None, count), x.dtype)
    return xp.stack([namespace.bincount(owner, v, count) / members for v in vertices], axis=1)


def label_touching(mask: Array, xp: ModuleType) -> tuple[Array, int]:
    """Number the groups of pixels (H, W) that touch, also by a corner, from 1 on; and how many there are."""
    square = namespace.from_numpy(np.ones((3, 3), np.int32), mask)
    groups, count = namespace.ndimage(xp).label(mask, structure=square)
    return groups, int(count)
