"""A figure as a file and as the picture of a page, both from one drawing."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from motifgpu.core.choices import FIGURES
from motifgpu.core.errors import StageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

_PAGE_DPI = 100  # of a picture on the page as it is laid out, and of a JPEG's pixels
_SMALL = 160_000  # bytes up to which a page takes the file as it is, which takes no time
_BUSY = 0.25  # bytes per pixel of a PNG, above which the figure is an image rather than a drawing
_COLORS = 256  # of a larger drawing on a page
_QUALITY = 75


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure that was drawn once.

    Attributes
    ----------
    image : PIL.Image.Image
        Its pixels, RGB.
    dpi : float
        Pixels per inch.
    """

    image: Image
    dpi: float

    @property
    def inches(self) -> tuple[float, float]:
        """Width and height of the figure, inches."""
        return self.image.width / self.dpi, self.image.height / self.dpi

    @property
    def page_width(self) -> int:
        """Width on a page that has room for it, px of the page."""
        return round(_PAGE_DPI * self.inches[0])

    @cached_property
    def file(self) -> bytes:
        """The figure as a PNG file, nothing lost."""
        return self._png(self.image)

    def for_page(self) -> tuple[str, bytes]:
        """Return the figure for a page: drawings as PNG with all pixels, images as JPEG, reduced.

        Returns
        -------
        ending : {"png", "jpg"}
            Of a file name.
        data : bytes
        """
        from PIL import Image

        if len(self.file) > _BUSY * self.image.width * self.image.height:
            reduced, data = self.image, io.BytesIO()
            if self.dpi > _PAGE_DPI:
                size = self.page_width, max(1, round(_PAGE_DPI * self.inches[1]))
                reduced = self.image.resize(size, Image.Resampling.LANCZOS)
            reduced.save(data, "JPEG", quality=_QUALITY, optimize=True)
            return "jpg", data.getvalue()
        if len(self.file) <= _SMALL:
            return "png", self.file
        return "png", self._png(self.image.quantize(_COLORS, dither=Image.Dither.NONE))

    def _png(self, image: Image) -> bytes:
        data = io.BytesIO()
        image.save(data, "PNG", compress_type=zlib.Z_RLE, dpi=(self.dpi, self.dpi))
        return data.getvalue()


def save_figures(
    figures: Mapping[str, Figure], pictures: Mapping[str, Picture], folder: Path, kind: str
) -> list[Path]:
    """Write figures into a folder, which is made.

    Parameters
    ----------
    figures : mapping of str to matplotlib.figure.Figure
        By the names of their files.
    pictures : mapping of str to Picture
        The same, drawn.
    folder : Path
    kind : str
        One of `motifgpu.core.choices.FIGURES`; ``"none"`` writes nothing.

    Returns
    -------
    list of Path
        Equal figures give equal files.

    Raises
    ------
    StageError
        If there is no such format.
    OSError
        If the folder cannot be written.
    """
    if kind not in FIGURES:
        raise StageError("report", f"figures is {kind!r}", f"choose from {', '.join(FIGURES)}")
    if kind == "none":
        return []
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{name}.{kind}" for name in figures]
    for path, (name, figure) in zip(written, figures.items(), strict=True):
        if kind == "png":
            path.write_bytes(pictures[name].file)
        else:
            undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
            with matplotlib.rc_context({"svg.hashsalt": "motifgpu"}):
                figure.savefig(path, format=kind, metadata=undated)
    return written


def draw(figure: Figure) -> Picture:
    """Draw a figure, once for its file and its place on a page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn at its own resolution.

    Returns
    -------
    Picture
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Picture(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"), figure.dpi)
