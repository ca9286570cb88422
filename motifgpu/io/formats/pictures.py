"""PNG and JPEG, whose dots per inch say nothing about the specimen."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.io.formats.pages import Contents, check_size, grey, opaque, oriented
from motifgpu.io.formats.units import nanometres, square

_PLAIN = {"1": "L", "P": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB"}
_JPEG_NOISE = 4  # of 255: rounding in the colour space JPEG stores
_ORIENTATION = 0x0112  # of Exif
_METRE, _LONGEST_SCALE = b"\x01", 100  # of sCAL: its unit, and bytes
_PNG, _DEPTH, _KIND = b"\x89PNG\r\n\x1a\n", 24, 25  # where a PNG has its bits and its kind of colour
_OF_16_BITS = (
    "it has 16 bits and colours or transparency, of which half would be lost; save it as a grey image"
)


def contents(path: Path, opened: ExitStack, name: str) -> Contents:
    """Return the picture; only these two decoders are tried, whatever the file claims to be."""
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    with open(path, "rb") as file:
        head = file.read(_KIND + 1)
    # Not by Image.open, which refuses pictures that are large.
    decoder = PngImageFile if head.startswith(_PNG) else JpegImageFile
    try:
        picture = opened.enter_context(decoder(path))
    except SyntaxError as error:
        raise ValueError(f"it is no PNG or JPEG that can be decoded ({error})") from error
    found = Contents()
    if decoder is PngImageFile and head[_DEPTH] == 16 and head[_KIND]:
        found.refuse(name, _OF_16_BITS)
        return found
    if (frames := getattr(picture, "n_frames", 1)) > 1 and decoder is PngImageFile:
        found.refuse(name, f"it is an animation of {frames} frames; save each as an image")
        return found
    width, height = picture.size
    itemsize = 2 if picture.mode.startswith("I") else len(picture.getbands())
    check_size((height, width), itemsize, path.stat().st_size)  # before Exif is looked for among the pixels
    orientation = picture.getexif().get(_ORIENTATION, 1)
    found.add(
        name,
        (width, height) if orientation in (5, 6, 7, 8) else (height, width),
        _pixel_size(path) if decoder is PngImageFile else None,
        lambda _: oriented(_pixels(picture, head[_DEPTH]), orientation),
        alone=True,
        itemsize=itemsize,
        file_bytes=path.stat().st_size,
    )
    return found


def _pixels(picture: Any, bits: int) -> np.ndarray:
    """Return the intensities of a picture, transparent pixels masked; `bits` are those of a PNG's pixels."""
    picture.load()
    clear = picture.info.get("transparency")
    mode = _PLAIN.get(picture.mode)
    if picture.mode == "P" and clear is not None:
        mode = "RGBA"
    values = np.asarray(picture.convert(mode) if mode else picture)
    if values.ndim == 2:
        return values if clear is None else np.ma.array(values, mask=values == _shown(clear, bits))
    tolerance = _JPEG_NOISE if picture.format == "JPEG" else 0
    bands = values.shape[-1]
    image = grey(values[..., : bands - 1 + bands % 2], tolerance)
    if bands % 2 == 0:
        return opaque(image, values[..., -1])
    return image if clear is None else np.ma.array(image, mask=(values == clear).all(axis=-1))


def _pixel_size(path: Path) -> float | None:
    """Return the side of a pixel in nm from the chunk sCAL, in metres along x and y as text.

    Dots per metre, in pHYs, say how a picture is to be printed.
    """
    with open(path, "rb") as file:
        file.seek(len(_PNG))
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IDAT":
                break
            if kind == b"sCAL" and length < _LONGEST_SCALE:
                unit, text = file.read(1), file.read(length - 1)
                sides = [nanometres(side, "m") for side in text.split(b"\0")]
                return square(*sides[::-1]) if unit == _METRE and len(sides) == 2 else None
            file.seek(length + 4, 1)
    return None


def _shown(value: int, bits: int) -> int:
    """Return the grey value that is transparent as the decoder gives it, which spreads few bits over 8."""
    return value if bits >= 8 else value * 255 // (2**bits - 1)
