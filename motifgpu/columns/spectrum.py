"""The power spectrum of a micrograph: its radial mean, its white noise and its Bragg peaks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from motifgpu.columns.bragg import BraggPeaks, bragg_peaks
from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# Grains may be lost in the whole image, so parts are looked at too, if they have so many pixels a side; there
# are nine, so that their Bragg peaks have to be clearer by this factor.
_SMALLEST_PART, _STRICTER = 64, 1.35

_AT_ONCE = 8  # blocks of pixels that are transformed at once


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
    bragg : BraggPeaks
    """

    frequency: np.ndarray
    power: np.ndarray
    noise: float
    bragg: BraggPeaks


def frequencies(shape: tuple[int, int], like: Array) -> Array:
    """Return |f| (H, W // 2 + 1) in cycles per pixel for a real transform, on the device of `like`."""
    rows, cols = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    r, c = namespace.as_like(rows, like), namespace.as_like(cols, like)
    xp = namespace.array_namespace(like)
    return xp.sqrt(r[:, None] ** 2 + c[None, :] ** 2)


def power_spectrum(x: Array) -> Spectrum:
    """Return the radial mean and the Bragg peaks of the Hann-windowed power spectrum.

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
    power = _power(x[None, :, :])[0, :, :]
    bragg = bragg_peaks(power[None, :, :], (x.shape[0], x.shape[1]))[0]
    f = frequencies(x.shape, x)
    rings = min(x.shape)
    count = rings // 2 + 1
    # A coefficient counts for its mirror image too, unless that is in the half plane itself.
    twice = np.full(power.shape[1], 2.0)
    twice[0] = 1
    twice[-1] = 1 if x.shape[1] % 2 == 0 else 2
    twice = namespace.as_like(twice, power)
    total, members = np.zeros(count), np.zeros(count)
    at_once = max(1, _AT_ONCE * namespace.block_size(xp) // power.shape[1])
    for first in range(0, power.shape[0], at_once):
        last = min(first + at_once, power.shape[0])
        some = power[first:last, :]
        ring = xp.astype(xp.round(f[first:last, :] * rings), xp.int64)
        ring = xp.reshape(xp.where(ring < count, ring, count), (-1,))
        for into, weight in ((total, some * twice), (members, xp.broadcast_to(twice, some.shape))):
            sums = namespace.bincount(ring, xp.reshape(weight, (-1,)), count + 1)
            into += namespace.to_numpy(sums)[:-1]
    median = float(namespace.upper_median(xp.reshape(power, (-1,)), xp.reshape(f > 0.5, (-1,))))
    mean = total / members
    for parts in _parts(x):
        shape = parts.shape[1], parts.shape[2]
        for found in bragg_peaks(_power(parts), shape, _STRICTER):
            bragg = bragg.joined(found, 2 / np.array(shape))
    return Spectrum(np.arange(count) / rings, mean, median / math.log(2), bragg)


def _power(x: Array) -> Array:
    """Return the power spectra (n, H, W // 2 + 1) of images (n, H, W) in a Hann window."""
    xp = namespace.array_namespace(x)
    rows, cols = _hann_sides(x[0, :, :])
    share = xp.matmul(xp.matmul(x, xp.matrix_transpose(cols))[:, None, :, 0], rows)
    windowed = x - share / (xp.sum(rows) * xp.sum(cols))
    windowed *= rows
    windowed *= cols
    transform = namespace.fft(xp).rfftn(windowed, axes=(1, 2))
    del windowed
    power = xp.real(transform) ** 2
    power += xp.imag(transform) ** 2
    power /= xp.sum(rows * rows) * xp.sum(cols * cols)
    return power


def _parts(x: Array) -> Iterator[Array]:
    """Return the nine parts of half the rows and columns of an image that overlap by half, some at a time."""
    rows, cols = (length // 2 for length in x.shape)
    if min(rows, cols) < _SMALLEST_PART:
        return
    xp = namespace.array_namespace(x)
    places = itertools.product(range(0, 3 * (rows // 2), rows // 2), range(0, 3 * (cols // 2), cols // 2))
    parts = [x[top : top + rows, left : left + cols] for top, left in places]
    at_once = max(1, _AT_ONCE * namespace.block_size(xp) // (rows * cols))
    for first in range(0, len(parts), at_once):
        yield xp.stack(parts[first : first + at_once])


def hann(like: Array) -> Array:
    """Return the Hann window (H, W) of the shape of `like`, nowhere zero."""
    rows, cols = _hann_sides(like)
    return rows * cols


def _hann_sides(like: Array) -> tuple[Array, Array]:
    """Return the window along rows (H, 1) and along columns (1, W)."""
    rows, cols = (namespace.as_like(np.hanning(length + 2)[1:-1], like) for length in like.shape)
    return rows[:, None], cols[None, :]
