"""What microscopes write: one module per family of formats, each giving the images of a file as `Page`s."""

from __future__ import annotations

import importlib
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

from motifgpu.io.formats.pages import Contents

_HOME = {
    ".npy": "arrays",
    ".npz": "arrays",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "pictures",
    ".jpg": "pictures",
    ".jpeg": "pictures",
    **dict.fromkeys((".dm3", ".dm4", ".emd", ".ser", ".mrc", ".hspy", ".nxs"), "rosettasciio"),
}
SUFFIXES = tuple(_HOME)


def can_hang(path: Path) -> bool:
    """Say whether a damaged file of this format can make its reader hang or crash the process."""
    return _HOME.get(path.suffix.lower()) == "rosettasciio"


def contents(path: Path, opened: ExitStack) -> Contents:
    """Return the images in a file without decoding their pixels.

    Parameters
    ----------
    path : Path
        A file whose suffix is one of `SUFFIXES`, in capitals or not.
    opened : ExitStack
        Keeps what the pages read from open until the caller has loaded what it wants.

    Returns
    -------
    Contents

    Raises
    ------
    Exception
        Whatever the reader of the format raises; `motifgpu.read` makes one kind of it.
    """
    found: Contents = _module(path).contents(path, opened)
    return found


def prepare(path: Path) -> None:
    """Import what files of this format need, which can take longer than reading one."""
    if can_hang(path):
        _module(path).reader(path.suffix.lower())


def _module(path: Path) -> ModuleType:
    return importlib.import_module(f"motifgpu.io.formats.{_HOME[path.suffix.lower()]}")
