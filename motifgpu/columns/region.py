"""A part of a micrograph: a box, a polygon or a mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array


def region_mask(region: Any, like: Array, stage: str) -> Array:
    """Return which pixels are in a region: (H, W) bool, on the device of an image.

    Parameters
    ----------
    region : (int, int, int, int), (k, 2) array_like or (H, W) array_like of bool
        Box of the rows from the first to before the second number and the columns from the third to before
        the fourth; corners (row, col) of a polygon, at least three; or True on the pixels.
    like : (H, W) array
        The image.
    stage : str
        The stage that asks, for messages.

    Raises
    ------
    StageError
        If it is none of these, or holds no pixel.
    """
    from skimage.draw import polygon2mask

    shape = (int(like.shape[0]), int(like.shape[1]))
    host = np.asarray(namespace.to_numpy(region) if hasattr(region, "shape") else region)
    if host.shape == (4,) and host.dtype.kind in "iu":
        first_row, last_row, first_col, last_col = (int(value) for value in host)
        found = np.zeros(shape, bool)
        if min(host) >= 0:
            found[first_row:last_row, first_col:last_col] = True
    elif host.ndim == 2 and host.shape[1] == 2 and len(host) >= 3 and host.dtype.kind in "iuf":
        found = polygon2mask(shape, host)
    elif host.shape == shape and host.dtype == bool:
        found = host
    else:
        raise StageError(
            stage,
            f"the region has shape {host.shape} and dtype {host.dtype}",
            "give (first row, last row, first column, last column), the corners (row, col) of a polygon, or "
            "booleans of the shape of the image",
        )
    if not found.any():
        raise StageError(
            stage, f"the region {region} holds no pixel of the image of {shape} px", "give another one"
        )
    return namespace.from_numpy(found, like)
