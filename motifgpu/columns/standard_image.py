"""A micrograph brought to mean 0 and standard deviation 1, with what all stages ask it first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motifgpu.columns.filling import box_of
from motifgpu.columns.pixels import Pixels, check_size
from motifgpu.columns.scale import Ring, first_ring, reference_frequencies
from motifgpu.columns.spectrum import Spectrum, hann, power_spectrum
from motifgpu.columns.width import column_frequency
from motifgpu.core import namespace
from motifgpu.core.cached import cached_property
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array

# Squares of larger values, summed over a patch, are beyond float32.
_LARGEST = 1e15


@dataclass(frozen=True, eq=False)
class StandardImage:
    """An image of mean 0 and standard deviation 1; its spectrum and scales are computed once, at first use.

    It is the part of a micrograph that holds data, from the first to the last row and column with any. The
    functions that take an image also take this, so that the stages of an analysis share one.

    Attributes
    ----------
    values : (H, W) array
        The part of the micrograph is ``values * scale + offset``; filled where it is no data.
    offset, scale : float
        Mean and standard deviation of the data, in the unit of the micrograph.
    stage : str
        The stage that asked, for messages.
    valid : (H, W) bool array or None
        Which pixels are data; None where all are.
    origin : (int, int)
        Row and column of the first pixel in the micrograph.
    frame : (int, int) or None
        Rows and columns of the micrograph; None where this is all of it.
    notes : tuple of str
        What was left out as no data.
    """

    values: Array
    offset: float
    scale: float
    stage: str
    valid: Array | None = None
    origin: tuple[int, int] = (0, 0)
    frame: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, image: Any, stage: str, mask: Any = None) -> StandardImage:
        """Check an image and standardise it; what is standardised already is returned as it is.

        A pixel is subtracted before the mean is taken, so that a large offset costs no digits.

        Parameters
        ----------
        image : (H, W) array_like, Pixels or StandardImage
        stage : str
            The stage that asks, for messages.
        mask : (H, W) array_like of bool, optional
            True on the pixels that are data.

        Raises
        ------
        StageError
            If the image is not two-dimensional and numeric, its data are not at least 16 x 16 pixels, or they
            are constant.
        """
        if isinstance(image, StandardImage):
            return image
        pixels = Pixels.of(image, stage, mask)
        x, valid = pixels.values, pixels.valid
        xp = namespace.array_namespace(x)
        origin, frame = (0, 0), None
        if valid is not None:
            rows, cols = box_of(valid)
            if (rows.start, cols.start, rows.stop, cols.stop) != (0, 0, *x.shape):
                origin, frame = (rows.start, cols.start), (x.shape[0], x.shape[1])
                x, valid = x[rows, cols], valid[rows, cols]
            if bool(xp.all(valid)):
                valid = None
        check_size("what is data in the image", x.shape, stage)
        largest = float(xp.max(xp.abs(x)))
        if largest > _LARGEST:
            raise StageError(stage, f"the image has a value of {largest:.1e}", "scale the image down")
        first = x[0, 0]
        x = x - first
        inside = x if valid is None else xp.where(valid, x, 0.0)
        extent = float(xp.max(xp.abs(inside)))
        if extent == 0:
            level = float(first) + pixels.offset
            raise StageError(stage, f"the image is constant ({level:g})", "give an image with contrast")
        x = x / extent
        weight = None if valid is None else xp.astype(valid, x.dtype)
        mean = _mean(x, weight)
        x = x - mean
        deviation = xp.sqrt(_mean(x * x, weight))
        offset = pixels.offset + float(first) + extent * float(mean)
        scale = extent * float(deviation)
        return cls(x / deviation, offset, scale, stage, valid, origin, frame, pixels.notes)

    @property
    def single(self) -> StandardImage:
        """The same as float32."""
        # Not cached: an image that refers to itself is freed late.
        xp = namespace.array_namespace(self.values)
        if self.values.dtype == xp.float32:
            return self
        return replace(self, values=xp.astype(self.values, xp.float32))

    @property
    def inverted(self) -> StandardImage:
        """The image with dark and bright exchanged."""
        made = replace(self, values=-self.values)
        if "spectrum" in vars(self):
            vars(made)["spectrum"] = self.spectrum  # which is the same
        return made

    @cached_property
    def spectrum(self) -> Spectrum:
        """Radial mean of the power spectrum, and the white noise."""
        found = power_spectrum(self.values)
        if self.valid is None:
            return found
        # What is filled has neither columns nor noise.
        xp = namespace.array_namespace(self.values)
        window = hann(self.values) ** 2
        share = float(xp.sum(xp.where(self.valid, window, 0.0)) / xp.sum(window))
        return replace(found, power=found.power / share, noise=found.noise / share)

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

    def share_valid(self, sigma: float) -> Array | None:
        """Return the share of data about each pixel (H, W), in a Gaussian of `sigma` px; None where all is 1.

        What lies beyond the image counts as its mirror image.
        """
        if self.valid is None:
            return None
        xp = namespace.array_namespace(self.values)
        weight = xp.astype(self.valid, xp.float32)
        return namespace.ndimage(xp).gaussian_filter(weight, sigma, mode="mirror")

    def whole(self, values: Array) -> Array:
        """Return values (H, W) of this part as those of the micrograph, continued by the outermost."""
        if self.frame is None:
            return values
        for axis in (0, 1):
            index = np.clip(np.arange(self.frame[axis]) - self.origin[axis], 0, values.shape[axis] - 1)
            xp = namespace.array_namespace(values)
            values = xp.take(values, namespace.from_numpy(index, values), axis=axis)
        return values


def _mean(x: Array, weight: Array | None) -> Array:
    xp = namespace.array_namespace(x)
    return xp.mean(x) if weight is None else xp.sum(x * weight) / xp.sum(weight)
