"""Arrays of npy files and of zip archives of them: what a header promises is checked before it is read."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy


class Header(NamedTuple):
    """What an npy file says of its array."""

    shape: tuple[int, ...]
    dtype: np.dtype
    by_columns: bool  # the first axis is the fastest

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of the image or the stack of images: without axes of length 1 beside theirs."""
        shape = [length for length in self.shape if length != 1]
        return tuple(shape) if len(self.shape) > 2 and len(shape) in (2, 3) else self.shape

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes]) -> Header:
    """Read the header of an npy file and leave the stream where the values begin.

    Raises
    ------
    ValueError
        If it is none, or holds pickled objects, which can run code.
    """
    version = npy.read_magic(stream)
    # Version 3 is 2 with names of fields in UTF-8; an image has none.
    read = {1: npy.read_array_header_1_0, 2: npy.read_array_header_2_0, 3: npy.read_array_header_2_0}
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"it is an npy file of version {version}, which is not known")
    shape, by_columns, dtype = read[version[0]](stream)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects (allow_pickle), which are not loaded: they can run code")
    return Header(shape, dtype, by_columns)


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Read an array of an archive.

    Raises
    ------
    ValueError
        If its header announces another number of bytes than the member has.
    """
    with archive.open(member) as stream:
        header = read_header(stream)
        held = member.file_size - stream.tell()
    if min(header.shape, default=0) < 0 or header.nbytes != held:
        text = " x ".join(map(str, header.shape))
        raise ValueError(f"its header announces {text} values of {header.dtype}, and it has {held} bytes")
    with archive.open(member) as stream:
        return npy.read_array(stream, allow_pickle=False)


@contextmanager
def opened_own(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open an archive of our own, whose members are stored as they are.

    Raises
    ------
    ValueError
        If its members are together larger than the file, as those that are compressed are.
    """
    with zipfile.ZipFile(file) as archive:
        size = os.fstat(file.fileno()).st_size
        expanded = sum(member.file_size for member in archive.infolist())
        if expanded > size:
            raise ValueError(
                f"it would expand to {expanded} bytes, and no more than its own {size} are read: motifgpu "
                "writes such files without compression"
            )
        yield archive
