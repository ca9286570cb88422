"""Patches sampled from spline coefficients, along columns and then along rows, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu import cpu
from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.core.sampling import TAPS, Sampling


def coefficients(image: Array) -> Array:
    """Return the coefficients (H, W) of the quintic B-spline through an image that its mirror continues."""
    filters = namespace.ndimage(namespace.array_namespace(image))
    return filters.spline_filter(image, 5, output=namespace.dtype_name(image), mode="mirror")


def _weights(fraction: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Return weights (n, p, taps) of a quintic B-spline, for samples `phases` (p,) beyond `fraction` (n,)."""
    shift = phases[:, None] + 2.0 - np.arange(TAPS)
    distance = np.abs(fraction[:, None, None] + shift.astype(fraction.dtype))
    # A sum of truncated powers.
    near = [np.maximum(knot - distance, 0) for knot in (3.0, 2.0, 1.0)]
    three, two, one = ((x * x) * (x * x) * x for x in near)
    weights: np.ndarray = (three - 6.0 * two + 15.0 * one) / 120.0
    return weights


def _mirrored(index: np.ndarray, length: int) -> np.ndarray:
    """Return pixels of a line that is continued by its mirror image at the outermost ones."""
    period = max(2 * (length - 1), 1)
    index = index % period
    mirrored: np.ndarray = np.minimum(index, period - index) if length > 1 else index
    return mirrored


@cpu.compiled(nogil=True, error_model="numpy", fastmath={"contract", "nnan", "nsz"})
def _along_lines(result: Any, lines: Any, weights: Any, first: Any, phase: Any) -> None:
    """Fill each row of a result (size, n) with the weighted sum of seven, `TAPS`, of the lines (width, n)."""
    for i in range(first.size):
        w, k = weights[phase[i]], first[i]
        a, b, c, d = lines[k], lines[k + 1], lines[k + 2], lines[k + 3]
        e, f, g, row = lines[k + 4], lines[k + 5], lines[k + 6], result[i]
        for j in range(row.size):
            row[j] = w[0] * a[j] + w[1] * b[j] + w[2] * c[j] + w[3] * d[j]
            row[j] += w[4] * e[j] + w[5] * f[j] + w[6] * g[j]


@cpu.compiled(nogil=True, error_model="numpy")
def _sample(
    patches: Any,
    coefficients: Any,
    rows: Any,
    cols: Any,
    by_row: Any,
    by_col: Any,
    first: Any,
    phase: Any,
    window: Any,
    half: Any,
    turned: Any,
) -> None:
    """Fill patches (n, size, size) of rows and columns (n, width); the last three arrays are to work in."""
    width = rows.shape[1]
    for p in range(patches.shape[0]):
        for r in range(width):
            line = coefficients[rows[p, r]]
            for c in range(width):
                window[c, r] = line[cols[p, c]]
        _along_lines(half, window, by_col[p], first, phase)
        for r in range(width):
            for j in range(first.size):
                turned[r, j] = half[j, r]
        _along_lines(patches[p], turned, by_row[p], first, phase)


def sample(coefficients: Array, pixel: np.ndarray, fraction: np.ndarray, sampling: Sampling) -> Array:
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
    image = np.ascontiguousarray(namespace.to_numpy(coefficients))
    beyond, size, width = namespace.to_numpy(fraction), sampling.size, sampling.width
    # Samples that are whole pixels apart share their weights: at spacing 1 all of them do.
    phases, phase = np.unique(sampling.phase, return_inverse=True)
    by_row, by_col = (_weights(beyond[:, axis], phases) for axis in (0, 1))
    place = namespace.to_numpy(pixel).astype(np.int64)[:, :, None] + np.arange(-2, width - 2)
    rows, cols = (_mirrored(place[:, axis], image.shape[axis]) for axis in (0, 1))
    patches = np.empty((len(place), size, size), image.dtype)
    work = (np.empty(shape, image.dtype) for shape in ((width, width), (size, width), (width, size)))
    _sample(patches, image, rows, cols, by_row, by_col, sampling.first_tap, phase.reshape(-1), *work)
    return namespace.from_numpy(patches, coefficients)
