"""Shoulders of bright columns, some of which are faint columns.

Beside a bright column a faint one, such as S2 beside W, is no maximum of the lattice average but a shoulder.
It shows in the residual of the fits of the bright columns. There the ringing of the band limit shows as well.
"""

from __future__ import annotations

import math

import numpy as np

from motifgpu.columns.filtered import FAINTEST, LEAST_SPACING, FilteredImage
from motifgpu.columns.maxima import local_maxima, peak_positions
from motifgpu.columns.refine import Peaks, render
from motifgpu.columns.spacing import near
from motifgpu.core.fitting import REACH
from motifgpu.core.namespace import Array

# Share of the least height of a site at which a fit is started. A pixel half a step off along both axes shows
# exp(-0.25 / 1.1^2) = 0.81 of a column of usual width, and the level that is subtracted has 0.05 of it.
_START = 0.7


def find_shoulders(image: FilteredImage, average: Array, bright: Peaks, least: float) -> np.ndarray:
    """Find columns beside the maxima of the lattice average that are no maxima themselves.

    Parameters
    ----------
    image : FilteredImage
    average : (h, w) array
        Its lattice average.
    bright : Peaks
        The maxima of that, fitted.
    least : float
        Least height of a site.

    Returns
    -------
    (m, 2) ndarray
        Where fits are to start; none where the columns are so wide that the residual of the fits is their
        rims.
    """
    # Of wide columns the windows of a fit cut off as much as faint columns have.
    if math.exp(-0.5 * ((REACH + 0.5) / float(bright.sigma)) ** 2) > FAINTEST:
        return bright.points[:0, :]
    left = image.levelled(average - render(bright, average))
    shoulders = peak_positions(left, local_maxima(left) & image.frame & (left > _START * least))
    apart: np.ndarray = shoulders[~near(shoulders, bright.points, image.band.size, LEAST_SPACING)]
    return apart
