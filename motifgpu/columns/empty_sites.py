"""Which empty sites are believed: those inside a lattice, and not beyond its edge."""

from __future__ import annotations

from motifgpu.columns.filtered import FilteredImage
from motifgpu.columns.spacing import pixel_of
from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# An empty site is believed where at least this share of the sites around it holds a column; around is a
# Gaussian of two lattice constants, wide enough for holes of some ten columns. Among many holes the second
# share will do, if there are as many columns to the area as the third share of what is usual: at the edge of
# a flake there are half as many.
LEAST_FILLED, _AROUND = 0.8, 16.0
LEAST_AMONG_HOLES, LEAST_DENSITY = 0.6, 0.7


def inside_lattice(image: FilteredImage, points: Array, held: Array, on_site: Array) -> Array:
    """Say which points have enough sites that hold a column around them: (n,) bool.

    Parameters
    ----------
    image : FilteredImage
    points : (n, 2) array
    held, on_site : (n,) bool array
        Which of them are sites that hold a column, and which are sites.
    """
    xp = image.xp
    filled = _around(image, points, held) / namespace.clip(_around(image, points, on_site), min=1e-6)
    enough = filled >= LEAST_FILLED
    unsure = on_site & ~held & ~enough & (filled >= LEAST_AMONG_HOLES)
    if bool(xp.any(unsure)) and bool(xp.any(held)):
        enough = enough | (unsure & (_density(image, points, held) >= LEAST_DENSITY))
    return enough


def _around(image: FilteredImage, points: Array, members: Array) -> Array:
    """Return how many points (n, 2) that are `members` (n,) are around each, per pixel: (n,)."""
    xp, size = image.xp, image.band.size
    weight = xp.astype(members, points.dtype)
    ground = namespace.bincount(pixel_of(points, size), weight, size[0] * size[1])
    return image.at(image.band.blur(xp.reshape(ground, size), _AROUND), points)


def _density(image: FilteredImage, points: Array, members: Array) -> Array:
    """Return the same over how much of the image is around, in units of the members' median."""
    ground = image.at(image.band.blur(image.known, _AROUND), points)
    density = _around(image, points, members) / ground
    return density / namespace.upper_median(namespace.take_rows(density, members))
