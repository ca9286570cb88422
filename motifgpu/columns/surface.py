"""Places at the surface of a crystal: those with columns on one side alone.

A lattice predicts places beyond the surface as well, where it is not known that there is a column.
Runs on the host, on two numbers a place.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.columns.filtered import FilteredImage
from motifgpu.core import namespace

# Nearest columns around a place, up to the second distance in that of the last of them, leave this angle
# open: 180 degrees on a facet, 270 at its corners and beyond it.
_AROUND, _REACH, _OPEN = 8, 1.2, 200.0
_FEWEST = 400  # pixels of the grid in which a support is seen, at least


def on_surface(image: FilteredImage, points: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Say which places (n,) have columns on one side alone, and data on the other.

    Parameters
    ----------
    image : FilteredImage
    points : (n, 2) ndarray
        Px of the grid.
    held : (n,) bool ndarray
        Which of them surely hold a column.
    """
    if held.sum() <= _AROUND:
        return np.zeros(len(points), dtype=bool)
    distance, near = cKDTree(points[held]).query(points, _AROUND + 1)
    # A place that holds a column finds itself.
    step = points[held][near] - points[:, None]
    reach = _REACH * float(np.median(distance[:, -1]))
    counted = (distance > 0) & (distance < reach)
    some = counted.any(axis=1)
    angle = np.arctan2(step[..., 0], step[..., 1])
    first = np.take_along_axis(angle, counted.argmax(axis=1)[:, None], axis=1)
    angle = np.sort(np.where(counted, angle, first), axis=1)
    width = np.diff(angle, axis=1, append=angle[:, :1] + 2 * np.pi)
    widest = width.argmax(axis=1)[:, None]
    wide, begin = (np.take_along_axis(x, widest, axis=1)[:, 0] for x in (width, angle))
    middle = begin + 0.5 * wide
    beyond = points + reach * np.stack([np.sin(middle), np.cos(middle)], axis=1)
    size = np.array(image.band.size)
    held_by_image = ((beyond >= 0) & (beyond < size)).all(axis=1)
    known = image.at(image.known, beyond.astype(namespace.dtype_name(image.known))) > 0
    surface: np.ndarray = some & (wide > np.deg2rad(_OPEN)) & held_by_image & known
    return surface


def roughness(image: FilteredImage, sigma: float) -> float:
    """Return the standard deviation of the heights that columns of a width would have where no lattice is."""
    xp = image.xp
    heights = 2 * image.band.blur(image.levelled(image.detail) * image.known, sigma)
    without = xp.where(image.region, 0.0, image.known)
    number = float(xp.sum(without))
    if number < _FEWEST:
        return 0.0
    variance = float(xp.sum(without * heights**2)) / number
    return math.sqrt(variance)
