"""By what columns differ from Gaussians: the tails of the probe, the rings of the band limit.

What fits leave around all columns together is drawn by Gaussians of other widths, as high at every column as
its own height: one shape for all of them.
"""

from __future__ import annotations

import numpy as np

from motifgpu.columns.filtered import LEVEL, FilteredImage
from motifgpu.columns.refine import Peaks
from motifgpu.columns.spacing import four_around
from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.core.on_points import scattered

# Widths that a shape is made of, in those of the columns.
_WIDTHS = (0.0, 0.8, 1.2, 1.7, 2.4)
# What is added to the normal matrix, as a share of its mean diagonal.
_RIDGE = 1e-6


def tails(image: FilteredImage, left: Array, peaks: Peaks) -> Array:
    """Return what columns have beside their Gaussians: (h, w).

    Parameters
    ----------
    image : FilteredImage
    left : (h, w) array
        What fits of the columns left, without its local level.
    peaks : Peaks
    """
    xp, known = image.xp, image.known
    band = image.band
    # Drawn as points, made wide and freed of its level at once.
    transform = band.transform(_points(peaks, left)) * (1 - band.gaussian(LEVEL))
    responses = (band.gaussian(width * float(peaks.sigma)) for width in _WIDTHS)
    shapes = [band.inverse(transform * response) * known for response in responses]
    table = xp.reshape(xp.stack(shapes), (len(shapes), -1))
    normal = namespace.to_numpy(table @ xp.matrix_transpose(table)).astype(np.float64)
    right = namespace.to_numpy(table @ xp.reshape(left * known, (-1,))).astype(np.float64)
    scale = np.sqrt(np.maximum(np.diagonal(normal), 1e-30))
    normal = normal / np.outer(scale, scale) + _RIDGE * np.eye(len(shapes))
    share = np.linalg.solve(normal, right / scale) / scale
    return xp.reshape(namespace.as_like(share, left) @ table, left.shape)


def _points(peaks: Peaks, image: Array) -> Array:
    """Draw each column as its height on the four pixels around its centre: (h, w)."""
    around = list(four_around(peaks.points[:, 0], peaks.points[:, 1], image.shape))
    return scattered([pixel for pixel, _ in around], [peaks.heights * share for _, share in around], image)
