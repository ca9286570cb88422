"""Where in a micrograph there is a lattice: part of it may be amorphous, vacuum or a support.

At each place the power at the Bragg peaks, in a window of a few periods, is held against that at frequencies
between them. Noise of the scan and of an amorphous film has as much at the one as at the other.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.special import gammainccinv

from motifgpu.columns.band import Band
from motifgpu.columns.bragg import BraggPeaks
from motifgpu.columns.maxima import dilate
from motifgpu.columns.spectrum import power_spectrum
from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# Standard deviation of the window, periods of the first ring.
_WINDOW = 1.5
# Bragg peaks that are looked at: the strongest, of at least this share of the strongest one's power.
_MOST, _FAINTEST = 20, 0.02
# Where noise is measured: at steps from a peak in radii of the first ring, at least so far from every other,
# as a peak reaches 0.3 with its window; the fewest and the most such places.
_APART, _FEWEST, _PLACES_BESIDE = 0.38, 3, 8
_STEPS = np.array(
    [(r * math.sin(a), r * math.cos(a)) for r in (0.45, 0.6) for a in np.arange(8) * math.pi / 4 + 0.2]
)
# Chance of as much power in noise, and by how much its mean is taken higher for being measured.
_CHANCE, _SAFETY = 1e-4, 1.3
# Spacing of the places, in standard deviations of the window, as the half width of a window of frequencies.
_HALF_WIDTH = 9.0
# At the border half of the window is known; what is seen so many periods within it counts.
_INSET = 1.0
# Holes up to twice as many places wide are filled, 3 periods: contamination, clusters of vacancies.
_HOLE = 3
# The window sees a lattice so many places beyond its edge.
_BEYOND = 1
# Small grains are searched for in parts of this share of the image's sides, where more than the second share
# of it shows no lattice, if a part has so many periods.
_PART, _UNEXPLAINED, _FEWEST_PERIODS = 0.25, 0.02, 5.0


def lattice_region(
    image: Array, band: Band, detail: Array, known: Array, bragg: BraggPeaks, lowest: float
) -> tuple[Array, np.ndarray]:
    """Say where there is a lattice, and at which frequencies.

    Parameters
    ----------
    image : (H, W) array
    band : Band
        Of the image.
    detail : (h, w) array
        The band without its background.
    known : (h, w) array
        1 on its pixels that are data, 0 elsewhere.
    bragg : BraggPeaks
        Of the image, at least one.
    lowest : float
        Radius of the first ring, cycles per pixel.

    Returns
    -------
    region : (h, w) bool array
        On the band's grid; beyond the image as at its border.
    frequency : (k, 2) float64 ndarray
        The strongest of the Bragg peaks, and of those of parts of the image that they do not explain.
    """
    xp = namespace.array_namespace(detail)
    detail, frequency = detail * known, _strongest(bragg)
    region = _region(band, detail, frequency, lowest)
    without = 1 - float(xp.sum(xp.where(region, known, 0.0)) / xp.sum(known))
    if without > _UNEXPLAINED and _PART * min(band.shape) * lowest >= _FEWEST_PERIODS:
        more = _with_those_of_parts(image, band, region, frequency)
        if len(more) > len(frequency):
            frequency = more
            region = _region(band, detail, frequency, lowest)
    return region, frequency


def _strongest(bragg: BraggPeaks) -> np.ndarray:
    order = np.argsort(-bragg.power, kind="stable")[:_MOST]
    kept: np.ndarray = bragg.frequency[order[bragg.power[order] >= _FAINTEST * bragg.power.max()]]
    return kept


def _with_those_of_parts(image: Array, band: Band, region: Array, frequency: np.ndarray) -> np.ndarray:
    """Return frequencies with those of overlapping parts whose middle the region lacks."""
    lacking = ~namespace.to_numpy(region)
    sides = [int(_PART * length) for length in band.shape]
    steps = range(round(2 / _PART) - 1)
    for first in itertools.product(*([step * (side // 2) for step in steps] for side in sides)):
        middle = [f + side / 2 + pad for f, side, pad in zip(first, sides, band.pad, strict=True)]
        row, col = (int(m / scale) for m, scale in zip(middle, band.scale, strict=True))
        if lacking[row, col]:
            bragg = power_spectrum(
                image[first[0] : first[0] + sides[0], first[1] : first[1] + sides[1]]
            ).bragg
            if len(bragg):
                found = _strongest(bragg)
                away = np.abs(found[:, None, :] - np.concatenate([frequency, -frequency])[None]) * sides
                frequency = np.concatenate([frequency, found[(away.max(axis=2) > 2).all(axis=1)]])
    return frequency


def _region(band: Band, detail: Array, frequency: np.ndarray, lowest: float) -> Array:
    """Say where the power at the frequencies is no chance."""
    xp = namespace.array_namespace(detail)
    extended = np.array(band.extended)
    spread = extended * lowest / (2 * math.pi * _WINDOW)
    half = [min(math.ceil(_HALF_WIDTH * s), n // 2 - 1) for s, n in zip(spread, band.size, strict=True)]
    transform = namespace.fft(xp).fftn(xp.astype(detail, band.coefficients.dtype), axes=(0, 1))
    peaks = np.concatenate([frequency, -frequency, np.zeros((1, 2))])
    wanted, number = [], []
    for one in frequency:
        beside = one + lowest * _STEPS
        apart = np.hypot(*np.moveaxis(beside[:, None, :] - peaks, 2, 0)).min(axis=1)
        held = (np.abs(beside * extended) < np.array(band.size) / 2).all(axis=1)
        order = np.argsort(-np.where(held, apart, -1.0), kind="stable")
        usable = order[: max(_FEWEST, int((held & (apart >= _APART * lowest)).sum()))][:_PLACES_BESIDE]
        wanted.append(np.resize(np.concatenate([one[None], beside[usable]]), (1 + _PLACES_BESIDE, 2)))
        number.append(len(usable))
    sides = [2 * h + 1 for h in half]
    # A processor's cache holds one.
    at_once = max(1, namespace.block_size(xp) // (16 * (1 + _PLACES_BESIDE) * sides[0] * sides[1]))
    total: Array = 0.0
    for first in range(0, len(frequency), at_once):
        some, count = wanted[first : first + at_once], np.array(number[first : first + at_once])
        power = _power_around(transform, np.concatenate(some) * extended, spread, half)
        power = xp.reshape(power, (len(some), 1 + _PLACES_BESIDE, *sides))
        # Of places beside there are as many for each peak, some of them there twice and not counted.
        counted = np.arange(_PLACES_BESIDE) < count[:, None]
        weight = namespace.as_like(counted[:, :, None, None].astype(np.float64), detail)
        noise = xp.sum(power[:, 1:, :, :] * weight, axis=1)
        noise = _averaged(noise / namespace.as_like(count[:, None, None].astype(np.float64), detail))
        least = xp.max(noise, axis=(1, 2), keepdims=True) * 1e-9 + 1e-30
        total = total + xp.sum(power[:, 0, :, :] / xp.maximum(noise, least), axis=0)
    places = xp.astype(total > _SAFETY * float(gammainccinv(len(frequency), _CHANCE)), detail.dtype)
    for sign, times in ((1, _HOLE), (-1, _HOLE + _BEYOND)):  # dilated and eroded
        for _ in range(times):
            places = sign * dilate(sign * places)
    return _on_grid(band, places > 0, lowest)


def _power_around(transform: Array, wanted: np.ndarray, spread: np.ndarray, half: list[int]) -> Array:
    """Return the power (q, a, b) at frequencies (q, 2), in coefficients, about each of a x b places."""
    xp = namespace.array_namespace(transform)
    sides, windows = [], []
    for axis in (0, 1):
        steps = np.arange(-half[axis], half[axis] + 1)
        middle = np.rint(wanted[:, axis]).astype(np.int64)
        sides.append((middle[:, None] + steps) % transform.shape[axis])
        off = (middle - wanted[:, axis])[:, None] + steps
        windows.append(np.exp(-0.5 * (off / spread[axis]) ** 2))
    down, right = (namespace.from_numpy(side, transform) for side in sides)
    index = down[:, :, None] * transform.shape[1] + right[:, None, :]
    taken = xp.take(xp.reshape(transform, (-1,)), xp.reshape(index, (-1,)))
    rows, cols = (namespace.as_like(w, xp.real(transform)) for w in windows)
    taken = xp.reshape(taken, index.shape) * (rows[:, :, None] * cols[:, None, :])
    around = namespace.fft(xp).ifftn(xp.fft.ifftshift(taken, axes=(1, 2)), axes=(1, 2))
    return xp.real(around) ** 2 + xp.imag(around) ** 2


def _averaged(x: Array) -> Array:
    """Average each of x (p, a, b) over 7 x 7 places, periodically."""
    return namespace.ndimage(namespace.array_namespace(x)).uniform_filter(x, size=(1, 7, 7), mode="wrap")


def _nearest(band: Band, axis: int, places: int, lowest: float) -> np.ndarray:
    """Return the place next to each row or column of the band's grid, a little within the image."""
    position = np.arange(band.size[axis]) * band.scale[axis] - band.pad[axis]
    inset = min(_INSET / lowest, (band.shape[axis] - 1) / 2)
    position = np.clip(position, inset, band.shape[axis] - 1 - inset) + band.pad[axis]
    nearest: np.ndarray = np.rint(position * places / band.extended[axis]).astype(np.int64) % places
    return nearest


def _on_grid(band: Band, places: Array, lowest: float) -> Array:
    """Return values of places (a, b) on the band's grid (h, w)."""
    xp = namespace.array_namespace(places)
    for axis in (0, 1):
        nearest = namespace.from_numpy(_nearest(band, axis, places.shape[axis], lowest), places)
        places = xp.take(places, nearest, axis=axis)
    return places
