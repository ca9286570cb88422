"""The pixels of a micrograph: which are data, and what stands in for the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motifgpu.columns.faults import find_faults
from motifgpu.columns.filling import fill
from motifgpu.core import namespace
from motifgpu.core.cached import cached_property
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.pixels import as_numbers, checked_mask

SMALLEST_IMAGE = 16
# How the reasons are called where it is said what was left out.
REASONS = {
    "given": "given as no data",
    "margin": "constant margin",
    "line": "bad lines",
    "spike": "spikes",
    "outside": "outside the region",
}


def check_size(what: str, shape: tuple[int, ...], stage: str) -> None:
    """Raise a StageError if `what`, of a shape, is too small for any stage."""
    if min(shape) < SMALLEST_IMAGE:
        remedy = f"give at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE} pixels"
        raise StageError(stage, f"{what} has shape {tuple(shape)}", remedy)


@dataclass(frozen=True, eq=False)
class Pixels:
    """An image of which every pixel is a number, and which of them are data.

    Attributes
    ----------
    values : (H, W) float32 or float64 array
        The image less the offset; what is no data is filled from around it.
    valid : (H, W) bool array or None
        Which pixels are data; None where all are.
    offset : float
        What was subtracted because float32 would not hold the rest beside it.
    left_out : dict of str to int
        How many pixels are no data, by reason: ``"given"`` (a mask, NaN, infinity), ``"margin"``, ``"line"``,
        ``"spike"``; ``"outside"`` a region that was given.
    """

    values: Array
    valid: Array | None
    offset: float
    left_out: Mapping[str, int]

    @classmethod
    def of(cls, image: Any, stage: str, mask: Any = None) -> Pixels:
        """Check an image, find what in it is no data, and fill that.

        Parameters
        ----------
        image : (H, W) array_like or Pixels
            Masked arrays keep their mask; NaN and infinity are no data. What is `Pixels` already is not
            searched again.
        stage : str
            The stage that asks, for messages.
        mask : (H, W) array_like of bool, optional
            True on the pixels that are data.

        Raises
        ------
        StageError
            If the image is not a two-dimensional array of real numbers with at least 16 x 16 pixels, or
            nothing of it is data.
        """
        if isinstance(image, Pixels):
            return image if mask is None else image.within(checked_mask(mask, image.values, stage))
        values, valid, offset = as_numbers(image, stage, mask)
        check_size("the image", values.shape, stage)
        xp = namespace.array_namespace(values)
        left_out: dict[str, int] = {}
        if valid is not None:
            if not bool(xp.any(valid)):
                raise StageError(
                    stage,
                    "no pixel of the image is data",
                    "check the mask (True where a pixel is data), and the image for NaN",
                )
            left_out["given"] = int(xp.sum(xp.astype(~valid, xp.int64)))
            if not left_out["given"]:
                valid, left_out = None, {}
        with np.errstate(over="ignore", invalid="ignore"):  # single pixels may be anything
            found = find_faults(values, valid)
        for name, faults in found.items():
            left_out[name] = int(xp.sum(xp.astype(faults, xp.int64)))
            valid = ~faults if valid is None else valid & ~faults
        if valid is not None:
            if not bool(xp.any(~valid)):
                valid = None
            else:
                values = fill(values, valid)
        return cls(values, valid, offset, left_out)

    def within(self, region: Array) -> Pixels:
        """Return the same with nothing but `region` (H, W) as data."""
        xp = namespace.array_namespace(self.values)
        outside = ~region if self.valid is None else self.valid & ~region
        number = int(xp.sum(xp.astype(outside, xp.int64)))
        if not number:
            return self
        valid = region if self.valid is None else self.valid & region
        if not bool(xp.any(valid)):
            raise StageError("columns", "no pixel of the region is data", "give another region")
        return replace(self, valid=valid, left_out={**self.left_out, "outside": number})

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """A sentence that says what was left out; none where all pixels are data."""
        if not self.left_out:
            return ()
        parts = [f"{REASONS[name]} {count:,} px" for name, count in self.left_out.items()]
        return (f"left out: {', '.join(parts)}",)
