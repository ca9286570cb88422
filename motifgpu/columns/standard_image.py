"""A micrograph brought to mean 0 and standard deviation 1, with what all stages ask it first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from motifgpu.columns.scale import Ring, first_ring, reference_frequencies
from motifgpu.columns.spectrum import Spectrum, power_spectrum
from motifgpu.columns.width import column_frequency
from motifgpu.core import namespace
from motifgpu.core.checks import check_array
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array

SMALLEST_IMAGE = 16
# Larger values than this do not hold as float32 in what is computed from them.
_LARGEST = 1e37


@dataclass(frozen=True, eq=False)
class StandardImage:
    """An image of mean 0 and standard deviation 1; its spectrum and scales are computed once, at first use.

    The functions that take an image also take this, so that the stages of an analysis share one.

    Attributes
    ----------
    values : (H, W) array
        The image is ``values * scale + offset``.
    offset, scale : float
        Mean and standard deviation of the image, in its unit.
    stage : str
        The stage that asked, for messages.
    """

    values: Array
    offset: float
    scale: float
    stage: str

    @classmethod
    def of(cls, image: Any, stage: str) -> StandardImage:
        """Check an image and standardise it; what is standardised already is returned as it is.

        A pixel is subtracted before the mean is taken, so that a large offset costs no digits.

        Parameters
        ----------
        image : (H, W) array_like or StandardImage
        stage : str
            The stage that asks, for messages.

        Raises
        ------
        StageError
            If the image is not two-dimensional, finite, numeric, of at least 16 x 16 pixels, or is constant.
        """
        if isinstance(image, StandardImage):
            return image
        xp, x = check_array(image, stage, "the image", 2)
        if min(x.shape) < SMALLEST_IMAGE:
            raise StageError(
                stage,
                f"the image has shape {tuple(x.shape)}",
                f"give at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE} pixels",
            )
        largest = float(xp.max(xp.abs(x)))
        if largest > _LARGEST:
            raise StageError(stage, f"the image has a value of {largest:.1e}", "scale the image down")
        first = x[0, 0]
        x = x - first
        extent = float(xp.max(xp.abs(x)))
        if extent == 0:
            raise StageError(
                stage, f"the image is constant ({float(first):g})", "give an image with contrast"
            )
        x = x / extent
        mean = xp.mean(x)
        x = x - mean
        deviation = xp.sqrt(xp.mean(x * x))
        offset = float(first) + extent * float(mean)
        return cls(x / deviation, offset, extent * float(deviation), stage)

    @property
    def single(self) -> StandardImage:
        """The same as float32."""
        # Not cached: an image that refers to itself is freed late.
        xp = namespace.array_namespace(self.values)
        if self.values.dtype == xp.float32:
            return self
        return replace(self, values=xp.astype(self.values, xp.float32))

    @cached_property
    def spectrum(self) -> Spectrum:
        """Radial mean of the power spectrum, and the white noise."""
        return power_spectrum(self.values)

    @cached_property
    def ring(self) -> Ring | None:
        """First ring of Bragg peaks; None where there is no lattice."""
        return first_ring(self.spectrum)

    @cached_property
    def scales(self) -> tuple[float, float]:
        """Frequencies that set the scale of the background and of the columns, cycles per pixel.

        See `motifgpu.columns.scale.reference_frequencies`, also for the error where all is noise, and
        `motifgpu.columns.width.column_frequency`.
        """
        lowest, finest = reference_frequencies(self.spectrum, self.ring, self.stage)
        return lowest, column_frequency(self.values, lowest, finest)
