"""The three noises of the paper (supplement, Fig. S3): Poisson, Gaussian and scan noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from motifgpu.core.checks import check_array
from motifgpu.simulate import checks

Seed = int | np.random.Generator


def poisson_noise(expected: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """Draw counts whose expectation is an image.

    Parameters
    ----------
    expected : array_like of any shape
        Expected counts; multiply an image by the dose first. Values below zero count as zero.
    seed : int or numpy.random.Generator

    Returns
    -------
    ndarray of the shape of `expected`
        Whole numbers, float64 if the input was that and float32 otherwise.

    Raises
    ------
    StageError
        If a value is not a finite real number, or above what can be counted (1e18).

    Examples
    --------
    The noise of counts is the square root of their number:

    >>> import numpy as np
    >>> from motifgpu import simulate
    >>> counts = simulate.poisson_noise(np.full((100, 100), 25.0))
    >>> round(float(counts.mean())), round(float(counts.std()))
    (25, 5)
    """
    _, expected = check_array(expected, "simulate", "the expected counts", (0, 1, 2, 3, 4))
    if expected.max(initial=0) > 1e18:
        raise checks.problem(f"{expected.max():g} counts are expected in a pixel", "give at most 1e18")
    counts: np.ndarray = np.random.default_rng(seed).poisson(np.maximum(expected, 0)).astype(expected.dtype)
    return counts


def gaussian_noise(image: np.ndarray, sigma: float, seed: Seed = 0) -> np.ndarray:
    """Add white Gaussian noise.

    Parameters
    ----------
    image : array_like of any shape
    sigma : float
        Standard deviation, in the units of `image`.
    seed : int or numpy.random.Generator

    Returns
    -------
    ndarray of the shape of `image`
        float64 if the input was that and float32 otherwise.

    Raises
    ------
    StageError
        If `image` is not finite and real, or `sigma` is negative.

    Examples
    --------
    Noise of a standard deviation of 0.2 on an empty image:

    >>> import numpy as np
    >>> from motifgpu import simulate
    >>> noisy = simulate.gaussian_noise(np.zeros((100, 100)), 0.2)
    >>> round(float(noisy.std()), 1)
    0.2
    """
    _, image = check_array(image, "simulate", "the image", (0, 1, 2, 3, 4))
    noise = np.random.default_rng(seed).normal(0, checks.not_negative(sigma, "sigma"), image.shape)
    return (image + noise).astype(image.dtype)


def scan_jitter(rows: int, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the displacements of `rows` scan lines along the columns, px; zeros, undrawn, for `sigma` 0."""
    return rng.normal(0, sigma, rows) if sigma else np.zeros(rows)


def scan_noise(image: np.ndarray, sigma: float, seed: Seed = 0) -> np.ndarray:
    """Displace every row of an image, or of a stack of images, by a random amount along the columns.

    Rows are resampled by cubic splines, mirrored at the ends; the simulators of this package displace the
    columns themselves instead, which needs no resampling.

    Parameters
    ----------
    image : (..., H, W) array_like
        An image or a stack of them; every row is displaced independently.
    sigma : float
        Standard deviation of the displacement, px.
    seed : int or numpy.random.Generator

    Returns
    -------
    (..., H, W) ndarray
        float64 if the input was that and float32 otherwise.

    Raises
    ------
    StageError
        If `image` is not finite and real, or `sigma` is negative.

    Examples
    --------
    Rows are displaced, so a pattern that varies along the columns only stays as it is:

    >>> import numpy as np
    >>> from motifgpu import simulate
    >>> rows = np.tile(np.sin(np.arange(64) / 4), (64, 1))
    >>> moved = simulate.scan_noise(rows, 1.0)
    >>> np.allclose(moved, rows), np.allclose(simulate.scan_noise(rows.T, 1.0), rows.T)
    (False, True)
    """
    _, image = check_array(image, "simulate", "the image", (2, 3, 4))
    rows = image.reshape(-1, image.shape[-1])
    jitter = scan_jitter(len(rows), checks.not_negative(sigma, "scan"), np.random.default_rng(seed))
    if image.shape[-1] == 1 or not jitter.any():
        return image.copy()
    spline = ndimage.spline_filter1d(rows.astype(np.float64), 3, axis=1, mode="mirror")
    position = np.arange(image.shape[-1]) - jitter[:, None]
    first = np.floor(position).astype(np.int64)
    part = position - first
    weights = ((1 - part) ** 3, 4 - 6 * part**2 + 3 * part**3, 1 + 3 * part * (1 + part - part**2), part**3)
    period = 2 * (image.shape[-1] - 1)
    result = np.zeros(rows.shape)
    for tap, weight in enumerate(weights):
        index = np.abs(first + tap - 1) % period
        index = np.minimum(index, period - index)
        result += weight / 6 * np.take_along_axis(spline, index, axis=1)
    return result.reshape(image.shape).astype(image.dtype)
