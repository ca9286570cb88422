"""Columns chosen among the maxima of the smoothed image: by prominence, or by a maximum filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motifgpu.columns.filtered import FAINTEST, LEAST_SPACING, FilteredImage
from motifgpu.columns.maxima import local_maxima, peak_positions, prominent
from motifgpu.columns.refine import STEPS, measure_heights, settle, start_peaks
from motifgpu.columns.scale import CUTOFF
from motifgpu.columns.spacing import strongest_within
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array

# Prominence in the smoothed image of a column off the lattice, in standard deviations of its noise.
SIGNIFICANCE = 5.0
# Radius of the paper's maximum filter over the period of the first ring.
RADIUS = 0.36
# Longest path to higher ground that prominence follows.
_FLOOD = 12


@dataclass(frozen=True)
class Found:
    """Columns on the band's grid.

    Attributes
    ----------
    points : (n, 2) ndarray
    heights : (n,) ndarray
        Above the level around each, in the image without smoothing.
    occupied : (n,) bool ndarray
        False for empty sites.
    probability : (n,) ndarray
        That a column stands there.
    sigma : () ndarray
        Width of all of them.
    """

    points: np.ndarray
    heights: np.ndarray
    occupied: np.ndarray
    probability: np.ndarray
    sigma: np.ndarray


def choose_by_maxima(image: FilteredImage, method: str) -> Found:
    """Choose among the maxima of the smoothed image.

    Parameters
    ----------
    image : FilteredImage
    method : {"prominence", "radius"}

    Raises
    ------
    StageError
        If there are none.
    """
    xp = image.xp
    if method == "radius":
        maxima = local_maxima(image.smoothed, RADIUS * 2 * CUTOFF) & image.frame
    else:
        maxima = prominent_maxima(image, FAINTEST * float(xp.max(image.smoothed * image.band.inside)))
    starts = peak_positions(image.smoothed, maxima)
    if starts.shape[0] == 0:
        raise StageError(
            "columns", "no maximum of the image is above its noise", "check that columns are bright in it"
        )
    start = start_peaks(image.smoothed, starts)
    peaks, _ = settle(image.smoothed, start, 2 * STEPS)
    one_each = strongest_within(peaks.points, peaks.heights, image.band.size, LEAST_SPACING)
    peaks = peaks.select(one_each)
    heights = measure_heights(image.detail, peaks)
    tall = heights > (0.0 if method == "radius" else FAINTEST) * np.max(heights)
    points, heights = peaks.points[tall], heights[tall]
    there = np.ones_like(heights)
    return Found(points, heights, there.astype(bool), there, peaks.sigma)


def prominent_maxima(image: FilteredImage, least: float) -> Array:
    """Maxima of the smoothed image that stand out by `least` and from the noise."""
    height = max(SIGNIFICANCE * image.noise, least)
    maxima = local_maxima(image.smoothed) & image.frame
    return maxima & prominent(image.smoothed, height, _FLOOD)
