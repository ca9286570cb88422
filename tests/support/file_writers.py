"""Small files as microscopes and their programs write them, from the descriptions of the formats."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Codes of DigitalMicrograph for the types of tags and of images.
_DM_TAG = {
    "int16": 2,
    "int32": 3,
    "uint16": 4,
    "uint32": 5,
    "float32": 6,
    "float64": 7,
    "int8": 9,
    "uint8": 10,
}
_DM_IMAGE = {
    **{"int16": 1, "float32": 2, "complex64": 3, "uint8": 6, "int32": 7, "uint16": 10, "uint32": 11},
    **{"int8": 9, "float64": 12},
}


class _DMTags:
    """The tag tree of DM3 or DM4: names and lengths in big endian, values in little endian."""

    def __init__(self, version: int) -> None:
        self.version = version

    def length(self, number: int) -> bytes:
        return struct.pack(">q" if self.version == 4 else ">i", number)

    def group(self, content: dict[str, Any] | list[Any], *, root: bool = False) -> bytes:
        entries = list(content.items()) if isinstance(content, dict) else [("", item) for item in content]
        body = b"".join(self.entry(name, value) for name, value in entries)
        size = self.length(len(body)) if self.version == 4 and not root else b""
        return b"\1\0" + size + self.length(len(entries)) + body

    def entry(self, name: str, value: Any) -> bytes:
        nested = isinstance(value, (dict, list))
        body = self.group(value) if nested else self.value(value)
        head = struct.pack(">bh", 20 if nested else 21, len(name)) + name.encode("latin-1")
        return head + (struct.pack(">q", len(body)) if self.version == 4 and not nested else b"") + body

    def value(self, value: Any) -> bytes:
        if isinstance(value, str):
            value = np.frombuffer(value.encode("utf-16-le"), "<u2")
        if isinstance(value, np.ndarray):
            if value.dtype == "complex64":  # an array of structures of two numbers without names
                information = [20, 15, 0, 2, 0, 6, 0, 6, value.size]
            else:
                information = [20, _DM_TAG[value.dtype.name], value.size]
            payload = value.astype(value.dtype.newbyteorder("<")).tobytes()
        elif isinstance(value, float):
            information, payload = [6], struct.pack("<f", value)
        else:
            information, payload = [5], struct.pack("<I", value)
        numbers = b"".join(self.length(number) for number in (len(information), *information))
        return b"%%%%" + numbers + payload


def write_dm(
    path: Path,
    images: dict[str, np.ndarray],
    scale: float | Sequence[float] = 0.02,
    unit: str | Sequence[str] = "nm",
    *,
    tags: dict[str, Any] | None = None,
) -> None:
    """Write DM3 or DM4 (by the suffix) with a thumbnail before the images, as the program does."""
    writer = _DMTags(4 if path.suffix.lower() == ".dm4" else 3)
    thumbnail = np.full((4, 4), 7, np.uint8)
    entries = [_dm_image("", thumbnail, 1.0, "", {})]
    entries += [_dm_image(name, image, scale, unit, tags or {}) for name, image in images.items()]
    body = writer.group({"ImageList": entries, "Thumbnails": [{"ImageIndex": 0}]}, root=True)
    end = b"\0" * 8
    head = struct.pack(">i", writer.version) + writer.length(len(body)) + struct.pack(">i", 1)
    path.write_bytes(head + body + end)


def _dm_image(name: str, image: np.ndarray, scale: Any, unit: Any, tags: dict[str, Any]) -> dict[str, Any]:
    scales = [scale] * image.ndim if np.ndim(scale) == 0 else list(scale)
    units = [unit] * image.ndim if isinstance(unit, str) else list(unit)
    axes = [{"Origin": 0.0, "Scale": float(s), "Units": u} for s, u in zip(scales, units, strict=True)]
    return {
        "ImageData": {
            "Calibrations": {
                "Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": ""},
                "Dimension": axes[::-1],
            },
            "Data": image,
            "DataType": _DM_IMAGE[image.dtype.name],
            "Dimensions": list(image.shape[::-1]),
            "PixelDepth": image.itemsize,
        },
        "ImageTags": tags,
        "Name": name,
    }


_SER_TYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64", "complex64")


def write_ser(path: Path, stack: np.ndarray, scale_m: float = 2e-11) -> None:
    """Write (n, H, W) images in the format of TIA, whose rows run upwards and whose lengths are in metres."""
    n, height, width = stack.shape
    dimension = struct.pack("<IddII", n, 0.0, 1.0, 0, 0) + struct.pack("<I", 0)
    offsets_at = 30 + len(dimension)
    begin = offsets_at + 8 * n
    elements, starts, tags = b"", [], []
    for image in stack:
        starts.append(begin + len(elements))
        head = struct.pack("<ddIddI", 0.0, scale_m, 0, 0.0, scale_m, 0)
        head += struct.pack("<HII", 1 + _SER_TYPES.index(image.dtype.name), width, height)
        elements += head + image[::-1].tobytes()
        tags.append(begin + len(elements))
        elements += struct.pack("<HHI", 0x4152, 0, 1_600_000_000)
    head = struct.pack("<HHHIIIIII", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, n, n, offsets_at, 1)
    path.write_bytes(head + dimension + struct.pack(f"<{2 * n}I", *starts, *tags) + elements)


_MRC_MODE = {"int8": 0, "uint8": 0, "int16": 1, "float32": 2, "complex64": 4, "uint16": 6}


def write_mrc(path: Path, stack: np.ndarray, pixel_angstrom: float = 0.2) -> None:
    """Write (n, H, W) images as MRC; its cell is the number of pixels times their size in ångström."""
    n, height, width = stack.shape
    cell = [width * pixel_angstrom, height * pixel_angstrom, n * pixel_angstrom]
    head = struct.pack("<10i", width, height, n, _MRC_MODE[stack.dtype.name], 0, 0, 0, width, height, n)
    head += struct.pack("<6f3i", *cell, 90.0, 90.0, 90.0, 1, 2, 3)
    head = head.ljust(208, b"\0") + b"MAP " + b"\x44\x44\0\0"
    path.write_bytes(head.ljust(1024, b"\0") + stack.tobytes())


def write_emd(path: Path, images: dict[str, np.ndarray], scale: float = 0.02, unit: str = "nm") -> None:
    """Write the EMD files of Berkeley: each image transposed, with a vector of positions along each side."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = "0", "2"
        for name, image in images.items():
            group = file.create_group(f"signals/{name}")
            group.attrs["emd_group_type"] = 1
            group["data"] = image.T
            for number, length in enumerate(image.shape[::-1], 1):
                positions = group.create_dataset(f"dim{number}", data=np.arange(length) * scale)
                positions.attrs["name"] = "xyz"[number - 1]
                positions.attrs["units"] = f"[{'_'.join(unit)}]" if unit else ""


