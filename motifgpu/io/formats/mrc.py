"""MRC, by the standard of 2014 and what IMOD adds to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.io.formats.pages import Contents, refusal
from motifgpu.io.formats.units import nanometres, square

_HEADER = 1024  # bytes
_SIGNED_BYTES, _NIBBLES = 0, 101  # modes
_TYPES = {0: "i1", 1: "i2", 2: "f4", 3: "V4", 4: "c8", 6: "u2", 12: "f2", 16: "V3", _NIBBLES: "u1"}
_COMPLEX_WHOLE = 3  # two whole numbers of 16 bits, for which NumPy has no type
_LITTLE, _BIG = (0x44, 0x41), (0x11,)  # machine stamps
_IMOD = 1146047817  # IMOD's stamp
_UNKNOWN = 1.0  # Å, what programs state that know no size of a pixel


def contents(path: Path, opened: ExitStack, name: str) -> Contents:
    """Return the sections of an MRC file as images, mapped from the disk."""
    with open(path, "rb") as file:
        head = file.read(_HEADER)
    if len(head) < _HEADER:
        raise ValueError("its header is cut off")
    order = _byte_order(head)

    def whole(word: int, number: int = 1) -> tuple[int, ...]:
        return tuple(np.frombuffer(head, f"{order}i4", number, 4 * word).tolist())

    width, height, pages = whole(0, 3)
    (mode,), (extended,) = whole(3), whole(23)
    if mode not in _TYPES:
        raise ValueError(f"its header announces pixels of mode {mode}, which is none of MRC's")
    row = (width + 1) // 2 if mode == _NIBBLES else width
    kind = np.dtype(order + _TYPES[mode])
    start = _HEADER + extended
    needed = start + row * height * pages * kind.itemsize
    if min(width, height, pages) < 1 or extended < 0 or needed > path.stat().st_size:
        raise ValueError(f"its header announces {pages} x {height} x {width} px, which it does not hold")
    found = Contents()
    why = _refusal(mode, kind) or _axes_refusal(whole(16, 3))
    if why:
        found.refuse(name, why)
        return found
    if mode == _SIGNED_BYTES and _without_sign(head, order):
        kind = np.dtype("u1")
    turned = whole(16, 3)[:2] == (2, 1)  # y runs along the rows
    values = np.memmap(path, kind, "r", start, (pages, height, row))
    image = (width, height) if turned else (height, width)
    found.add(
        name,
        image if pages == 1 else (pages, *image),
        _pixel_size(head, order),
        _loader(values, width, mode, turned),
        alone=True,
        itemsize=kind.itemsize,
        file_bytes=path.stat().st_size,
    )
    return found


def _byte_order(head: bytes) -> str:
    stamp = head[212]
    if stamp in _LITTLE or stamp in _BIG:
        return "<" if stamp in _LITTLE else ">"
    # A file from before stamps: read the other way, its columns are millions.
    return "<" if int.from_bytes(head[:4], "little") < int.from_bytes(head[:4], "big") else ">"


def _refusal(mode: int, kind: np.dtype) -> str:
    if mode == _COMPLEX_WHOLE:
        kind = np.dtype(np.complex64)
    if kind.kind == "V":
        return "its pixels are red, green and blue; save the detector's signal as a grey image"
    return refusal((8, 8), kind)


def _axes_refusal(axes: tuple[int, ...]) -> str:
    if axes == (0, 0, 0) or sorted(axes[:2]) == [1, 2]:
        return ""
    return f"its columns, rows and sections are axes {axes}: its sections are no planes of x and y"


def _without_sign(head: bytes, order: str) -> bool:
    """Say whether bytes have no sign, as IMOD says by its flags, and other programs by the largest value."""
    stamp, flags = np.frombuffer(head, f"{order}i4", 2, 152).tolist()
    if stamp == _IMOD:
        return not flags & 1
    lowest, highest = np.frombuffer(head, f"{order}f4", 2, 76).tolist()
    return bool(0 <= lowest <= highest and 127 < highest <= 255)


def _pixel_size(head: bytes, order: str) -> float | None:
    """Return the side of a pixel in nm, from the sides of the cell in Å and its samples along x and y."""
    samples = np.frombuffer(head, f"{order}i4", 2, 28).tolist()
    cell = np.frombuffer(head, f"{order}f4", 2, 40).tolist()
    sides = [side / number if number > 0 else math.nan for side, number in zip(cell, samples, strict=True)]
    size = square(*(nanometres(side, "Å") for side in sides[::-1]))
    return None if size is None or math.isclose(size, 0.1 * _UNKNOWN, rel_tol=1e-5) else size


def _loader(values: Any, width: int, mode: int, turned: bool) -> Callable[[int], np.ndarray]:
    def load(index: int) -> np.ndarray:
        page: np.ndarray = values[index]
        if mode == _NIBBLES:  # the lower four bits come first, and every row begins at a byte
            page = np.stack([page & 15, page >> 4], axis=-1).reshape(len(page), -1)[:, :width]
        return page.T if turned else page

    return load
