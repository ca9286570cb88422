"""One good file of every format and variant that `read` takes, for tests that damage them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from . import file_writers as writers

PICTURE = np.random.default_rng(0).integers(0, 60000, (24, 31)).astype(np.uint16)
STACK = np.stack([PICTURE, PICTURE + 1, PICTURE + 2])
_OME = {"axes": "ZYX"} | {f"PhysicalSize{axis}": 0.02 for axis in "XY"}
_OME |= {f"PhysicalSize{axis}Unit": "nm" for axis in "XY"}
_BYTES = (PICTURE >> 8).astype(np.uint8)

# Read by packages that the library always has, in the process that asks.
PLAIN: dict[str, Callable[[Path], object]] = {
    "plain.npy": lambda path: np.save(path, PICTURE),
    "stack.npy": lambda path: np.save(path, STACK),
    "plain.npz": lambda path: np.savez(path, image=PICTURE, pixel_size_nm=0.02),
    "deflated.npz": lambda path: np.savez_compressed(path, a=PICTURE, b=STACK),
    "plain.tif": lambda path: tifffile.imwrite(path, PICTURE),
    "deflated.tif": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", compression="zlib"),
    "ome.tif": lambda path: tifffile.imwrite(path, STACK, ome=True, metadata=_OME),
    "imagej.tif": lambda path: tifffile.imwrite(
        path, STACK, imagej=True, resolution=(50, 50), metadata={"unit": "nm", "axes": "TYX"}
    ),
    "plain.png": lambda path: Image.fromarray(PICTURE).save(path),
    "plain.jpg": lambda path: Image.fromarray(_BYTES).save(path, quality=95),
    "one.mrc": lambda path: writers.write_mrc(path, PICTURE[None]),
    "stack.mrc": lambda path: writers.write_mrc(path, STACK),
}
# Read by RosettaSciIO, in another process.
MICROSCOPE: dict[str, Callable[[Path], object]] = {
    "one.dm3": lambda path: writers.write_dm(path, {"ADF": PICTURE}),
    "stack.dm3": lambda path: writers.write_dm(path, {"ADF": STACK}, [1, 0.02, 0.02], ["", "nm", "nm"]),
    "two.dm4": lambda path: writers.write_dm(path, {"ADF": PICTURE, "BF": PICTURE + 1}),
    "one.ser": lambda path: writers.write_ser(path, PICTURE[None]),
    "stack.ser": lambda path: writers.write_ser(path, STACK),
    "berkeley.emd": lambda path: writers.write_emd(path, {"ADF": PICTURE, "BF": PICTURE + 1}),
    "velox.emd": lambda path: writers.write_velox(path, {"HAADF": STACK}),
    "two.hspy": lambda path: writers.write_hspy(path, {"ADF": PICTURE, "BF": PICTURE + 1}),
    "two.nxs": lambda path: writers.write_nexus(path, {"ADF": PICTURE, "BF": PICTURE + 1}),
}
