"""Checks on an HDF5 file before a general reader opens it, and its closing after lazy reading."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from motifgpu.io.formats.pages import check_expansion

_reading = threading.RLock()


@contextmanager
def checked(path: Path) -> Iterator[int]:
    """Refuse a file that reaches into others or swells; close it at the end, whoever left it open.

    Yields
    ------
    int
        Bytes of all its datasets, expanded.

    Raises
    ------
    ValueError
        If a link, a dataset's external storage or a virtual dataset names another file, or a dataset
        announces more than its stored bytes can be expanded to.
    """
    import h5py

    with _reading:  # closing must not meet another thread that reads the same file
        with h5py.File(path, "r") as file:
            announced = _check(file)
        before = {handle.id for handle in _open_files(path)}
        try:
            yield announced
        finally:
            for handle in _open_files(path):
                if handle.id not in before:
                    h5py.File(handle).close()


def opens_as(path: Path, kind: Callable[[Any], bool]) -> bool:
    """Say what a function says of an open file, which is closed again."""
    import h5py

    with h5py.File(path, "r") as file:
        return kind(file)


def _open_files(path: Path) -> list[Any]:
    import h5py

    handles = h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)
    return [handle for handle in handles if handle.name == os.fsencode(path)]


def _check(file: Any) -> int:
    import h5py

    announced = 0
    groups, seen = [file], set()
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise ValueError(f"it refers to another file, {link.filename!r}, which is not opened")
            if not isinstance(link, h5py.HardLink):
                continue
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                announced += _check_dataset(item)
    return announced


def _check_dataset(item: Any) -> int:
    if item.external or item.is_virtual:
        raise ValueError(f"its dataset {item.name} keeps its values in another file, which is not opened")
    stored = item.id.get_storage_size()
    announced: int = (item.size or 0) * item.dtype.itemsize
    check_expansion(f"{item.shape} values in {item.name}", stored, announced)
    if item.chunks:  # which are expanded whole
        chunk = math.prod(item.chunks) * item.dtype.itemsize
        check_expansion(f"chunks of {item.chunks} values in {item.name}", stored, chunk)
    return announced
