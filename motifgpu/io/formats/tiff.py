"""TIFF, with the stacks and the calibrations that OME, ImageJ and DigitalMicrograph write into it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.io.formats.pages import Contents, refusal
from motifgpu.io.formats.tiff_calibration import imagej_line, ome_planes, pixel_sizes
from motifgpu.io.formats.tiff_pixels import image_shape, intensities, unread

# Files that say how their directories belong together, as tifffile names them.
_SERIES = (
    *("shaped", "lsm", "mmstack", "ome", "imagej", "ndtiff", "fluoview", "stk", "sis", "svs", "scn", "qpi"),
    *("ndpi", "bif", "avs", "eer", "philips", "scanimage", "nih", "mdgel"),
)
_PLANES_TO_A_DIRECTORY = 1000
# Of NewSubfileType: a reduced copy of another image, and a mask over one.
_REDUCED, _MASK = 1, 4
# Compressions whose decoders of imagecodecs write no more than the header announces; those of pictures within
# the file, such as JPEG, do what their own headers say.
_BOUNDED = (1, 5, 8, 32946, 34925, 50000)


def expands_unbounded(path: Path) -> bool:
    """Say whether the decoder of a page could take more memory than the header of the page announces."""
    import importlib.util

    import tifffile

    known = _BOUNDED if importlib.util.find_spec("imagecodecs") else _BOUNDED[:1]
    with tifffile.TiffFile(path, _multifile=False) as file:
        return any(page.compression not in known for page in _directories(file))


def contents(path: Path, opened: ExitStack, name: str) -> Contents:
    """Return the images of a TIFF file; times, depths and channels that it names become pages."""
    import tifffile

    # Other files that an OME header may name are not opened.
    file = opened.enter_context(tifffile.TiffFile(path, _multifile=False))
    sizes = pixel_sizes(file.pages.first)
    alone = _directories(file)
    if any(getattr(file, f"is_{kind}", False) for kind in _SERIES):
        _check_planes(file, len(alone))
        parts = file.series
        if len(sizes) != len(parts):  # one calibration for all, unless the file gives several
            sizes = [sizes[0] if len(set(sizes)) == 1 else None] * len(parts)
    else:  # every directory speaks for itself
        parts = [tifffile.TiffPageSeries([page], page.shape, page.dtype, page.axes) for page in alone]
        shape, size = file.pages.first.shape, sizes[0]
        sizes = [pixel_sizes(page)[0] or (size if page.shape == shape else None) for page in alone]
    whole = [place for place, part in enumerate(parts) if not part.keyframe.subfiletype & (_REDUCED | _MASK)]
    kept = whole or range(len(parts))  # a preview alone is the image
    line = imagej_line(file.pages.first) if file.is_imagej else None
    found = Contents()
    for number, place in enumerate(kept):
        part = parts[place]
        title = name if len(kept) == 1 else part.name or str(number)
        why = _refusal(part)
        if why:
            found.refuse(title, why)
            continue
        stored = tuple(part.shape[part.axes.index(axis)] for axis in "YX")
        samples = part.shape[part.axes.index("S")] if "S" in part.axes else 1
        pages = math.prod(part.shape) // max(1, samples * math.prod(stored))
        image = image_shape(part.keyframe, stored)
        found.add(
            title,
            image if pages == 1 else (pages, *image),
            sizes[place],
            _loader(part, stored, pages, samples, line),
            alone=len(kept) == 1,
            itemsize=part.dtype.itemsize * samples,
            file_bytes=path.stat().st_size,
        )
    return found


def _directories(file: Any) -> list[Any]:
    """Return the pages of a file with those below them, each with tags of its own.

    Raises
    ------
    ValueError
        If the directories run in a circle.
    """
    file.pages._clear(fully=False)  # as tifffile does itself where pages differ
    file.pages.useframes = False
    found: dict[int, Any] = {}
    for page in file.pages:
        below = [page.pages[place] for place in range(len(page.subifds or ()))]
        for one in (page, *below):
            if one.offset in found:
                raise ValueError("its directories run in a circle")
            found[one.offset] = one
    return [page for page in found.values() if page.shape]


def _check_planes(file: Any, directories: int) -> None:
    """Refuse an OME header that announces planes without end; some may be in other files, and are missing."""
    planes = ome_planes(file.pages.first) if file.is_ome else 0
    if planes > _PLANES_TO_A_DIRECTORY * directories:
        raise ValueError(f"its OME header announces {planes} planes, and it has {directories} directories")


def _refusal(part: Any) -> str:
    if part.dtype is None or any(part.axes.count(axis) != 1 for axis in "YX"):
        return f"it has axes {part.axes} and values {_values(part)}: no image"
    stacked = [
        axis for axis, length in zip(part.axes, part.shape, strict=True) if length > 1 and axis not in "YXS"
    ]
    # Two axes that nobody named may be the scan of 4D-STEM data.
    unnamed = "Q" in stacked and len(stacked) > 1
    return refusal(part.shape if unnamed else (8, 8), part.dtype) or unread(part.keyframe)


def _values(part: Any) -> str:
    page = part.keyframe
    return (
        f"of format {page.sampleformat!s} and {page.bitspersample} bits" if part.dtype is None else part.dtype
    )


def _loader(
    part: Any,
    image: tuple[int, ...],
    pages: int,
    samples: int,
    line: Callable[[np.ndarray], np.ndarray] | None,
) -> Callable[[int], np.ndarray]:
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
        pixels = pixels.reshape((samples, *image) if planar else (*image, samples))
        grey = intensities(np.moveaxis(pixels, 0, -1) if planar else pixels, part.keyframe)
        return grey if line is None else line(grey)

    return load
