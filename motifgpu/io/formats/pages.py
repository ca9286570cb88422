"""An image in a file before its pixels are decoded, and the checks every format shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

LARGEST_IMAGE = 2**28  # px in one image, 16,384 squared: more is a damaged header
LARGEST_STACK = 2**29  # px in all images that are read at once, 2 GiB as float32
_STRONGEST_COMPRESSION = 1100  # deflate cannot do better than 1,032 to 1
_SMALL = 2**20  # bytes, never refused


@dataclass(frozen=True)
class Page:
    """One image of a file.

    Attributes
    ----------
    title : str
        Its name, unique in the file.
    shape : (int, int)
        Rows and columns, px.
    pixel_size_nm : float or None
        Side of a pixel; None where the file does not state it with a unit.
    load : callable
        Decodes and returns the (H, W) pixels.
    """

    title: str
    shape: tuple[int, int]
    pixel_size_nm: float | None
    load: Callable[[], np.ndarray]


@dataclass
class Contents:
    """What a file holds: images, and by name why something in it is none.

    Attributes
    ----------
    pages : list of Page
    refused : dict of str to str
        What is no micrograph: a spectrum image, a complex Fourier transform, a colour picture.
    """

    pages: list[Page] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def unused(self, title: str) -> str:
        """Return the title, with a number behind it where the file has used it already."""
        taken = {page.title for page in self.pages} | self.refused.keys()
        if title not in taken:
            return title
        return next(name for n in range(1, len(taken) + 2) if (name := f"{title} ({n})") not in taken)

    def add(
        self,
        title: str,
        shape: Sequence[int],
        pixel_size_nm: float | None,
        load: Callable[[int], np.ndarray],
        *,
        alone: bool,
        itemsize: int,
        file_bytes: int,
    ) -> None:
        """Add an image, or the images of a stack as one page each.

        Parameters
        ----------
        title : str
            Name of the image or the stack.
        shape : (H, W) or (n, H, W)
        pixel_size_nm : float or None
        load : callable
            Takes the number of the page in the stack and returns its pixels.
        alone : bool
            Whether the file holds nothing else: the pages of a stack are then named by their number alone.
        itemsize, file_bytes : int
            Bytes a pixel has, and bytes the file has to hold them.

        Raises
        ------
        ValueError
            If the shape is more than the file can hold.
        """
        check_size(shape, itemsize, file_bytes)
        title = self.unused(title)
        height, width = int(shape[-2]), int(shape[-1])
        if len(shape) == 2:
            self.pages.append(Page(title, (height, width), pixel_size_nm, lambda: load(0)))
            return
        for index in range(int(shape[0])):
            name = str(index) if alone else f"{title}[{index}]"
            self.pages.append(Page(name, (height, width), pixel_size_nm, _nth(load, index)))


def _nth(load: Callable[[int], np.ndarray], index: int) -> Callable[[], np.ndarray]:
    return lambda: load(index)


def check_size(shape: Sequence[int], itemsize: int, file_bytes: int) -> None:
    """Refuse a header that announces more pixels than the file can hold, before they are allocated.

    Raises
    ------
    ValueError
        If a side is not positive, an image has more than `LARGEST_IMAGE` pixels, or all of it could not have
        been compressed to the size of the file.
    """
    sides = [int(side) for side in shape]
    text = " x ".join(map(str, sides))
    if any(side < 1 for side in sides):
        raise ValueError(f"its header announces an image of {text} px")
    if sides[-1] * sides[-2] > LARGEST_IMAGE:
        raise ValueError(f"its header announces {text} px, more than the {LARGEST_IMAGE} that are read")
    pixels = 1
    for side in sides:
        pixels *= side
    if not could_hold(file_bytes, pixels * itemsize):
        raise ValueError(f"its header announces {text} px, more than its {file_bytes} bytes can hold")


def could_hold(stored: int, announced: int) -> bool:
    """Say whether so many stored bytes may expand to what is announced, be they ever so well compressed."""
    return announced <= max(_SMALL, stored * _STRONGEST_COMPRESSION)


def refusal(shape: Sequence[int], dtype: np.dtype) -> str:
    """Say why an array is no micrograph and no stack of them; an empty string where it is one."""
    if dtype.kind == "c":
        return f"it is complex (dtype {dtype}), such as a Fourier transform; give its modulus or a real image"
    if dtype.names:
        return "its pixels have several components, such as colours; give the detector's signal"
    if dtype.kind not in "biuf":
        return f"its values are {dtype}, not real numbers"
    if len(shape) not in (2, 3):
        kind = "4D-STEM data or a stack of spectrum images" if len(shape) > 3 else "a spectrum or a line"
        return f"it has shape {tuple(shape)}: {kind} and no image; make an image of it first"
    if len(shape) == 3 and shape[-1] <= 4:
        return f"it has shape {tuple(shape)}: colours or channels; give one of them as an image"
    return ""


def grey(pixels: np.ndarray, tolerance: int = 0) -> np.ndarray:
    """Take one channel of a picture whose colour channels are equal; refuse a coloured one.

    Parameters
    ----------
    pixels : (H, W) or (H, W, c) array
        c is 2 (grey, alpha), 3 or 4 (red, green, blue, alpha).
    tolerance : int
        By how much channels may differ after lossy compression.
    """
    if pixels.ndim != 3:
        return pixels
    channels = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., :1]
    if int(np.ptp(channels, axis=-1).max()) > tolerance:
        raise ValueError("it is a colour picture; save the detector's signal as a grey image")
    return channels[..., 1 if channels.shape[-1] == 3 else 0]
