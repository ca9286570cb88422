"""PNG and JPEG, whose dots per inch say nothing about the specimen."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from motifgpu.io.formats.pages import Contents, grey

_PLAIN = {"P": "RGB", "PA": "RGB", "1": "L", "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}
_JPEG_NOISE = 4  # of 255: rounding in the colour space JPEG stores


def contents(path: Path, opened: ExitStack) -> Contents:
    """Return the picture; only these two decoders are tried, whatever the file claims to be."""
    from PIL import Image

    picture = opened.enter_context(Image.open(path, formats=("PNG", "JPEG")))

    def pixels(_: int) -> np.ndarray:
        picture.load()
        mode = _PLAIN.get(picture.mode)
        decoded = np.asarray(picture.convert(mode) if mode else picture)
        return grey(decoded, _JPEG_NOISE if picture.format == "JPEG" else 0)

    found = Contents()
    width, height = picture.size
    found.add(
        path.stem,
        (height, width),
        None,
        pixels,
        alone=True,
        itemsize=2 if picture.mode.startswith("I") else len(picture.getbands()),
        file_bytes=path.stat().st_size,
    )
    return found
