"""Patches sampled from spline coefficients, by matrix products of arrays."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.core.sampling import TAPS, Sampling


def coefficients(image: Array) -> Array:
    """Return the coefficients (H, W) of the quintic B-spline through an image that its mirror continues."""
    filters = namespace.ndimage(namespace.array_namespace(image))
    return filters.spline_filter(image, 5, output=namespace.dtype_name(image), mode="mirror")


class _Interpolation:
    """The matrices that take pixels along an axis to the samples of a patch."""

    def __init__(self, sampling: Sampling) -> None:
        self.width = sampling.width
        # Samples that are whole pixels apart share their weights: at spacing 1 all of them do.
        self.phases, phase = np.unique(sampling.phase, return_inverse=True)
        tap = np.arange(self.width) - sampling.first_tap[:, None]
        no_tap = self.phases.size * TAPS
        self.entry = np.where((tap >= 0) & (tap < TAPS), phase[:, None] * TAPS + tap, no_tap).reshape(-1)

    def matrices(self, fraction: Array, xp: ModuleType) -> Array:
        """Return matrices (n, size, width) for first samples that are `fraction` (n,) beyond their pixel."""
        n = fraction.shape[0]
        shift = (self.phases[:, None] + 2.0 - np.arange(TAPS)).reshape(-1)
        distance = xp.abs(fraction[:, None] + namespace.as_like(shift, fraction))
        weights = _quintic_bspline(distance, xp)
        zero = xp.zeros((n, 1), dtype=weights.dtype, device=namespace.device(weights))
        table = xp.concat([weights, zero], axis=1)
        dense = xp.take(table, namespace.from_numpy(self.entry, fraction), axis=1)
        return xp.reshape(dense, (n, -1, self.width))


def _quintic_bspline(distance: Array, xp: ModuleType) -> Array:
    """Quintic B-spline at distances >= 0, as a sum of truncated powers; zero from 3 on."""
    near = [namespace.clip(knot - distance, min=0.0) for knot in (3.0, 2.0, 1.0)]
    three, two, one = ((x * x) * (x * x) * x for x in near)
    return (three - 6.0 * two + 15.0 * one) / 120.0


def _windows(first: Array, width: int, length: int, xp: ModuleType) -> Array:
    """Pixel indices (n, width) from two before `first` (n,) on, mirrored at the outermost pixels."""
    period = max(2 * (length - 1), 1)
    index = (
        first[:, None] + xp.arange(-2, width - 2, dtype=first.dtype, device=namespace.device(first))
    ) % period
    return xp.minimum(index, period - index) if length > 1 else index


def sample(coefficients: Array, pixel: Array, fraction: Array, sampling: Sampling) -> Array:
    """Return patches of an image.

    Parameters
    ----------
    coefficients : (H, W) float32 or float64 array
        Of the quintic B-spline that continues the image by its mirror image.
    pixel : (n, 2) integer array
        Pixel at or before the first sample of every patch, (row, col).
    fraction : (n, 2) array
        How far the first sample is beyond it, from 0 to 1, in the dtype of the coefficients.
    sampling : Sampling
        The samples of an axis.

    Returns
    -------
    (n, size, size) array of the dtype of the coefficients
        A patch has the same bits whatever others are computed.
    """
    xp = namespace.array_namespace(coefficients)
    height, width = coefficients.shape
    flat = xp.reshape(coefficients, (-1,))
    count, size = pixel.shape[0], sampling.size
    patches = xp.empty((count, size, size), dtype=flat.dtype, device=namespace.device(flat))
    interpolation = _Interpolation(sampling)
    chunk = max(1, namespace.block_size(xp) // sampling.width**2)
    for begin in range(0, count, chunk):
        part = slice(begin, min(begin + chunk, count))
        rows = _windows(pixel[part, 0], sampling.width, height, xp)
        cols = _windows(pixel[part, 1], sampling.width, width, xp)
        index = rows[:, :, None] * width + cols[:, None, :]
        window = xp.reshape(xp.take(flat, xp.reshape(index, (-1,))), index.shape)
        by_row = xp.matmul(interpolation.matrices(fraction[part, 0], xp), window)
        by_col = xp.matrix_transpose(interpolation.matrices(fraction[part, 1], xp))
        patches[part, :, :] = xp.matmul(by_row, by_col)
    return patches
