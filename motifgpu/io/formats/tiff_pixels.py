"""What the values of a TIFF's pixels mean: photometric interpretation, samples, palette and orientation."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu.io.formats.pages import grey, opaque, oriented

_INTERPRETATION, _ORIENTATION = 262, 274
_WHITE_IS_0, _BLACK_IS_0, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_COLOURS = {_WHITE_IS_0: 1, _BLACK_IS_0: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}  # samples, by interpretation
_JPEG = (6, 7, 33007, 34892)  # compressions that give red, green and blue for YCbCr
_JPEG_NOISE = 4  # of 255, as in JPEG files
_UNSPECIFIED = 0
# Bits of values that stand by themselves; fewer than 16 are packed, the most significant first.
_WHOLE_BYTES, _PACKED = (8, 16, 32, 64), range(1, 17)
_UINT, _VOID = 1, 4


def _meaning(page: Any) -> int:
    """Return the photometric interpretation; without one, zero is black as everywhere else."""
    return int(page.photometric) if _INTERPRETATION in page.tags else _BLACK_IS_0


def unread(page: Any) -> str:
    """Say why the pixels of a page are not read; an empty string where they are."""
    meaning, samples = _meaning(page), page.samplesperpixel
    if meaning not in _COLOURS:
        name = getattr(page.photometric, "name", meaning)
        return f"its photometric interpretation is {name}; save it as a grey image"
    bits, kind = page.bitspersample, page.sampleformat
    if bits not in _WHOLE_BYTES and not (kind in (_UINT, _VOID) and bits in _PACKED):
        return f"its values have {bits} bits of sample format {int(kind)}, which are not read"
    more = samples - _COLOURS[meaning]
    if more not in (0, 1) or (more and meaning == _BLACK_IS_0 and tuple(page.extrasamples) in ((), (0,))):
        return f"its pixels have {samples} values, which it does not name; save each as an image"
    return ""


def image_shape(page: Any, stored: tuple[int, ...]) -> tuple[int, ...]:
    """Return rows and columns of an image that is stored as (rows, columns)."""
    return stored[::-1] if page.tags.valueof(_ORIENTATION, 1) > 4 else stored


def intensities(pixels: np.ndarray, page: Any) -> np.ndarray:
    """Return the intensities (H, W) of a page.

    Parameters
    ----------
    pixels : (rows, columns, samples) array
        As they are stored.
    page : tifffile.TiffPage
        Whose tags say what they mean.

    Raises
    ------
    ValueError
        If they are colours, or half transparent.
    """
    meaning = _meaning(page)
    colours = pixels[..., : _COLOURS[meaning]]
    if meaning == _PALETTE:
        image = _by_palette(colours[..., 0], page)
    elif meaning == _YCBCR and page.compression not in _JPEG:
        image = _of_chroma(colours)
    elif meaning == _YCBCR or page.compression in _JPEG:
        image = grey(colours, _JPEG_NOISE)
    else:
        image = grey(colours)
    if meaning == _WHITE_IS_0:
        image = _inverted(image, page)
    if pixels.shape[-1] > colours.shape[-1]:
        image = opaque(image, pixels[..., -1], named=tuple(page.extrasamples) != (_UNSPECIFIED,))
    return oriented(image, page.tags.valueof(_ORIENTATION, 1))


def _by_palette(index: np.ndarray, page: Any) -> np.ndarray:
    if page.colormap is None:
        raise ValueError("it has a palette that is missing")
    return grey(np.moveaxis(page.colormap, 0, -1)[index.astype(np.intp)])


def _of_chroma(colours: np.ndarray) -> np.ndarray:
    if (colours[..., 1:] != 128).any():
        raise ValueError("it is a colour picture; save the detector's signal as a grey image")
    return colours[..., 0]


def _inverted(image: np.ndarray, page: Any) -> np.ndarray:
    """Turn values of which the smallest is white into intensities."""
    if image.dtype.kind == "u":
        inverted: np.ndarray = np.subtract(2**page.bitspersample - 1, image, dtype=image.dtype)
        return inverted
    return ~image if image.dtype.kind in "bi" else -image
