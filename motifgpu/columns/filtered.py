"""A micrograph in the band of its columns, smoothed and not, in which the columns are looked for.

Lengths here and in what is done with it are pixels of the band's grid (`motifgpu.columns.band`), on which the
period of the first ring is 6.8 px in every micrograph: a hexagonal lattice constant is 7.9 px, columns of a
honeycomb stand 4.5 px apart and are about 1.1 px wide.
"""

from __future__ import annotations

from motifgpu.columns.band import Band, band_of
from motifgpu.columns.scale import CUTOFF
from motifgpu.columns.smoothing import slow_response, smoothing_response
from motifgpu.columns.spacing import pixel_of
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# Two maxima closer than the first are one column; an empty site, or a column that is no maximum, stands at
# least the second from any other.
LEAST_SPACING, LEAST_CLEARANCE = 2.5, 3.5
# A column has at least this share of the height of the tallest, but for those that the lattice predicts.
FAINTEST = 0.1
# Reach of the level under columns.
LEVEL = 4.7
# Width of the reflected border in periods of the first ring: two hexagonal lattice constants, so that what is
# continued there reaches beyond the frame by more than the window of a fit.
_MARGIN = 2.3


class FilteredImage:
    """An image in the band of its columns, without background, smoothed or not.

    Parameters
    ----------
    image : StandardImage
    smoothing : {"auto", "fft", "svd"}

    Attributes
    ----------
    band : Band
    detail, smoothed : (h, w) array
        The band without its background, before and after smoothing.
    noise : float
        Standard deviation of what noise is left in `smoothed`.
    lowest, frequency : float
        What sets the scale of the background and of the columns (`StandardImage.scales`), cycles per pixel.
    frame : (h, w) bool array
        The image and as much around it as its columns overlap with.
    """

    def __init__(self, image: StandardImage, smoothing: str) -> None:
        xp = self.xp = namespace.array_namespace(image.values)
        noise = image.spectrum.noise
        self.lowest, self.frequency = image.scales
        cutoff = CUTOFF * self.frequency
        self.band: Band = band_of(image.values, cutoff, margin=_MARGIN / self.frequency)
        slow = slow_response(self.band, self.lowest)
        response = (1 - slow) * smoothing_response(self.band, slow, noise, smoothing, cutoff)
        self.detail = self.band.grid(1 - slow)
        self.smoothed = self.band.grid(response)
        # Columns beyond the border overlap those within: mirrored ones, or in the lattice average real ones.
        self.frame = self.band.within(LEVEL) > 0
        self.noise = float(xp.mean(response**2)) ** 0.5 * (noise * self.band.noise_gain) ** 0.5

    def at(self, values: Array, points: Array) -> Array:
        """Return an image's values (n,) on the pixels under points."""
        return self.xp.take(self.xp.reshape(values, (-1,)), pixel_of(points, self.band.size))
