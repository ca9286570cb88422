"""The slow background under a micrograph, such as contamination or thickness."""

from __future__ import annotations

from typing import Any

from motifgpu.columns.band import BACKGROUND, band_of
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array


def estimate_background(image: Any, *, period: float | None = None) -> Array:
    """Estimate the slow background of a micrograph, such as contamination or thickness.

    Parameters
    ----------
    image : (H, W) array_like
    period : float, optional
        Shortest period of the background, px; by default 2.5 times the period of the first ring, about two
        lattice constants.

    Returns
    -------
    (H, W) array
        The background, including the mean of the image, in its namespace, device and, if floating, dtype.

    Raises
    ------
    StageError
        If the image is not a finite, varying, two-dimensional array of at least 16 x 16 real numbers, the
        period is not above 2, or the image shows nothing but noise and no period is given.

    Examples
    --------
    The estimate follows the background of a simulated image:

    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), background=0.5)
    >>> background = motifgpu.estimate_background(made.image)
    >>> bool(np.corrcoef(background.ravel(), made.background.ravel())[0, 1] > 0.9)
    True
    """
    if period is not None and not period > 2:
        raise StageError("smoothing", f"period is {period}", "give a length above 2 pixels")
    standard = StandardImage.of(image, "smoothing")
    if period is None:
        lowest, _ = standard.scales
        period = BACKGROUND / lowest
    band = band_of(standard.values, 1.5 / period, margin=period)
    slow = band.image(band.background_response(BACKGROUND / period))
    return standard.whole(slow * standard.scale + standard.offset)
