"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of `path` when all of it is on the disk.

    It is written under a temporary name in the same folder, flushed to the disk, and renamed. Whoever reads
    `path` meanwhile sees the file that was there before, or none.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    binary file

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; what was there before is untouched then, as it is
        when the block raises.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # the new name is on the disk only when the folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file in UTF-8, whole or not at all.

    Parameters
    ----------
    path : path-like
    text : str

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; a file that was there before is untouched.
    """
    with replacing(path) as file:
        file.write(text.encode())
    return Path(path)
