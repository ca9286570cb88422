"""The local average of a micrograph over its lattice, from its Bragg peaks.

Keeping a small disc of Fourier coefficients about every Bragg peak averages each column with its equivalents
a few lattice constants around, whatever the lattice, its basis, its strain or its number of grains. Noise and
point defects go, a vacant site is filled from its equivalents, and no lattice vector has to be known.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from motifgpu.columns.band import Band
from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# Standard deviation of the averaging window over the period that sets the scale of the columns.
WINDOW = 1.9
# A Bragg peak exceeds the diffuse power at its radius by this factor and has this share of the strongest
# power near it.
ABOVE_FLOOR = 20.0
OF_STRONGEST = 0.1
# Bragg peaks are about as far apart as the first ring is from the middle: of a square that reaches this share
# of it to each side, half as wide, no two can be in.
_STRONGEST_WITHIN = 0.25
# Power below this share of the radius of the first ring is the flank of the background, whose filter passes
# 1/e at 0.4 of it (`motifgpu.columns.band.BACKGROUND`); the peaks of a cell doubled are at 0.5.
_LOWEST_PEAK = 0.45
# Standard deviation of the smoothing of the spectrum, coefficients: over about 4 pi 0.7^2 = 6 of them.
_SMOOTHED = 0.7
# Power at this quantile of an annulus, and what share of the mean of exponentially distributed noise it is
# after that smoothing.
_QUANTILE, _SHARE = 0.25, 0.75
# Annuli of equal population in a spectrum, and the fewest coefficients of one: six below the quantile.
_ANNULI, _FEWEST = 180, 24
# Least share of the averaging window that is divided by: at the corner of an image a quarter is known, and
# what lies beyond the image is not to be amplified further.
_LEAST_KNOWN = 0.2
_EXTRAPOLATIONS = 2
# Share of the largest product of two variances below which there is nothing to correlate but rounding.
_NOTHING = 1e-6


def lattice_average(
    band: Band, detail: Array, known: Array, lowest: float, frequency: float, bragg: np.ndarray
) -> tuple[Array, float]:
    """Average a micrograph over its lattice, locally.

    Parameters
    ----------
    band : Band
    detail : (h, w) array
        The band without its background.
    known : (h, w) array
        1 on the pixels to average over, 0 beyond the image and in holes, which the average itself fills.
    lowest, frequency : float
        Radius of the first ring, and the frequency that sets the scale of the columns, cycles per pixel of
        the image.
    bragg : (k, 2) ndarray
        Bragg peaks that are known, as those of small grains that noise nearly hides here, cycles per pixel.

    Returns
    -------
    average : (h, w) array
        All zero where there are no Bragg peaks.
    noise : float
        Standard deviation of what noise and defects leave in it.
    """
    xp = namespace.array_namespace(detail)
    power = _power(band, detail)
    floor = _floor(band, power, xp) / _SHARE
    reach = max(1, round(_STRONGEST_WITHIN * lowest * min(band.extended)))
    filters = namespace.ndimage(xp)
    strongest = filters.maximum_filter(power, size=2 * reach + 1, mode="constant", cval=-math.inf)
    peaks = (power > ABOVE_FLOOR * floor) & (power > OF_STRONGEST * strongest)
    f = xp.fft.fftshift(_full_frequency(band, detail, xp))
    peaks = peaks | _at_frequencies(band, bragg, detail)
    peaks = xp.astype(peaks & (f > _LOWEST_PEAK * lowest), detail.dtype)
    spread = [length * frequency / (2 * math.pi * WINDOW) for length in band.extended]
    response = namespace.clip(_blur(peaks, spread, xp) * (2 * math.pi * spread[0] * spread[1]), max=1.0)
    # Without noise, rounding can take the floor of the spectrum below zero.
    noise = math.sqrt(max(float(xp.sum(floor * response**2)), 0.0) / (band.size[0] * band.size[1]))
    response = xp.fft.ifftshift(response)[:, : band.size[1] // 2 + 1]

    # The first estimate divides by how much of the window is known; then the image is continued by the
    # average itself, which keeps the lattice whole at the border and across holes.
    weight = namespace.clip(_window_weight(band, known, spread), min=_LEAST_KNOWN)
    average = band.inverse(band.transform(detail * known) * response) / weight
    for _ in range(_EXTRAPOLATIONS):
        continued = xp.where(known > 0, detail, average)
        average = band.inverse(band.transform(continued) * response)
    return average, noise


def coherence(
    band: Band, smoothed: Array, average: Array, known: Array, frequency: float, noise: float
) -> Array:
    """Correlate what is known of the image with its lattice average around each pixel: (h, w), -1 to 1.

    It is low where the average does not describe what is there: between small grains, in amorphous parts.
    `noise` is the standard deviation of what noise is left in `smoothed`, which does not lower it, as far as
    half of the variance.
    """
    xp = namespace.array_namespace(average)
    sigma = WINDOW / (frequency * math.sqrt(band.scale[0] * band.scale[1]))

    def around(x: Array) -> Array:
        return band.blur(x * known, sigma)

    power = around(smoothed**2)
    power = xp.maximum(power - noise**2 * around(xp.ones_like(known)), 0.5 * power)
    product = power * around(average**2)
    smallest = _NOTHING * xp.max(product)
    return around(smoothed * average) / xp.sqrt(namespace.clip(product, min=float(smallest) + 1e-30))


def _power(band: Band, detail: Array) -> Array:
    """Power spectrum of the tapered image, smoothed, zero in the middle."""
    xp = namespace.array_namespace(detail)
    tapered = detail * band.taper
    transform = namespace.fft(xp).fftn(xp.astype(tapered, band.coefficients.dtype), axes=(0, 1))
    power = (xp.real(transform) ** 2 + xp.imag(transform) ** 2) / xp.sum(band.taper**2)
    return _blur(xp.fft.fftshift(power), [_SMOOTHED, _SMOOTHED], xp)


def _blur(x: Array, sigma: list[float], xp: ModuleType) -> Array:
    """Convolve with a Gaussian, periodically; `sigma` is in pixels along rows and columns."""
    windows = [np.exp(-2 * (np.pi * np.fft.fftfreq(n) * s) ** 2) for n, s in zip(x.shape, sigma, strict=True)]
    half = windows[1][: x.shape[1] // 2 + 1]
    transform = namespace.fft(xp).rfftn(x, axes=(0, 1))
    gauss = namespace.as_like(windows[0], x)[:, None] * namespace.as_like(half, x)[None, :]
    return namespace.fft(xp).irfftn(transform * gauss, s=x.shape, axes=(0, 1))


def _full_frequency(band: Band, like: Array, xp: ModuleType) -> Array:
    rows, cols = (
        namespace.as_like(np.fft.fftfreq(n, d), like) for n, d in zip(band.size, band.scale, strict=True)
    )
    return xp.hypot(rows[:, None], cols[None, :])


def _at_frequencies(band: Band, frequency: np.ndarray, like: Array) -> Array:
    """Return True at frequencies (k, 2) and their opposites, of centred coefficients (h, w)."""
    xp = namespace.array_namespace(like)
    both = np.concatenate([frequency, -frequency]) * np.array(band.extended)
    place = np.rint(both).astype(np.int64) + np.array(band.size) // 2
    place = place[((place >= 0) & (place < np.array(band.size))).all(axis=1)]
    index = namespace.from_numpy(place[:, 0] * band.size[1] + place[:, 1], like)
    return xp.reshape(namespace.bincount(index, None, band.size[0] * band.size[1]) > 0, band.size)


_known_annuli: dict[tuple[Any, ...], tuple[Array, Array]] = {}
_KNOWN = 4  # shapes of images whose annuli are kept: those of a batch have few


def _annuli(band: Band, like: Array, xp: ModuleType) -> tuple[Array, Array]:
    """Return the centred coefficients in order of radius, and the place of each in that order."""
    key = (band.size, band.scale, xp.__name__, str(namespace.device(like)), namespace.dtype_name(like))
    if key not in _known_annuli:
        order = xp.argsort(xp.reshape(xp.fft.fftshift(_full_frequency(band, like, xp)), (-1,)), stable=True)
        while len(_known_annuli) >= _KNOWN:
            _known_annuli.pop(next(iter(_known_annuli)))
        _known_annuli[key] = order, xp.argsort(order, stable=False)
    return _known_annuli[key]


def _floor(band: Band, power: Array, xp: ModuleType) -> Array:
    """Diffuse power at each coefficient: a low quantile of the annulus of equal population it lies in."""
    order, place = _annuli(band, power, xp)
    total = order.shape[0]
    members = max(_FEWEST, total // _ANNULI)
    annuli = total // members
    ranked = xp.take(xp.reshape(power, (-1,)), order[: annuli * members])
    ranked = xp.sort(xp.reshape(ranked, (annuli, members)), axis=1, stable=False)
    quantile = ranked[:, int(_QUANTILE * members)]
    annulus = namespace.clip(place // members, max=annuli - 1)
    return xp.reshape(xp.take(quantile, annulus), power.shape)


def _window_weight(band: Band, known: Array, spread: list[float]) -> Array:
    """Share of the averaging window that is known."""
    rows = np.fft.fftfreq(band.size[0]) * band.size[0] / spread[0]
    cols = np.fft.rfftfreq(band.size[1]) * band.size[1] / spread[1]
    right, down = (namespace.as_like(np.exp(-0.5 * f**2), band.inside) for f in (cols, rows))
    return band.inverse(band.transform(known) * (down[:, None] * right[None, :]))
