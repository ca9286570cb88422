"""Arrays of a Zarr 3 hierarchy, written as one uncompressed chunk each.

The format is plain enough to write by hand, and then a finished array appears in one step, flushed to the
disk, as everything else in the store does.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.files import hidden_beside, replacing
from motifgpu.store.layout import AGAIN, STAGE, checksum, damage, plain_json, read_checked


def write_array(path: Path, values: np.ndarray, attributes: dict[str, object]) -> tuple[str, str]:
    """Write an array as a Zarr 3 array, which `zarr.open` reads.

    Parameters
    ----------
    path : Path
        Folder of the array. One that is there and the same is left as it is.
    values : (n, k) float32 ndarray
    attributes : dict
        What JSON can hold.

    Returns
    -------
    about, data : str
        SHA-256 of ``zarr.json`` and of the data.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    shape = list(values.shape)
    about = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": "float32",
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [max(length, 1) for length in shape]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "fill_value": 0.0,
        "attributes": attributes,
        "dimension_names": ["column", "moment"],
    }
    contents = {
        Path("zarr.json"): plain_json(about).encode(),
        Path("c", "0", "0"): np.ascontiguousarray(values, "<f4").tobytes(),
    }
    sums = {name: checksum(data) for name, data in contents.items()}
    first, second = sums.values()
    if path.exists() and not damage(path, {name.as_posix(): one for name, one in sums.items()}):
        return first, second
    temporary = hidden_beside(path)
    try:
        temporary.mkdir()
        (temporary / "c" / "0").mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            with replacing(temporary / name) as file:
                file.write(data)
        put_in_place(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return first, second


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a folder that is whole to its own name, where there may be a damaged one.

    Raises
    ------
    OSError
        If it cannot be renamed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    try:
        os.replace(temporary, path)
    except OSError:
        if not path.is_dir():  # else another process had the same content at the same time
            raise


def read_array(path: Path, about: str, data: str) -> np.ndarray:
    """Read what `write_array` wrote, as (n, k) float32 that stays on the disk until it is used.

    Parameters
    ----------
    path : Path
        Folder of the array.
    about, data : str
        The checksums that `write_array` returned.

    Raises
    ------
    StageError
        If it is missing, or not as it was written.
    """
    shape = tuple(json.loads(read_checked(path / "zarr.json", about))["shape"])
    pixels = path / "c" / "0" / "0"
    if wrong := damage(path, {"c/0/0": data}):
        raise StageError(STAGE, f"{path}: {wrong[0]}", AGAIN)
    if 0 in shape:
        return np.zeros(shape, np.float32)
    return np.memmap(pixels, "<f4", "r", shape=shape)
