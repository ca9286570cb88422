"""The power spectrum of a micrograph: its radial mean, its white noise, and the first ring of the lattice.

What is decided here is decided on the host: the radial mean is a few hundred numbers, and the sizes of later
arrays depend on it, so this is a point where a device is waited for in any case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array

SMALLEST_IMAGE = 16
# Below four periods across the image a ring is an average of too few coefficients to be told from chance; two
# bins more show how low the curve is before it.
LOWEST_BIN = 4
_BEFORE = 2
# Larger values than this do not hold as float32 in what is computed from them.
_LARGEST = 1e37
# Natural logarithm by which a peak must stand above its surroundings: a factor of 4.5.
CLEAR = 1.5


def standardise(image: Any, stage: str) -> tuple[ModuleType, Array, float, float]:
    """Check an image and bring it to mean 0 and standard deviation 1.

    A pixel is subtracted before the mean is taken, so that a large offset costs no digits.

    Parameters
    ----------
    image : (H, W) array_like
    stage : str
        The stage that asks, for the message.

    Returns
    -------
    namespace : module
    standardised : (H, W) array
    offset, scale : float
        The image is ``standardised * scale + offset``.

    Raises
    ------
    StageError
        If the image is not two-dimensional, finite, numeric, of at least 16 x 16 pixels, or is constant.
    """
    xp, x = check_array(image, stage, "the image", 2)
    if min(x.shape) < SMALLEST_IMAGE:
        raise StageError(
            stage,
            f"the image has shape {tuple(x.shape)}",
            f"give at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE} pixels",
        )
    largest = float(xp.max(xp.abs(x)))
    if largest > _LARGEST:
        raise StageError(stage, f"the image has a value of {largest:.1e}", "scale the image down")
    first = x[0, 0]
    x = x - first
    extent = float(xp.max(xp.abs(x)))
    if extent == 0:
        raise StageError(stage, f"the image is constant ({float(first):g})", "give an image with contrast")
    x = x / extent
    mean = xp.mean(x)
    x = x - mean
    deviation = xp.sqrt(xp.mean(x * x))
    offset = float(first) + extent * float(mean)
    return xp, x / deviation, offset, extent * float(deviation)


@dataclass(frozen=True)
class Spectrum:
    """The radial mean of a power spectrum; the arrays are on the host.

    Attributes
    ----------
    frequency : (m,) float64 ndarray
        Centres of the rings, cycles per pixel.
    power : (m,) float64 ndarray
        Mean power in each; white noise of variance v has power v everywhere.
    noise : float
        Variance of the white noise, from the corners beyond the Nyquist circle.
    """

    frequency: np.ndarray
    power: np.ndarray
    noise: float


@dataclass(frozen=True)
class Ring:
    """The first ring of Bragg peaks.

    Attributes
    ----------
    frequency : float
        Its radius, cycles per pixel.
    confidence : float
        Share of the power on the ring that stands above its surroundings, 0 to 1.
    candidates : (c,) float64 ndarray
        Radii of all clear peaks of the radial mean, ascending, cycles per pixel.
    """

    frequency: float
    confidence: float
    candidates: np.ndarray


def frequencies(shape: tuple[int, int], like: Array) -> Array:
    """Return |f| (H, W // 2 + 1) in cycles per pixel for a real transform, on the device of `like`."""
    rows, cols = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    r, c = namespace.as_like(rows, like), namespace.as_like(cols, like)
    xp = namespace.array_namespace(like)
    return xp.sqrt(r[:, None] ** 2 + c[None, :] ** 2)


def power_spectrum(x: Array) -> Spectrum:
    """Return the radial mean of the Hann-windowed power spectrum.

    Parameters
    ----------
    x : (H, W) array
        Standardised image.

    Returns
    -------
    Spectrum
        Rings of width 1 / min(H, W) up to 0.5 cycles per pixel.

    Notes
    -----
    This is the curve of Fig. S30 of Dan et al., Science Advances 8, eabk1005 (2022).
    """
    xp = namespace.array_namespace(x)
    window = hann(x)
    x = (x - xp.sum(x * window) / xp.sum(window)) * window
    transform = xp.fft.rfftn(x, axes=(0, 1))
    power = (xp.real(transform) ** 2 + xp.imag(transform) ** 2) / xp.sum(window * window)
    f = frequencies(x.shape, x)
    rings = min(x.shape)
    ring = xp.astype(xp.round(f * rings), xp.int64)
    count = rings // 2 + 1
    ring = xp.reshape(xp.where(ring < count, ring, count), (-1,))
    # A coefficient stands for its mirror image too, unless that is in the half plane itself.
    twice = np.full(power.shape[1], 2.0)
    twice[0] = 1
    twice[-1] = 1 if x.shape[1] % 2 == 0 else 2
    weight = xp.broadcast_to(namespace.as_like(twice, power), power.shape)
    total, members = (
        namespace.to_numpy(namespace.bincount(ring, xp.reshape(w, (-1,)), count + 1))[:-1]
        for w in (power * weight, weight)
    )
    beyond = namespace.take_rows(xp.reshape(power, (-1,)), xp.reshape(f > 0.5, (-1,)))
    median = float(namespace.upper_median(beyond))
    mean = total.astype(np.float64) / members
    return Spectrum(np.arange(count) / rings, mean, median / math.log(2))


def hann(like: Array) -> Array:
    """Return the Hann window (H, W) of the shape of `like`, nowhere zero."""
    r, c = (np.hanning(length + 2)[1:-1] for length in like.shape)
    return namespace.as_like(r, like)[:, None] * namespace.as_like(c, like)[None, :]


def first_ring(spectrum: Spectrum) -> Ring | None:
    """Find the lowest prominent peak of the radial mean, or None where no peak is clear.

    A peak is clear when it stands a factor of 4.5 above the higher of the two minima that part it from higher
    power on either side. The first ring is the lowest clear peak that has half the logarithmic prominence of
    the most prominent one and a thousandth of the power of the strongest ring. Its radius is refined by a
    parabola through three logarithms of the ring's total power.

    Parameters
    ----------
    spectrum : Spectrum

    Returns
    -------
    Ring or None
    """
    start = LOWEST_BIN - _BEFORE
    power = spectrum.power[start:]
    if len(power) < _BEFORE + 3:
        return None
    log = np.log(np.maximum(power, np.finfo(np.float64).tiny))
    peaks = 1 + np.flatnonzero((log[1:-1] > log[:-2]) & (log[1:-1] >= log[2:]))
    peaks = peaks[peaks >= _BEFORE]
    prominence = np.array([_prominence(log, int(peak)) for peak in peaks])
    energy = spectrum.frequency * spectrum.power
    clear = (prominence >= CLEAR) & (energy[peaks + start] >= 1e-3 * energy.max())
    peaks, prominence = peaks[clear], prominence[clear]
    if not len(peaks):
        return None
    # The mean over a ring divides by its circumference, which would pull the vertex inwards.
    total = log + np.log(spectrum.frequency[start:])
    radii = np.array([_parabola(total, int(peak)) for peak in peaks]) + start
    radii = radii * spectrum.frequency[1]
    first = int(np.flatnonzero(prominence >= 0.5 * prominence.max())[0])
    return Ring(float(radii[first]), 1 - math.exp(-prominence[first]), radii)


def _prominence(curve: np.ndarray, peak: int) -> float:
    """Height of a peak above the higher of the minima that part it from higher values on either side."""
    height = curve[peak]
    sides = []
    for side in (curve[:peak][::-1], curve[peak + 1 :]):
        higher = np.flatnonzero(side > height)
        sides.append(side[: higher[0] if len(higher) else None].min(initial=height))
    return float(height - max(sides))


def _parabola(curve: np.ndarray, peak: int) -> float:
    """Position of the vertex of the parabola through a peak and its neighbours."""
    left, top, right = curve[peak - 1 : peak + 2]
    return peak + 0.5 * (left - right) / (left - 2 * top + right)


def band_edge(spectrum: Spectrum) -> float | None:
    """Return the frequency up to which an image without a lattice has structure, or None if it is noise.

    It is 2.36 times the root mean square frequency of the gradient of what stands above the white noise, the
    factor that gives a lattice of Gaussian columns the same band as its first ring does.
    """
    bins = np.arange(len(spectrum.power))
    # A bin averages about pi * bins independent coefficients (half the plane, half of it by the window).
    spread = 6 / np.sqrt(np.pi * np.maximum(bins, 1))
    above = spectrum.power > spectrum.noise * np.maximum(2.0, 1 + spread)
    weight = np.where(above, bins**3 * (spectrum.power - spectrum.noise), 0.0)
    weight[:LOWEST_BIN] = 0
    if weight.sum() <= 0:
        return None
    mean_square = float((weight * spectrum.frequency**2).sum() / weight.sum())
    return min(2.36 * math.sqrt(mean_square), 0.5)
