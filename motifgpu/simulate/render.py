"""Sums of Gaussian columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_PIXELS_AT_ONCE = 100_000  # window pixels a chunk, so that its arrays stay in the cache


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
