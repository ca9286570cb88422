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

from motifgpu.core.files import hidden_beside, replacing
from motifgpu.store.layout import write_json


def write_array(path: Path, values: np.ndarray, attributes: dict[str, object]) -> None:
    """Write an array as a Zarr 3 array, which `zarr.open` reads.

    Parameters
    ----------
    path : Path
        Folder of the array. One that is there is complete and of the same key, and is left as it is.
    values : (n, k) float32 ndarray
    attributes : dict
        What JSON can hold.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if path.exists():
        return
    temporary = hidden_beside(path)
    shape = list(values.shape)
    try:
        temporary.mkdir()
        (temporary / "c" / "0").mkdir(parents=True)
        with replacing(temporary / "c" / "0" / "0") as file:
            file.write(np.ascontiguousarray(values, "<f4").tobytes())
        write_json(
            temporary / "zarr.json",
            {
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
            },
        )
        try:
            os.replace(temporary, path)
        except OSError:
            if not path.exists():  # else another process had the same content at the same time
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_array(path: Path) -> np.ndarray:
    """Read what `write_array` wrote, as (n, k) float32, without copying it into memory at once.

    Raises
    ------
    OSError
        If it is not there.
    """
    shape = tuple(json.loads((path / "zarr.json").read_bytes())["shape"])
    if 0 in shape:
        return np.zeros(shape, np.float32)
    return np.memmap(path / "c" / "0" / "0", "<f4", "r", shape=shape)
