"""Pixels that are no data, filled from those around them."""

from __future__ import annotations

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# Least share of a window that is data, for its mean to fill the pixel in the middle.
_LEAST = 0.1


def fill(x: Array, valid: Array) -> Array:
    """Continue an image smoothly where it is no data.

    A pixel gets the mean of the data in the smallest window about it of which a tenth is data: a dead pixel
    or line that of its neighbours, the inside of a margin that of a wide part of the image.

    Parameters
    ----------
    x : (H, W) array
        Of any values, also not finite ones, where it is no data.
    valid : (H, W) bool array
        Which pixels are data; at least one.

    Returns
    -------
    (H, W) array
    """
    xp = namespace.array_namespace(x)
    filters = namespace.ndimage(xp)
    weight = xp.astype(valid, x.dtype)
    mean = xp.sum(xp.where(valid, x, 0.0)) / xp.sum(weight)
    inside = xp.where(valid, x - mean, 0.0)
    result, known, width = inside, valid, 3
    while width <= 2 * max(x.shape) and not bool(xp.all(known)):
        share = filters.uniform_filter(weight, size=width, mode="constant")
        total = filters.uniform_filter(inside, size=width, mode="constant")
        found = ~known & (share > (_LEAST if width > 3 else 2 * _LEAST))
        result = xp.where(found, total / namespace.clip(share, min=1e-6), result)
        known, width = known | found, 2 * width + 1
    return xp.where(valid, x, result + mean)


def box_of(valid: Array) -> tuple[slice, slice]:
    """Return the rows and columns from the first to the last with any data."""
    xp = namespace.array_namespace(valid)
    sides = []
    for axis in (1, 0):
        there = np.flatnonzero(namespace.to_numpy(xp.any(valid, axis=axis)))
        sides.append(slice(int(there[0]), int(there[-1]) + 1))
    return sides[0], sides[1]
