"""How wide the columns are, from a trial fit, and the scale that suits them."""

from __future__ import annotations

from motifgpu.columns.band import band_of
from motifgpu.columns.maxima import local_maxima, peak_positions
from motifgpu.columns.refine import STEPS, refine, start_peaks, tallest_tenth
from motifgpu.columns.scale import CUTOFF
from motifgpu.core.fitting import USUAL, WIDEST
from motifgpu.core.namespace import Array

# Reach of the trial's maximum filter, px of the grid, and least height of a column that is fitted, over that
# of the tallest tenth.
_RADIUS, _TALL = 2.5, 0.5
# Scales that differ by less are one.
_ALIKE = 1.1


def column_frequency(x: Array, lowest: float, finest: float) -> float:
    """Return the frequency that sets the scale of the columns, between two, by the columns' width.

    Rings far beyond the first are those of columns close together, or of an image so good that they are seen
    where the columns have hardly any power left. On the grid of the finest scale the width of the columns
    decides: where they are wider than usual, the grid need not be as fine.

    Parameters
    ----------
    x : (H, W) array
        Standardised image.
    lowest, finest : float
        Radius of the first ring, and the highest frequency that the rings suggest, cycles per pixel.
    """
    if finest <= _ALIKE * lowest:
        return lowest
    band = band_of(x, CUTOFF * finest, margin=2 / finest)
    detail = band.grid(1 - band.background_response(lowest))
    maxima = local_maxima(detail, _RADIUS) & (band.inside > 0)
    start = start_peaks(detail, peak_positions(detail, maxima))
    if not start.points.shape[0]:
        return finest
    tall = start.heights > _TALL * tallest_tenth(start)
    width = float(refine(detail, start.select(tall), STEPS).sigma)
    if width >= WIDEST:
        return lowest
    return max(lowest, finest * min(1.0, USUAL / width))
