"""Single atoms without a lattice, such as on an amorphous support: blobs of a common width above noise.

The image is filtered by the second derivative of a Gaussian as wide as the atoms. A support has maxima and
minima alike, atoms are bright: minima as deep as maxima are high say how many of the maxima are chance.
"""

from __future__ import annotations

import numpy as np

from motifgpu.columns.band import Band, band_of
from motifgpu.columns.by_maxima import Found
from motifgpu.columns.filtered import LEAST_SPACING
from motifgpu.columns.maxima import local_maxima, peak_positions
from motifgpu.columns.refine import measure_heights, settle, start_peaks
from motifgpu.columns.scale import CUTOFF
from motifgpu.columns.spacing import strongest_within
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.fitting import USUAL
from motifgpu.core.namespace import Array
from motifgpu.core.on_points import pixel_of, positions, values_at

# Widths that are tried: from the first, px, by steps, to this share of the image.
_NARROWEST, _STEP, _WIDEST = 1.0, 1.2, 1 / 24
# Extremes by which widths are compared.
_STRONGEST = 10
# Contrast with a quarter of that before the noise is made steady, from which there are atoms: 1.4 to 6 with
# atoms in speckle at 10 counts, at most 1.2 in noise, counts and speckle.
_CLEAR = 1.2
# Share of chance among the atoms, and how far the fewer than one by that share must stand above all minima.
_FALSE, _ABOVE_ALL = 0.05, 1.2
# Radius in which an atom is the highest maximum, px of the grid.
_RADIUS = 2.0


def choose_atoms(image: StandardImage) -> tuple[Band, Found]:
    """Find single atoms.

    Parameters
    ----------
    image : StandardImage
        Atoms bright.

    Returns
    -------
    band : Band
        On whose grid they are given.
    found : Found

    Raises
    ------
    StageError
        If no blob stands above the noise.
    """
    flat = _levelled(image.values)
    steady = _steadied(flat)
    widths = _NARROWEST * _STEP ** np.arange(40)
    widths = widths[(widths <= max(_WIDEST * min(image.values.shape), _NARROWEST))]
    contrast = [_contrast(_Filtered(image, steady, float(width))) for width in widths]
    best = int(np.argmax(contrast))
    filtered = _Filtered(image, flat, float(widths[best]))
    band, (high, low) = filtered.band, filtered.extremes
    least = _threshold(high, low)
    if contrast[best] + 0.25 * _contrast(filtered) < _CLEAR or not np.isfinite(least):
        raise StageError(
            "columns",
            "no blob in the image is above its noise: minima are about as deep as maxima are high",
            "average frames, or give a part of the image with more atoms",
        )
    claimed = high >= least
    points = filtered.maxima[claimed]
    sure = (1 - _chance(high, low)).astype(high.dtype)[claimed]
    detail = band.grid(1 - band.background_response(0.5 * filtered.frequency))
    peaks, _ = settle(detail, start_peaks(detail, points))
    heights = measure_heights(detail, peaks)
    kept = (heights > 0) & strongest_within(peaks.points, heights, band.size, LEAST_SPACING)
    points, heights, sure = (x[kept] for x in (peaks.points, heights, sure))
    return band, Found(points, heights, np.ones(len(heights), bool), sure, peaks.sigma)


class _Filtered:
    """An image in the band of blobs of a width, and the extremes of its second derivative."""

    def __init__(self, image: StandardImage, values: Array, width: float) -> None:
        xp = namespace.array_namespace(values)
        self.frequency = USUAL / (2 * CUTOFF * width)
        self.band = band_of(values, CUTOFF * self.frequency, margin=2 / self.frequency)
        square = (2 * np.pi * width * self.band.frequency) ** 2
        curved = self.band.grid(square * xp.exp(-0.5 * square))
        inside = self.band.inside > 0
        share = image.share_valid(width)
        if share is not None:
            inside = inside & (self.band.sampled(share) >= 0.5)
        flat = xp.reshape(xp.abs(curved), (-1,))
        spread = namespace.upper_median(flat, xp.reshape(inside, (-1,)))
        curved = curved / (spread + 1e-6 * xp.max(xp.abs(curved)))
        self.maxima = peak_positions(curved, local_maxima(curved, _RADIUS) & inside & (curved > 0))
        minima = local_maxima(-curved, _RADIUS) & inside & (curved < 0)
        high = values_at(curved, pixel_of(self.maxima, self.band.size))
        self.extremes = high, -values_at(curved, positions(minima))


def _levelled(x: Array) -> Array:
    """Return an image without its slope and bend, which reflection at the border makes kinks."""
    xp = namespace.array_namespace(x)
    row, col = (np.linspace(-1, 1, length) for length in x.shape)
    powers = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (0, 2)]
    terms = [namespace.as_like(np.outer(row**r, col**c), x) for r, c in powers]
    shapes = xp.stack([xp.reshape(term, (-1,)) for term in terms], axis=1)
    flat = xp.reshape(x, (-1,))
    across = xp.matrix_transpose(shapes)
    slow = shapes @ xp.linalg.solve(across @ shapes, (across @ flat)[:, None])
    return xp.reshape(flat - slow[:, 0], x.shape)


def _steadied(x: Array) -> Array:
    """Return an image whose noise is as strong everywhere, if it grows with the brightness as counts do.

    Maxima of counts are further from the mean than minima, which would look like narrow atoms.
    """
    xp = namespace.array_namespace(x)
    bent = 2 * x - xp.roll(x, 1, axis=0) - xp.roll(x, -1, axis=0)
    bent = 2 * bent - xp.roll(bent, 1, axis=1) - xp.roll(bent, -1, axis=1)
    variance = bent**2 / 36
    level = x
    for axis in (0, 1):
        level = sum(xp.roll(level, step, axis=axis) for step in range(-3, 4)) / 7
    around = level - xp.mean(level)
    slope = float(xp.sum(around * variance) / xp.sum(around**2))
    constant = float(xp.mean(variance)) - slope * float(xp.mean(level))
    if slope <= 0:
        return x
    root = xp.sqrt(namespace.clip(slope * x + 0.375 * slope**2 + constant, min=0.0))
    return root * (2 / slope)


def _contrast(filtered: _Filtered) -> float:
    """How much further the strongest maxima are from the mean than the strongest minima."""
    means = [np.sum(np.sort(e)[-_STRONGEST:]) / _STRONGEST for e in filtered.extremes]
    return float(means[0] - means[1])


def _threshold(high: np.ndarray, low: np.ndarray) -> float:
    """Return the least height at which minima as deep are few beside maxima as high, or infinity."""
    high, low = np.sort(high)[::-1], np.sort(low)
    chance = len(low) - np.searchsorted(low, high)
    clear = np.flatnonzero((chance + 1) / np.arange(1, len(high) + 1) <= _FALSE)
    least = float(high[clear[-1]]) if len(clear) else np.inf
    alone = high[high > _ABOVE_ALL * low.max(initial=0.0)]
    return min(least, float(alone[-1])) if len(alone) else least


def _chance(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return the least share of chance among the maxima of a height or more, for each maximum."""
    order = np.argsort(high, kind="stable")
    deeper = len(low) - np.searchsorted(np.sort(low), high[order])
    share = (deeper + 0.5) / (np.arange(len(high), 0, -1) + 1)
    result = np.empty(len(high))
    result[order] = np.minimum(np.minimum.accumulate(share), 1)
    return result
