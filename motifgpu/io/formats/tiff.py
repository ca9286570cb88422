"""TIFF, with the stacks and the calibrations that OME, ImageJ and DigitalMicrograph write into it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.io.formats.pages import Contents, grey, refusal
from motifgpu.io.formats.tiff_calibration import pixel_sizes


def contents(path: Path, opened: ExitStack) -> Contents:
    """Return the images of a TIFF file; times, depths and channels that it names become pages."""
    import tifffile

    # Other files that an OME header may name are not opened.
    file = opened.enter_context(tifffile.TiffFile(path, _multifile=False))
    sizes = pixel_sizes(file.pages.first)
    series = file.series
    if len(sizes) != len(series):  # one calibration for all, unless the file gives several
        sizes = [sizes[0] if len(set(sizes)) == 1 else None] * len(series)
    found = Contents()
    for number, part in enumerate(series):
        title = path.stem if len(series) == 1 else part.name or str(number)
        why = _refusal(part)
        if why:
            found.refused[found.unused(title)] = why
            continue
        image = tuple(part.shape[part.axes.index(axis)] for axis in "YX")
        colours = part.shape[part.axes.index("S")] if "S" in part.axes else 1
        pages = math.prod(part.shape) // max(1, colours * math.prod(image))
        found.add(
            title,
            image if pages == 1 else (pages, *image),
            sizes[number],
            _loader(part, image, pages, colours),
            alone=len(series) == 1,
            itemsize=part.dtype.itemsize * colours,
            file_bytes=path.stat().st_size,
        )
    return found


def _refusal(part: Any) -> str:
    if part.dtype is None or any(part.axes.count(axis) != 1 for axis in "YX"):
        return f"it has axes {part.axes} and values {part.dtype}: no image"
    stacked = [
        axis for axis, length in zip(part.axes, part.shape, strict=True) if length > 1 and axis not in "YXS"
    ]
    # Two axes that nobody named may be the scan of 4D-STEM data.
    return refusal(part.shape if "Q" in stacked and len(stacked) > 1 else (8, 8), part.dtype)


def _loader(part: Any, image: tuple[int, ...], pages: int, colours: int) -> Callable[[int], np.ndarray]:
    whole = cache(lambda: part.asarray(maxworkers=1))
    planar = "S" in part.axes and part.axes.index("S") < part.axes.index("Y")

    def load(index: int) -> np.ndarray:
        if len(part.pages) == pages:
            page = part.pages[index]
            if page is None:
                raise ValueError(f"page {index} is missing")
            pixels: np.ndarray = page.asarray(maxworkers=1)
        else:  # one directory for the whole stack
            pixels = whole().reshape(pages, -1)[index]
        if colours == 1:
            return pixels.reshape(image)
        pixels = pixels.reshape((colours, *image) if planar else (*image, colours))
        return grey(np.moveaxis(pixels, 0, -1) if planar else pixels)

    return load
