"""Local maxima of an image, by height, by radius and by prominence."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
from scipy import sparse

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.core.on_points import positions, values_at


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


def peak_positions(x: Array, mask: Array) -> np.ndarray:
    """Return the sub-pixel positions of maxima, one for each connected plateau.

    Parameters
    ----------
    x : (H, W) array
    mask : (H, W) bool array
        Pixels that are maxima. Those that touch, also by a corner, are one plateau.

    Returns
    -------
    (n, 2) ndarray
        Centroid of each plateau as (row, col), moved to the vertex of the parabola through its neighbours
        along each axis where it is a single pixel.
    """
    height, width = x.shape
    flat = positions(mask)
    row, col = np.divmod(flat, width)
    sides = [
        np.where(inside, flat + step, flat)
        for step, inside in (
            (-width, row > 0),
            (width, row < height - 1),
            (-1, col > 0),
            (1, col < width - 1),
        )
    ]
    values, *around = values_at(x, np.stack([flat, *sides]))
    owner = _plateaus(flat, width)
    members = np.bincount(owner).astype(values.dtype)
    vertices = []
    for place, before, after in ((row, *around[:2]), (col, *around[2:])):
        bend = 2 * values - before - after
        offset = np.where(bend > 0, 0.5 * (after - before) / np.where(bend > 0, bend, 1), 0)
        vertex = place.astype(values.dtype) + namespace.clip(offset, min=-0.5, max=0.5)
        vertices.append(namespace.bincount(owner, vertex, members.size) / members)
    return np.stack(vertices, axis=1)


def _plateaus(flat: np.ndarray, width: int) -> np.ndarray:
    """Number groups of pixels (n,), rising flat indices, that touch, also by a corner: (n,)."""
    if flat.size < 2:
        return np.arange(flat.size)
    col, pairs = flat % width, []
    for step, inside in (
        (1, col < width - 1),
        (width - 1, col > 0),
        (width, col >= 0),
        (width + 1, col < width - 1),
    ):
        there = np.searchsorted(flat, flat + step)
        touching = np.flatnonzero(inside & (there < flat.size) & (flat[there % flat.size] == flat + step))
        pairs.append(np.stack([touching, there[touching]]))
    first, second = np.concatenate(pairs, axis=1)
    if not first.size:
        return np.arange(flat.size)
    links = sparse.coo_array((np.ones(first.size), (first, second)), shape=(flat.size, flat.size))
    group = sparse.csgraph.connected_components(links, directed=False)[1]
    _, begin, owner = np.unique(group, return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(begin))
    found: np.ndarray = number[owner.reshape(-1)]
    return found


def label_touching(mask: Array, xp: ModuleType) -> tuple[Array, int]:
    """Number the groups of pixels (H, W) that touch, also by a corner, from 1 on; and how many there are."""
    square = namespace.from_numpy(np.ones((3, 3), np.int32), mask)
    groups, count = namespace.ndimage(xp).label(mask, structure=square)
    return groups, int(count)
