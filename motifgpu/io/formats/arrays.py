"""NumPy's npy and npz; pickled objects, which can run code, are never loaded."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from motifgpu.io.formats.pages import Contents, refusal
from motifgpu.io.formats.units import nanometres

_PIXEL_SIZE = "pixel_size_nm"


def contents(path: Path, opened: ExitStack) -> Contents:
    """Return the arrays of an npy or npz file; (n, H, W) is n images.

    In an archive an array named ``image`` is the image; a scalar `pixel_size_nm` goes with every image.
    """
    if zipfile.is_zipfile(path):
        return _archive(opened.enter_context(zipfile.ZipFile(path)))
    found = Contents()
    with open(path, "rb") as stream:
        shape, dtype = _header(stream)
    why = refusal(shape, dtype)
    if why:
        found.refused[path.stem] = why
        return found
    _add(found, path.stem, shape, dtype, None, lambda: npy.open_memmap(path, mode="r"), path.stat().st_size)
    return found


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:  # version 3 exists for names of fields, which no image has
        raise ValueError(f"it is an npy file of version {version}, which holds no plain image")
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects (allow_pickle), which are not loaded: they can run code")
    return shape, dtype


def _archive(archive: zipfile.ZipFile) -> Contents:
    found = Contents()
    arrays: dict[str, tuple[zipfile.ZipInfo, tuple[int, ...], np.dtype]] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename:
            continue
        try:
            with archive.open(member) as stream:
                arrays[name] = (member, *_header(stream))
        except Exception as error:  # one damaged array leaves the others
            found.refused[name] = f"{type(error).__name__}: {error}"
    size = None
    if _PIXEL_SIZE in arrays:
        member, shape, dtype = arrays.pop(_PIXEL_SIZE)
        if shape == () and dtype.kind in "iuf":
            size = nanometres(_load(archive, member)[()], "nm")
    if "image" in arrays:  # an archive that holds an image beside other arrays says which is the image
        arrays = {"image": arrays["image"]}
    for name, (member, shape, dtype) in arrays.items():
        why = refusal(shape, dtype)
        if why or 1 in shape[-2:]:
            found.refused[name] = why or f"it has shape {shape}: a line and no image"
            continue

        load = partial(_load, archive, member)
        _add(found, name, shape, dtype, size, load, member.compress_size, alone=len(arrays) == 1)
    return found


def _load(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        return npy.read_array(stream, allow_pickle=False)


def _add(
    found: Contents,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    pixel_size_nm: float | None,
    load: Callable[[], np.ndarray],
    file_bytes: int,
    *,
    alone: bool = True,
) -> None:
    whole = cache(load)

    def page(index: int) -> np.ndarray:
        return whole()[index] if len(shape) == 3 else whole()

    found.add(name, shape, pixel_size_nm, page, alone=alone, itemsize=dtype.itemsize, file_bytes=file_bytes)
