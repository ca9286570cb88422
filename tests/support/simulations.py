"""What the tests of the simulations measure with."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

SMALL = (200, 260)


def at(image, points):
    """Intensity at sub-pixel points."""
    return ndimage.map_coordinates(image.astype(float), np.asarray(points, float).T, order=3)


def interior(points, shape, margin):
    return ((points >= margin) & (points <= np.array(shape) - 1 - margin)).all(1)


def same(a, b):
    return all(
        np.array_equal(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(a)
    )


def one_to_one(a, b):
    """Whether two labellings are the same partition."""
    pairs = np.unique(np.stack([a, b]), axis=1)
    return pairs.shape[1] == len(np.unique(a)) == len(np.unique(b))


def direction(points, others, degrees):
    """Angle from each point to each other, counter-clockwise as displayed and counted from `degrees`."""
    step = others - points
    return (np.rad2deg(np.arctan2(-step[..., 0], step[..., 1])) - degrees) % 360
