"""By what columns differ from Gaussians: the tails of the probe, the rings of the band limit.

What fits leave around all columns together is drawn by Gaussians of other widths, as high at every column as
its own height: one shape for all of them.
"""

from __future__ import annotations

import numpy as np

from motifgpu.columns.band import Band
from motifgpu.columns.filtered import LEVEL
from motifgpu.columns.refine import Peaks
from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# Widths that a shape is made of, in those of the columns.
_WIDTHS = (0.0, 0.8, 1.2, 1.7, 2.4)
# What is added to the normal matrix, as a share of its mean diagonal.
_RIDGE = 1e-6


def tails(band: Band, left: Array, peaks: Peaks, known: Array) -> Array:
    """Return what columns have beside their Gaussians: (h, w).

    Parameters
    ----------
    band : Band
    left : (h, w) array
        What fits of the columns left, without its local level.
    peaks : Peaks
    known : (h, w) array
        1 on the pixels that are data.
    """
    xp = namespace.array_namespace(left)
    drawn = _points(band, peaks)
    shapes = []
    for width in _WIDTHS:
        shape = band.blur(drawn, width * float(peaks.sigma)) if width else drawn
        shapes.append((shape - band.blur(shape, LEVEL)) * known)
    table = xp.reshape(xp.stack(shapes), (len(shapes), -1))
    normal = namespace.to_numpy(table @ xp.matrix_transpose(table)).astype(np.float64)
    right = namespace.to_numpy(table @ xp.reshape(left * known, (-1,))).astype(np.float64)
    scale = np.sqrt(np.maximum(np.diagonal(normal), 1e-30))
    normal = normal / np.outer(scale, scale) + _RIDGE * np.eye(len(shapes))
    share = np.linalg.solve(normal, right / scale) / scale
    return xp.reshape(namespace.as_like(share, left) @ table, left.shape)


def _points(band: Band, peaks: Peaks) -> Array:
    """Draw each column as its height on the four pixels around its centre: (h, w)."""
    xp = namespace.array_namespace(peaks.points)
    rows, cols = band.size
    low = xp.floor(peaks.points)
    rest = peaks.points - low
    row, col = xp.astype(low[:, 0], xp.int64), xp.astype(low[:, 1], xp.int64)
    drawn = xp.zeros((rows * cols,), dtype=peaks.heights.dtype, device=namespace.device(peaks.heights))
    for down in (0, 1):
        for right in (0, 1):
            share = (rest[:, 0] if down else 1 - rest[:, 0]) * (rest[:, 1] if right else 1 - rest[:, 1])
            place = xp.clip(row + down, min=0, max=rows - 1) * cols + xp.clip(
                col + right, min=0, max=cols - 1
            )
            drawn = drawn + namespace.bincount(place, peaks.heights * share, rows * cols)
    return xp.reshape(drawn, band.size)
