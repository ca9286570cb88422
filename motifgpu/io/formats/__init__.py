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
    ".mrc": "mrc",
    **dict.fromkeys((".dm3", ".dm4", ".emd", ".ser", ".hspy", ".nxs"), "rosettasciio"),
}
SUFFIXES = tuple(_HOME)


def can_hang(path: Path) -> bool:
    """Say whether the reader of a file can hang, crash its process, or swell beyond what is announced."""
    home = _HOME.get(path.suffix.lower())
    if home == "tiff":
        try:
            return bool(_module(path).expands_unbounded(path))
        except Exception:  # reading will say what is wrong
            return False
    return home == "rosettasciio"


def contents(path: Path, opened: ExitStack, name: str) -> Contents:
    """Return the images in a file without decoding their pixels.

    Parameters
    ----------
    path : Path
        A file whose suffix is one of `SUFFIXES`, in capitals or not.
    opened : ExitStack
        Keeps what the pages read from open until the caller has loaded what it wants.
    name : str
        What an image is called of which the file says nothing: the stem of the file.

    Returns
    -------
    Contents

    Raises
    ------
    Exception
        Whatever the reader of the format raises; `motifgpu.read` makes one kind of it.
    """
    found: Contents = _module(path).contents(path, opened, name)
    return found


def announced(path: Path) -> list[tuple[int, int]]:
    """Return rows and columns of the images in a file, as its header says them; nothing where it does not.

    Parameters
    ----------
    path : Path
        Of any suffix.
    """
    if path.suffix.lower() not in _HOME or can_hang(path):
        return []
    try:
        with ExitStack() as opened:
            return [page.shape for page in contents(path, opened, path.stem).pages]
    except Exception:  # reading will say what is wrong
        return []


def prepare(path: Path) -> None:
    """Import what files of this format need, which can take longer than reading one."""
    if _HOME.get(path.suffix.lower()) == "rosettasciio":
        _module(path).reader(path.suffix.lower())


def _module(path: Path) -> ModuleType:
    return importlib.import_module(f"motifgpu.io.formats.{_HOME[path.suffix.lower()]}")
