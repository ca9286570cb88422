"""A micrograph in the band of its columns, smoothed and not, in which the columns are searched for.

Lengths here and in what is done with it are pixels of the band's grid (`motifgpu.columns.band`), on which the
period of the first ring is 6.8 px in every micrograph: a hexagonal lattice constant is 7.9 px, columns of a
honeycomb stand 4.5 px apart and are about 1.1 px wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from motifgpu.columns.band import Band, band_of
from motifgpu.columns.lattice_average import lattice_average
from motifgpu.columns.lattice_region import lattice_region
from motifgpu.columns.maxima import dilate
from motifgpu.columns.scale import CUTOFF
from motifgpu.columns.smoothing import responses
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.cached import cached_property
from motifgpu.core.namespace import Array
from motifgpu.core.on_points import pixel_of, values_at

# Two maxima closer than this are one column.
LEAST_SPACING = 2.5
# A column has at least this share of the height of the tallest, but for those that the lattice predicts.
FAINTEST = 0.1
# Reach of the level under columns.
LEVEL = 4.7
# Standard deviation of the Gaussian about a pixel of the grid of which half must be data, about a column's.
_OWN_SHARE = 1.1
# What is bright in the band: the quantile that is usual, of which columns of a cell hold more, and how many
# times that is rare.
_USUAL, _RARE = 0.97, 3.0
_SOME = 3  # every such row and column of the grid is looked at for that
# Width of the reflected border in periods of the first ring: two hexagonal lattice constants, so that what is
# continued there reaches beyond the frame by more than the window of a fit.
_MARGIN = 2.3


@dataclass(frozen=True, eq=False)
class FilteredImage:
    """An image in the band of its columns, without background, smoothed and not.

    Parameters
    ----------
    image : StandardImage
    smoothing : {"auto", "fft", "svd"}
    lattice : bool
        Search for columns where there is a lattice alone.
    finer : float
        By how much the grid is finer than the scale of the columns asks for.
    """

    image: StandardImage
    smoothing: str
    lattice: bool = False
    finer: float = 1.0

    @property
    def xp(self) -> ModuleType:
        """Namespace of the arrays."""
        return namespace.array_namespace(self.image.values)

    @property
    def lowest(self) -> float:
        """Frequency that sets the scale of the background, cycles per pixel, see `StandardImage.scales`."""
        return self.image.scales[0]

    @property
    def frequency(self) -> float:
        """Frequency that sets the scale of the columns, cycles per pixel, see `StandardImage.scales`."""
        return self.image.scales[1] * self.finer

    @cached_property
    def band(self) -> Band:
        """The image as far as the columns' highest frequency."""
        return band_of(self.image.values, CUTOFF * self.frequency, margin=_MARGIN / self.frequency)

    @cached_property
    def _responses(self) -> tuple[Array, Array]:
        return responses(self.band, self.lowest, self.image.spectrum.noise, self.smoothing)

    @cached_property
    def detail(self) -> Array:
        """The band without its background: (h, w)."""
        return self.band.grid(1 - self._responses[0])

    @cached_property
    def smoothed(self) -> Array:
        """The same, smoothed: (h, w)."""
        return self.band.grid(self._responses[1])

    def levelled(self, x: Array) -> Array:
        """Return an image of the band (h, w) less the level around each pixel."""
        return x - self.band.blur(x, LEVEL)

    def without_rare(self, x: Array) -> Array:
        """Return an image of the band (h, w) in which what is far brighter than usual is cut to `_RARE`.

        A few heavy atoms in a light lattice would otherwise be all that its spectrum shows.
        """
        xp = self.xp
        some, known = (xp.reshape(a[::_SOME, ::_SOME], (-1,)) for a in (x, self.known))
        usual = namespace.quantile(some, known > 0, _USUAL)
        return xp.minimum(x, _RARE * xp.maximum(usual, xp.zeros_like(usual)))

    @cached_property
    def noise(self) -> float:
        """Standard deviation of what noise is left in `smoothed`."""
        passed: float = float(self.xp.mean(self._responses[1] ** 2)) ** 0.5
        present: float = (self.image.spectrum.noise * self.band.noise_gain) ** 0.5
        return passed * present

    @cached_property
    def data(self) -> Array | None:
        """0 on the pixels of the grid that are none in the image, 1 elsewhere: (h, w); None without such."""
        sigma = _OWN_SHARE * (self.band.scale[0] * self.band.scale[1]) ** 0.5
        share = self.image.share_valid(sigma)
        if share is None:
            return None
        return self.xp.astype(self.band.sampled(share) >= 0.5, self.band.inside.dtype)

    @cached_property
    def known(self) -> Array:
        """1 on the pixels of the grid that are data, 0 elsewhere: (h, w)."""
        return self.band.inside if self.data is None else self.band.inside * self.data

    @cached_property
    def weight(self) -> Array:
        """Share of each pixel of the grid that is data: (h, w)."""
        return self.band.coverage if self.data is None else self.band.coverage * self.data

    @cached_property
    def _lattices(self) -> tuple[Array, np.ndarray]:
        image = self.image
        bragg = image.spectrum.bragg
        return lattice_region(image.values, self.band, self.detail, self.known, bragg, self.lowest)

    @property
    def region(self) -> Array:
        """Where there is a lattice: (h, w) bool."""
        return self._lattices[0]

    @cached_property
    def all_lattice(self) -> bool:
        """Whether there is a lattice everywhere."""
        return bool(self.xp.all(self.region))

    @property
    def frequencies(self) -> np.ndarray:
        """Bragg peaks of all grains, those of small ones too: (k, 2), cycles per pixel, on the host."""
        return self._lattices[1]

    @cached_property
    def frame(self) -> Array:
        """Where columns are searched for: (h, w) bool.

        It is what is data and as much around it as its columns overlap with.
        """
        # Columns beyond the border overlap those within: mirrored ones, or in the lattice average real ones.
        frame = self.band.within(LEVEL) > 0
        if self.image.valid is not None:
            frame = frame & (dilate(self.known, LEVEL) > 0)
        return frame & self.region if self.lattice else frame

    @cached_property
    def average(self) -> tuple[Array, float]:
        """Lattice average of all that is known, and its noise, see `motifgpu.columns.lattice_average`."""
        return self.average_of(self.known)

    def average_of(self, known: Array) -> tuple[Array, float]:
        """Return the lattice average of what is known (h, w), and its noise."""
        seen = self.without_rare(self.detail)
        return lattice_average(self.band, seen, known, self.lowest, self.frequency, self.frequencies)

    def at(self, values: Array, points: np.ndarray) -> np.ndarray:
        """Return an image's values (n,) on the pixels under points."""
        return values_at(values, pixel_of(points, self.band.size))
