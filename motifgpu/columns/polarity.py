"""Whether the columns of a micrograph are dark, as in bright field or ABF.

Between bright columns there are dark places, and in a honeycomb they look like dark columns. So both are
tried where the image leans to the dark: columns of one width describe the image, what is between them does
not. Of a honeycomb whose columns run into each other little more than one ring of Bragg peaks is left, and
that is a lattice of dark columns too: there bright ones are believed, unless dark ones are much better.
"""

from __future__ import annotations

import numpy as np

from motifgpu.columns.bragg import BraggPeaks
from motifgpu.columns.filtered import LEVEL, FilteredImage
from motifgpu.columns.maxima import local_maxima, peak_positions
from motifgpu.columns.refine import refine, render, start_peaks, tallest_tenth
from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# Third moment of the smoothed image, in standard deviations, above which its columns are bright: 0.1 to 3 in
# micrographs with bright columns, -1.1 to -1.3 with dark ones.
_BRIGHT = 0.1
# Share of the image that dark columns may leave over, and that over the share that bright ones leave: 0.3 to
# 0.9 with dark columns, 2 to 20 with bright ones, 0.3 to 20 with those of a honeycomb.
_LEFT, _BETTER, _MUCH_BETTER = 0.65, 0.87, 0.25
# How far the three strongest Bragg peaks of a hexagonal lattice are from one length and 60 degrees apart.
_AS_LONG, _ANGLE = 0.12, 10.0
# Least height of a column in the trial, over that of the tallest tenth, and steps of its fit.
_FAINTEST, _STEPS = 0.15, 6


def are_dark(image: FilteredImage) -> bool:
    """Say whether dark columns describe an image better than bright ones."""
    xp = image.xp
    seen = image.smoothed * image.known
    number = xp.sum(image.known)
    variance = xp.sum(seen**2) / number
    if float(xp.sum(seen * seen * seen) / number) >= _BRIGHT * float(variance) ** 1.5:
        return False
    dark = _left_over(image, -image.smoothed)
    better = _MUCH_BETTER if _hexagonal(image.image.spectrum.bragg) else _BETTER
    return dark < _LEFT and dark < better * _left_over(image, image.smoothed)


def _hexagonal(bragg: BraggPeaks) -> bool:
    """Say whether the three strongest Bragg peaks are those of a hexagonal lattice."""
    strongest = np.argsort(-bragg.power, kind="stable")[:3]
    length = bragg.radius[strongest]
    angle = np.degrees(np.arctan2(*bragg.frequency[strongest].T))
    apart = np.abs((angle - np.roll(angle, 1)) % 60 - 30)
    alike = float(length.max()) <= (1 + _AS_LONG) * float(length.min())
    return len(length) == 3 and alike and bool((apart >= 30 - _ANGLE).all())


def _left_over(image: FilteredImage, smoothed: Array) -> float:
    """Share of the variance that Gaussian columns at the maxima leave over."""
    xp, band = image.xp, image.band
    start = start_peaks(smoothed, peak_positions(smoothed, local_maxima(smoothed) & image.frame))
    if start.points.shape[0] == 0:
        return 1.0
    start = start.select(start.heights > _FAINTEST * tallest_tenth(start))
    left = smoothed - render(refine(smoothed, start, _STEPS), smoothed)
    level = band.blur(left * image.known, LEVEL) / namespace.clip(band.blur(image.known, LEVEL), min=0.05)
    left = (left - level) * image.known
    return float(xp.sum(left**2) / xp.sum((smoothed * image.known) ** 2))