def write_velox(path: Path, images: dict[str, np.ndarray], scale_m: float = 2e-11, unit: str = "m") -> None:
    """Write the EMD files of Velox: frames along the last axis, metadata as JSON in columns of bytes."""
    import h5py

    def text(group: Any, name: str, content: Any) -> None:
        group.create_dataset(name, data=[json.dumps(content)], dtype=h5py.string_dtype())

    with h5py.File(path, "w") as file:
        text(file, "Version", {"format": "Velox", "version": "11"})
        for number, (name, image) in enumerate(images.items()):
            frames = np.moveaxis(image if image.ndim == 3 else image[None], 0, -1)
            group = file.create_group(f"Data/Image/{number:032x}")
            group.create_dataset("Data", data=frames, chunks=(*frames.shape[:2], 1), compression="gzip")
            metadata = {
                "BinaryResult": {
                    "Detector": name,
                    "DetectorIndex": str(number),
                    "PixelSize": {"height": str(scale_m), "width": str(scale_m)},
                    "Offset": {"x": "0", "y": "0"},
                    "PixelUnitX": unit,
                    "PixelUnitY": unit,
                },
                "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1600000000"}},
                "Detectors": {
                    f"Detector-{index}": {"DetectorName": other, "DetectorType": "ScanningDetector"}
                    for index, other in enumerate(images)
                },
                "Scan": {"FrameTime": "1.5"},
                "Instrument": {},
            }
            letters = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
            columns = np.zeros((len(letters) + 20, frames.shape[2]), np.uint8)
            columns[: len(letters)] = letters[:, None]
            group.create_dataset("Metadata", data=columns)


def write_hspy(
    path: Path,
    images: dict[str, np.ndarray],
    scale: float = 0.02,
    unit: str = "nm",
    *,
    signal_axes: int = 2,
) -> None:
    """Write HyperSpy's files: a group for each signal, with a group for each axis."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["file_format"], file.attrs["file_format_version"] = "HyperSpy", "3.1"
        for name, image in images.items():
            group = file.create_group(f"Experiments/{name}")
            group.create_dataset("data", data=image, chunks=True, compression="gzip", shuffle=True)
            group.create_group("metadata/General").attrs["title"] = name
            group.create_group("metadata/Signal").attrs["signal_type"] = ""
            group.create_group("original_metadata")
            for number, length in enumerate(image.shape):
                axis = group.create_group(f"axis-{number}").attrs
                navigate = number < image.ndim - signal_axes
                axis["_type"], axis["units"] = "UniformDataAxis", unit
                axis["name"] = "tzyx"[number - image.ndim]
                axis["navigate"], axis["is_binned"] = navigate, False
                axis["scale"], axis["offset"], axis["size"] = scale, 0.0, length


def write_nexus(path: Path, images: dict[str, np.ndarray], scale: float = 0.02, unit: str = "nm") -> None:
    """Write NeXus files: an NXdata group for each image, with a vector of positions along each side."""
    import h5py

    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        for name, image in images.items():
            group = entry.create_group(name)
            group.attrs["NX_class"], group.attrs["signal"] = "NXdata", "counts"
            group.attrs["interpretation"] = "image"
            group["counts"] = image
            names = ["z", "y", "x"][-image.ndim :]
            group.attrs["axes"] = names
            for number, (axis, length) in enumerate(zip(names, image.shape, strict=True)):
                group[axis] = np.arange(length) * scale
                group[axis].attrs["units"] = unit
                group.attrs[f"{axis}_indices"] = number
