"""Sums of Gaussian columns, and what a detector makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from motifgpu.simulate import checks
from motifgpu.simulate.noise import gaussian_noise, poisson_noise, scan_jitter

_PIXELS_AT_ONCE = 100_000  # window pixels a chunk, so that its arrays stay in the cache


class Exposure(NamedTuple):
    """An image with its expectation and its background, (H, W) float32 each."""

    image: np.ndarray
    clean: np.ndarray
    background: np.ndarray


def add_columns(
    shape: Sequence[int], points: np.ndarray, heights: np.ndarray, sigma: float, jitter: np.ndarray
) -> np.ndarray:
    """Add up Gaussian columns, each out to five standard deviations.

    Parameters
    ----------
    shape : (int, int)
        Rows H and columns W, px.
    points : (n, 2) ndarray
        Centres as (row, col), px; they may lie outside the image.
    heights : (n,) ndarray
        Peak heights.
    sigma : float
        Standard deviation, px.
    jitter : (H,) ndarray
        Displacement of each row along the columns, px.

    Returns
    -------
    (H, W) float64 ndarray
    """
    reach = int(np.ceil(5 * sigma + np.abs(jitter).max(initial=0)))
    nearest = np.round(points).astype(np.int64)
    seen = (heights != 0) & ((nearest >= -reach) & (nearest < np.array(shape) + reach)).all(1)
    points, heights, nearest = points[seen], heights[seen], nearest[seen]
    margin = 2 * reach  # every window fits inside the padded image
    padded = np.zeros((shape[0] + 2 * margin, shape[1] + 2 * margin))
    window = np.arange(-reach, reach + 1)
    row_shift = np.pad(jitter, margin, mode="edge") if jitter.any() else None
    step = max(1, _PIXELS_AT_ONCE // window.size**2)
    for first in range(0, len(points), step):
        part = slice(first, first + step)
        row, col = points[part, :1], points[part, 1:]
        rows, cols = nearest[part, :1] + window, nearest[part, 1:] + window
        along_rows = heights[part, None] * np.exp(-0.5 * ((rows - row) / sigma) ** 2)
        offset = (cols - col)[:, None, :]
        if row_shift is not None:
            offset = cols[:, None, :] - col[:, None, :] - row_shift[rows + margin][:, :, None]
        values = along_rows[:, :, None] * np.exp(-0.5 * (offset / sigma) ** 2)
        where = (rows + margin)[:, :, None] * padded.shape[1] + (cols + margin)[:, None, :]
        np.add.at(padded.reshape(-1), where.reshape(-1), values.reshape(-1))
    return padded[margin : margin + shape[0], margin : margin + shape[1]]


def detect(clean: np.ndarray, counts: float | None, gaussian: float, rng: np.random.Generator) -> np.ndarray:
    """Return `clean` as recorded: Poisson counts if there is a dose, Gaussian noise on top, as float32."""
    image = poisson_noise(clean, rng) if counts is not None else clean
    return (gaussian_noise(image, gaussian, rng) if gaussian else image).astype(np.float32)


def expose(
    shape: Sequence[int],
    points: np.ndarray,
    heights: np.ndarray,
    sigma: float,
    rng: np.random.Generator,
    *,
    brightest: float = 1.0,
    counts: float | None,
    gaussian: float,
    scan: float,
    background: float = 0.0,
) -> Exposure:
    """Render columns on a background and record them.

    Parameters
    ----------
    shape : (int, int)
    points : (n, 2) ndarray
    heights : (n,) ndarray
        Peak heights, in units of the caller's.
    sigma : float
        Standard deviation of a column, px.
    rng : numpy.random.Generator
    brightest : float
        Height of the brightest pristine column: one peak.
    counts : float or None
        Expected counts at one peak; None for no Poisson noise and peaks of 1.
    gaussian, background : float
        Standard deviation of Gaussian noise, and height of a slow background, in peaks.
    scan : float
        Standard deviation of the displacement of the scan lines, px.

    Returns
    -------
    Exposure
    """
    peak = checks.dose(counts)
    gaussian = checks.not_negative(gaussian, "gaussian")
    jitter = scan_jitter(shape[0], scan, rng)
    clean = add_columns(shape, points, peak * heights / brightest, sigma, jitter)
    layer = np.zeros(shape)
    if checks.not_negative(background, "background"):
        slow = ndimage.gaussian_filter(rng.normal(size=shape), min(shape) / 6, mode="nearest")
        layer = background * peak * (slow - slow.min()) / (np.ptp(slow) + 1e-30)
        clean = clean + layer
    image = detect(clean, counts, gaussian * peak, rng)
    return Exposure(image, clean.astype(np.float32), layer.astype(np.float32))
