"""NumPy's npy and npz; pickled objects, which can run code, are never loaded."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from motifgpu.core.npy import Header, read_header, read_member
from motifgpu.io.formats.pages import Contents, refusal
from motifgpu.io.formats.units import nanometres, square

_PIXEL_SIZE = "pixel_size_nm"
_AT_ONCE = 2**22  # bytes that are skipped at once


def contents(path: Path, opened: ExitStack, name: str) -> Contents:
    """Return the arrays of an npy or npz file; (n, H, W) is n images.

    Axes of length 1 beside those of an image or a stack are left out. In an archive an array named ``image``
    is the image; `pixel_size_nm`, one number or those of rows and columns, goes with every image.
    """
    if zipfile.is_zipfile(path):
        return _archive(opened.enter_context(zipfile.ZipFile(path)), path.stat().st_size)
    found = Contents()
    with open(path, "rb") as stream:
        header = read_header(stream)
        held = path.stat().st_size - stream.tell()
    why = refusal(header.image_shape, header.dtype)
    if why:
        found.refuse(name, why)
        return found
    if header.nbytes > held:
        raise ValueError(f"its header announces {header.shape} values, more than its {held} bytes can hold")
    _add(found, name, header, None, _pages(header, lambda: npy.open_memmap(path, mode="r")), held)
    return found


def _archive(archive: zipfile.ZipFile, file_bytes: int) -> Contents:
    found = Contents()
    arrays: dict[str, tuple[zipfile.ZipInfo, Header]] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename:
            continue
        try:
            with archive.open(member) as stream:
                arrays[name] = (member, read_header(stream))
        except Exception as error:  # one damaged array leaves the others
            found.refuse(name, f"{type(error).__name__}: {error}")
    size = None
    if _PIXEL_SIZE in arrays:
        member, header = arrays.pop(_PIXEL_SIZE)
        # One number for both sides, or those of rows and columns.
        if math.prod(header.shape) in (1, 2) and header.dtype.kind in "iuf":
            sides = read_member(archive, member).ravel()
            size = square(nanometres(sides[0], "nm"), nanometres(sides[-1], "nm"))
    if "image" in arrays:  # an archive that holds an image beside other arrays says which is the image
        arrays = {"image": arrays["image"]}
    for name, (member, header) in arrays.items():
        shape = header.image_shape
        why = refusal(shape, header.dtype)
        if why or 1 in shape[-2:]:
            found.refuse(name, why or f"it has shape {header.shape}: a line and no image")
            continue
        stored = min(member.compress_size, file_bytes)
        load = _pages(header, partial(read_member, archive, member))
        if len(shape) == 3 and not header.by_columns:
            load = _Stack(archive, member, header).page
        _add(found, name, header, size, load, stored, alone=len(arrays) == 1)
    return found


class _Stack:
    """The pages of a stack in an archive, of which no more than one is in memory."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: Header) -> None:
        self._archive, self._member, self._header = archive, member, header
        self._stream: IO[bytes] | None = None
        self._next = 0  # page where the stream stands
        self._sound = False

    def page(self, index: int) -> np.ndarray:
        """Return a page; in their order each is expanded once."""
        if not self._sound:
            with self._archive.open(self._member) as stream:
                while stream.read(_AT_ONCE):  # at the end its checksum is compared
                    pass
            self._sound = True
        if self._stream is None or index < self._next:
            self._stream, self._next = self._archive.open(self._member), 0
            read_header(self._stream)
        shape = self._header.image_shape
        each = self._header.nbytes // shape[0]
        left = (index - self._next) * each
        while left and (skipped := len(self._stream.read(min(left, _AT_ONCE)))):
            left -= skipped
        values = self._stream.read(each)
        self._next = index + 1
        return np.frombuffer(values, self._header.dtype).reshape(shape[1:])


def _pages(header: Header, load: Callable[[], np.ndarray]) -> Callable[[int], np.ndarray]:
    """Return the reader of one page from that of the whole array."""
    whole = cache(lambda: load().reshape(header.image_shape))
    return lambda index: whole()[index] if len(header.image_shape) == 3 else whole()


def _add(
    found: Contents,
    name: str,
    header: Header,
    pixel_size_nm: float | None,
    load: Callable[[int], np.ndarray],
    file_bytes: int,
    *,
    alone: bool = True,
) -> None:
    found.add(
        name,
        header.image_shape,
        pixel_size_nm,
        load,
        alone=alone,
        itemsize=header.dtype.itemsize,
        file_bytes=file_bytes,
    )
