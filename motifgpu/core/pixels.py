"""Pixels as numbers: what of an image is given as data, and an offset that float32 would not survive."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array
from motifgpu.core.errors import StageError
from motifgpu.core.given import taken
from motifgpu.core.namespace import Array

# An offset of so many times the spread of the pixels leaves float32 fewer than three digits of the spread.
_LARGE_OFFSET = 1.6e4
# Whole numbers up to here are float32 numbers; beyond, even neighbours of a few may become one.
_EXACT, _LARGE_WHOLE = 2**24, 16
_SAMPLE = 4096  # pixels that the offset and the spread are estimated from


class Numbers(NamedTuple):
    """An image as floating numbers.

    Attributes
    ----------
    values : (H, W) float32 or float64 array
        The image less the offset; not finite where it was not.
    valid : (H, W) bool array or None
        Which pixels are data: finite and not masked; None where all are.
    offset : float
        What was subtracted, 0 unless the pixels would lose digits as float32.
    """

    values: Array
    valid: Array | None
    offset: float


def as_numbers(image: Any, stage: str, mask: Any = None) -> Numbers:
    """Check an image and return it as floating numbers, with the pixels that are data.

    A large offset is subtracted in the integers or float64 numbers of the image, before anything is float32.

    Parameters
    ----------
    image : (H, W) array_like
        Of any library, see `motifgpu.core.given`; masked arrays keep their mask.
    stage : str
        The stage that asks, for messages.
    mask : (H, W) array_like of bool, optional
        True on the pixels that are data.

    Raises
    ------
    StageError
        If the image is not a two-dimensional array of real numbers, or the mask is not of its shape or not
        boolean.
    """
    masked = None
    image = taken(image, stage, "the image")
    if isinstance(image, np.ma.MaskedArray):
        masked = ~np.ma.getmaskarray(image)
        image = image.data
    xp, values = check_array(image, stage, "the image", 2, finite=False)
    if values.shape[0] == 0:
        raise StageError(stage, f"the image has shape {values.shape}", "give an image that is not empty")
    finite = xp.isfinite(values)
    parts = [] if bool(xp.all(finite)) else [finite]
    if masked is not None and not masked.all():
        parts.append(namespace.from_numpy(masked, values))
    if mask is not None:
        parts.append(checked_mask(mask, values, stage))
    valid = None
    for part in parts:
        valid = part if valid is None else valid & part
    offset = 0.0
    if array_api_compat.is_array_api_obj(image) and image.dtype != xp.float32:
        offset = _offset(image, valid)
        if offset:
            values = _less(image, offset, values)
    return Numbers(values, valid, offset)


def checked_mask(mask: Any, like: Array, stage: str) -> Array:
    """Return a mask (H, W) on the device of an image, after a check of its shape and type."""
    host = np.asarray(namespace.to_numpy(mask))
    if host.shape != tuple(like.shape):
        raise StageError(
            stage,
            f"the mask has shape {host.shape} and the image {tuple(like.shape)}",
            "give a mask of the shape of the image",
        )
    if host.dtype != bool:
        if not np.isin(host, (0, 1)).all():
            raise StageError(
                stage, f"the mask has dtype {host.dtype} and other values than 0 and 1", "give booleans"
            )
        host = host.astype(bool)
    return namespace.from_numpy(host, like)


def sample(x: Array, valid: Array | None, most: int = _SAMPLE) -> np.ndarray:
    """Return up to about `most` pixels of an image (H, W), evenly spread, of data, on the host."""
    step = max(1, math.ceil(math.sqrt(math.prod(x.shape) / most)))
    if step % 2 == 0:
        step += 1  # patterns of the detector repeat every 2, 4, ... pixels
    some = namespace.to_numpy(x[::step, ::step]).reshape(-1)
    if valid is not None:
        seen = namespace.to_numpy(valid[::step, ::step]).reshape(-1)
        if not seen.any():  # little is data, or none
            some, seen = (namespace.to_numpy(a).reshape(-1) for a in (x, valid))
        some = some[seen]
    return some


def _offset(image: Array, valid: Array | None) -> float:
    """Return what is to be subtracted before an image is float32."""
    some = sample(image, valid)
    if some.dtype.kind not in "iuf" or not some.size:
        return 0.0
    middle = np.sort(some)[some.size // 2]
    whole = some.dtype.kind in "iu"
    if whole and abs(int(middle)) < _EXACT:
        return 0.0
    apart = np.where(some > middle, some - middle, middle - some).astype(np.float64)
    spread = float(np.median(apart)) or float(apart.mean())
    if abs(float(middle)) <= (_LARGE_WHOLE if whole else _LARGE_OFFSET) * spread:
        return 0.0
    offset = float(middle)
    beyond = whole and int(offset) > np.iinfo(some.dtype).max  # rounded up
    return float(np.nextafter(offset, 0)) if beyond else offset


def _less(image: Array, offset: float, values: Array) -> Array:
    """Return an image less an offset, exact in whole numbers, in the dtype of `values`."""
    xp = namespace.array_namespace(values)
    if xp.isdtype(image.dtype, "real floating"):
        return values - offset
    whole = int(offset)
    if xp.isdtype(image.dtype, "unsigned integer"):
        # Differences of unsigned numbers are taken to either side, as they do not go below zero.
        level = xp.asarray(whole, dtype=image.dtype, device=namespace.device(image))
        above, below = (xp.where(image > level, image, level), xp.where(image > level, level, image))
        size = xp.astype(above - below, values.dtype)
        return xp.where(image > level, size, -size)
    return xp.astype(xp.astype(image, xp.int64) - whole, values.dtype)
