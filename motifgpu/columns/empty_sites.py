"""Which empty sites are believed: those inside a lattice, and not beyond its edge."""

from __future__ import annotations

import numpy as np

from motifgpu.columns.filtered import FilteredImage
from motifgpu.core import namespace
from motifgpu.core.on_points import pixel_of, scattered

# An empty site is believed where at least this share of the sites around it holds a column; around is a
# Gaussian of two lattice constants, wide enough for holes of some ten columns. Among many holes the second
# share will do, if there are as many columns to the area as the third share of what is usual: at the edge of
# a flake there are half as many.
LEAST_FILLED, _AROUND = 0.8, 16.0
LEAST_AMONG_HOLES, LEAST_DENSITY = 0.6, 0.7


def inside_lattice(
    image: FilteredImage, points: np.ndarray, held: np.ndarray, on_site: np.ndarray
) -> np.ndarray:
    """Say which points have enough sites that hold a column around them: (n,) bool.

    Parameters
    ----------
    image : FilteredImage
    points : (n, 2) ndarray
    held, on_site : (n,) bool ndarray
        Which of them are sites that hold a column, and which are sites.
    """
    filled = _around(image, points, held) / namespace.clip(_around(image, points, on_site), min=1e-6)
    enough: np.ndarray = filled >= LEAST_FILLED
    unsure = on_site & ~held & ~enough & (filled >= LEAST_AMONG_HOLES)
    if unsure.any() and held.any():
        enough = enough | (unsure & (_density(image, points, held) >= LEAST_DENSITY))
    return enough


def _around(image: FilteredImage, points: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return how many points (n, 2) that are `members` (n,) are around each, per pixel: (n,)."""
    weight = members.astype(points.dtype)
    ground = scattered([pixel_of(points, image.band.size)], [weight], image.known)
    return image.at(image.band.blur(ground, _AROUND), points)


def _density(image: FilteredImage, points: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return the same over how much of the image is around, in units of the members' median."""
    ground = image.at(image.band.blur(image.known, _AROUND), points)
    density = _around(image, points, members) / ground
    relative: np.ndarray = density / namespace.upper_median(density[members])
    return relative
