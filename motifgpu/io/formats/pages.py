"""An image in a file before its pixels are decoded, and the checks every format shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from motifgpu.core.sizes import LARGEST_IMAGE

LARGEST_STACK = 2**29  # px in all images that are read at once, 2 GiB as float32
_STRONGEST_COMPRESSION = 1100  # deflate cannot do better than 1,032 to 1
_SMALL = 2**20  # bytes, never refused
# However well a file is compressed, no more is expanded: micrographs have noise, and shrink a few times.
EXPANDED_ALWAYS = 2 * LARGEST_IMAGE  # bytes, the largest image of 16 bits
EXPANDED_TIMES = 100


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
    _taken: set[str] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)  # last one behind a title

    def refuse(self, title: str, why: str) -> None:
        """Say why something in the file is no micrograph."""
        self.refused[self._unused(title)] = why

    def _unused(self, title: str) -> str:
        """Return the title, with a number behind it where the file has used it already, and take it."""
        name = title
        while name in self._taken:
            self._numbers[title] = self._numbers.get(title, 0) + 1
            name = f"{title} ({self._numbers[title]})"
        self._taken.add(name)
        return name

    def _add_page(self, title: str, shape: tuple[int, int], pixel_size_nm: float | None, load: Any) -> None:
        self._taken.add(title)
        self.pages.append(Page(title, shape, pixel_size_nm, load))

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
            Bytes a pixel has when it is expanded, and bytes the file has to hold them.

        Raises
        ------
        ValueError
            If the shape is more than the file can hold.
        """
        check_size(shape, itemsize, file_bytes)
        title = self._unused(title)
        height, width = int(shape[-2]), int(shape[-1])
        if len(shape) == 2:
            self._add_page(title, (height, width), pixel_size_nm, partial(load, 0))
            return
        for index in range(int(shape[0])):
            name = str(index) if alone else f"{title}[{index}]"
            self._add_page(name, (height, width), pixel_size_nm, partial(load, index))


def check_size(shape: Sequence[int], itemsize: int, file_bytes: int) -> None:
    """Refuse a header that announces more pixels than the file can hold, before they are allocated.

    Raises
    ------
    ValueError
        If a side is not positive, an image has more than `LARGEST_IMAGE` pixels, all of it could not have
        been compressed to the size of the file, or it expands further than `EXPANDED_ALWAYS` and
        `EXPANDED_TIMES` let it.
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
    check_expansion(f"{text} px", file_bytes, pixels * itemsize)


def check_expansion(what: str, stored: int, announced: int) -> None:
    """Refuse what would expand further than it can or may, before memory is taken for it.

    Parameters
    ----------
    what : str
        What is announced, for the message.
    stored, announced : int
        Bytes in the file, and bytes when they are expanded.

    Raises
    ------
    ValueError
        It names the limit.
    """
    if announced > max(_SMALL, stored * _STRONGEST_COMPRESSION):
        raise ValueError(f"its header announces {what}, more than its {stored} bytes can hold")
    most = max(EXPANDED_ALWAYS, stored * EXPANDED_TIMES)
    if announced > most:
        raise ValueError(
            f"its header announces {what}: its {stored} bytes would expand to {announced}, and no more than "
            f"{most} are read, {EXPANDED_ALWAYS} or {EXPANDED_TIMES} times its size; save it uncompressed"
        )


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
    pixels : (H, W, c) array
        c is 1 or 3 (red, green, blue).
    tolerance : int
        By how much channels may differ after lossy compression.

    Raises
    ------
    ValueError
        If the channels differ.
    """
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    lowest, highest = pixels.min(axis=-1), pixels.max(axis=-1)
    if (highest - lowest > tolerance if tolerance else highest != lowest).any():
        raise ValueError("it is a colour picture; save the detector's signal as a grey image")
    return pixels[..., 1]


def opaque(image: np.ndarray, alpha: np.ndarray, *, named: bool = True) -> np.ndarray:
    """Return an image whose transparent pixels are masked.

    Parameters
    ----------
    image : (H, W) array
    alpha : (H, W) array
        0 where nothing is seen, and its largest value where all is.
    named : bool
        Whether the file says that this is what it is.

    Raises
    ------
    ValueError
        If pixels are half transparent, or what the file does not name is no constant.
    """
    most = alpha.max()
    if alpha.min() == most and (most > 0 or not named):
        return image
    if not named:
        raise ValueError("its pixels have a value that it does not name; save the image without")
    if ((alpha > 0) & (alpha < most)).any():
        raise ValueError("some of its pixels are half transparent; save it without transparency")
    return np.ma.array(image, mask=alpha == 0)


def oriented(image: np.ndarray, orientation: int) -> np.ndarray:
    """Return an image whose first row is the top one and whose first column the left one.

    Parameters
    ----------
    image : (rows, columns) array
        As stored.
    orientation : int
        1 to 8, where the first row and column are, as TIFF and Exif number it; another is taken for 1.
    """
    if orientation in (5, 6, 7, 8):
        image = image.T
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image
