"""The shortest translations of a lattice, from the autocorrelation of its micrograph."""

from __future__ import annotations

import numpy as np

from motifgpu.columns.band import band_of
from motifgpu.columns.maxima import local_maxima, peak_positions
from motifgpu.columns.scale import CUTOFF
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.on_points import pixel_of, values_at

# A lattice translation has at least this share of the highest autocorrelation; the step from one sublattice
# of a honeycomb to the other has at most 0.5.
TRANSLATION = 0.72
# Longest translation that is averaged with the shortest one, over that one.
ALIKE = 1.25
# Where translations are searched for: beyond this many periods of the columns, which leaves out lag 0 alone,
# as columns of a honeycomb are 0.66 apart; and within this many of the first ring, two lattice constants.
_NEAREST, _FARTHEST = 0.4, 2.5
# Least autocorrelation of the window that is divided by: below it hardly any of the image overlaps itself.
_LEAST_WINDOW = 1e-3
# Least share of the variance that is not noise, for the division by it.
_LEAST_STRUCTURE = 1e-3


def shortest_translations(image: StandardImage) -> tuple[float, float]:
    """Measure the shortest lattice translations by the autocorrelation.

    Parameters
    ----------
    image : StandardImage
        With a first ring.

    Returns
    -------
    length : float
        Their mean, px.
    height : float
        The mean autocorrelation there, noise apart, at most 1.

    Raises
    ------
    StageError
        If the autocorrelation has no peak.
    """
    x, (lowest, frequency) = image.values, image.scales
    xp = namespace.array_namespace(x)
    period = 1 / lowest
    # Twice the sampling that the columns need, because the peaks are measured by parabolas.
    band = band_of(x, 2 * CUTOFF * frequency, margin=_FARTHEST * period)
    response = 1 - band.background_response(lowest)
    response = response * xp.astype(band.frequency <= CUTOFF * frequency, x.dtype)
    taper = band.taper
    if image.valid is not None:
        taper = taper * band.sampled(xp.astype(image.valid, x.dtype))
    detail = band.grid(response) * taper
    variance = xp.sum(detail**2) / xp.sum(taper**2)
    noisy = float(image.spectrum.noise * band.noise_gain * xp.mean(response**2) / variance)
    whole, window = band.autocorrelation(detail), band.autocorrelation(taper)
    correlation = _centred(whole) / namespace.clip(_centred(window), min=_LEAST_WINDOW)
    peaks = peak_positions(correlation, local_maxima(correlation))
    lag = (peaks - (np.array(band.size) // 2).astype(peaks.dtype)) * np.array(band.scale).astype(peaks.dtype)
    length = np.sqrt(np.sum(lag**2, axis=1))
    height = values_at(correlation, pixel_of(peaks, band.size))
    nearby = (length > _NEAREST / frequency) & (length < _FARTHEST * period)
    length, height = length[nearby], height[nearby]
    if not length.shape[0] or float(np.max(height)) <= 0:
        raise StageError(
            "patch_size", "the autocorrelation of the image has no peak", "use the rule environment"
        )
    translations = height >= TRANSLATION * np.max(height)
    shortest = np.min(length[translations])
    # The six or four shortest translations are as long but for noise and distortion; the next are 1.4 times.
    alike = translations & (length < ALIKE * shortest)
    length, height = length[alike], height[alike]
    return float(np.mean(length)), min(float(np.mean(height)) / max(1 - noisy, _LEAST_STRUCTURE), 1.0)


def _centred(correlation: Array) -> Array:
    """Return an autocorrelation as shares of the highest, lag 0 in the middle."""
    xp = namespace.array_namespace(correlation)
    full = xp.fft.fftshift(correlation)
    return full / xp.max(full)
