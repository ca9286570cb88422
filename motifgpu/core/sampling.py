"""Which pixels the samples of a patch read: what the sampling on CPU and GPU shares."""

from __future__ import annotations

import numpy as np

TAPS = 7  # six for a quintic spline, and one because a sample's first tap is the same pixel in every patch


class Sampling:
    """The samples of one axis of a patch, counted in pixels from the first sample's pixel.

    Parameters
    ----------
    size : int
        Number of samples.
    spacing : float
        Pixels from one to the next.

    Attributes
    ----------
    size : int
    spacing : float
    width : int
        Pixels from the first tap of the first sample to the last tap of the last.
    first_tap : (size,) int64 ndarray
        Pixels from the first tap of the first sample to that of each.
    phase : (size,) float64 ndarray
        How far each sample is beyond the pixel two after its first tap, if the first sample is on its pixel.
    """

    def __init__(self, size: int, spacing: float) -> None:
        offset = np.arange(size) * spacing
        self.size, self.spacing = size, spacing
        self.first_tap = np.floor(offset).astype(np.int64)
        self.phase = np.round(offset - self.first_tap, 9)
        self.width = int(self.first_tap[-1]) + TAPS
