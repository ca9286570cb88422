"""Files that were made to do harm: each a name, whose suffix says its format, and what writes it."""

from __future__ import annotations

import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from . import file_writers as writers
from . import tiff_bytes as tb
from .format_samples import PICTURE, STACK

GIB = 2**30
_BLOCK = 2**22


def zeros(length: int, *, raw: bool = False) -> bytes:
    """Return many zeros, deflated a thousandfold, without having them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packer.compress(bytes(_BLOCK))
    first = packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(_BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    del first
    check = 1
    number = length // _BLOCK
    for _ in range(number):
        check = zlib.adler32(bytes(_BLOCK), check)
    body = block * number + b"\x03\x00"
    return body if raw else b"\x78\xda" + body + struct.pack(">I", check)


def npy_header(shape: str, kind: str = "<f8", length: int | None = None) -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) if length is None else length) + text


def _zip(path: Path, members: dict[str, bytes], *, deflated: bool = True) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _bomb_npz(path: Path, shape: str, size: int, kind: str = "<f8") -> None:
    """Write an archive whose one member is as large as it says."""
    _raw_zip(path, npy_header(shape, kind), size)


def _raw_zip(path: Path, head: bytes, size: int) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH) + zeros(size, raw=True)
    check = zlib.crc32(head)
    for _ in range(size // _BLOCK):
        check = zlib.crc32(bytes(_BLOCK), check)
    name = b"image.npy"
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, check, len(body), len(head) + size, len(name), 0)
    local = b"PK\x03\x04" + common + name
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local) + len(body), 0)
    path.write_bytes(local + body + entry + end)


def _shared_members(path: Path) -> None:
    """Write an archive of a thousand members that are one and the same megabyte."""
    _zip(path, {"a.npy": npy_header("(512, 512)", "<f4") + bytes(2**20)}, deflated=False)
    with zipfile.ZipFile(path, "a") as archive:
        [one] = archive.infolist()
        for number in range(1000):
            other = zipfile.ZipInfo(f"{number}.npy")
            for name in ("header_offset", "CRC", "compress_size", "file_size", "compress_type"):
                setattr(other, name, getattr(one, name))
            archive.filelist.append(other)
        archive._didModify = True


def _tags(rows: int, columns: int) -> dict[int, Any]:
    return {tb.WIDTH: columns, tb.LENGTH: rows, tb.BITS: 8, tb.COMPRESSION: 1, tb.PHOTOMETRIC: 1}


def _tiff(path: Path, strip: bytes, **tags: Any) -> None:
    shape = tags.pop("shape", (16, 16))
    known = {
        tb.WIDTH: shape[1],
        tb.LENGTH: shape[0],
        tb.BITS: 8,
        tb.COMPRESSION: 1,
        tb.PHOTOMETRIC: 1,
        tb.SAMPLES: 1,
    }
    known |= {getattr(tb, name.upper()): value for name, value in tags.items()}
    path.write_bytes(tb.tiff(tb.Directory(known, [strip])))


def _tiff_in_circle(path: Path, *, below: bool) -> None:
    image = tb.Directory(_tags(4, 4), [bytes(16)])
    image.below = [tb.Directory(dict(image.tags), [bytes(16)])] if below else []
    content = bytearray(tb.tiff(image))
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * count, first)
    for entry in range(first + 2, first + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, entry)[0] == tb.SUB_IFDS:
            struct.pack_into("<I", content, entry + 8, first)
    path.write_bytes(content)


def _described(path: Path, text: str) -> None:
    tifffile.imwrite(path, PICTURE, description=text, metadata=None)


def _jpeg(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(content, "JPEG")
    changed = bytearray(content.getvalue())
    struct.pack_into(">HH", changed, changed.index(b"\xff\xc0") + 5, height, width)
    return bytes(changed)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(path: Path, width: int, height: int, pixels: bytes, *more: bytes) -> None:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    )


def _hdf5(path: Path, change: Callable[[Any, Any], object]) -> None:
    import h5py

    writers.write_hspy(path, {"ADF": PICTURE})
    with h5py.File(path, "a") as file:
        change(file, file["Experiments/ADF"])


def _chunk_bomb(_: Any, group: Any) -> None:
    """Let one small chunk inflate to what no header speaks of."""
    del group["data"]
    data = group.create_dataset("data", (64, 64), "u1", chunks=(64, 64), compression="gzip")
    data.id.write_direct_chunk((0, 0), zeros(6 * GIB))


def _huge_chunks(_: Any, group: Any) -> None:
    del group["data"]
    group.create_dataset("data", (8, 8), "f8", chunks=(8, 8), maxshape=(None, None))
    del group["data"]
    group.create_dataset(
        "data", (8, 8), "f8", chunks=(2**14, 2**14), maxshape=(None, None), compression="gzip"
    )


def _external(file: Any, group: Any) -> None:
    import h5py

    del group["data"]
    group["data"] = h5py.ExternalLink("../outside/secret.h5", "data")


def _external_raw(_: Any, group: Any) -> None:
    del group["data"]
    group.create_dataset("data", (24, 31), "u2", external=[("../outside/secret.raw", 0, 1488)])


def _many_groups(file: Any, _: Any) -> None:
    for number in range(20_000):
        file.create_group(f"Experiments/{number}")


def _round(file: Any, group: Any) -> None:
    group["again"] = file["/"]
    file["Experiments/twice"] = group


def _dm(body: bytes) -> bytes:
    return struct.pack(">3i", 3, len(body), 1) + b"\1\0" + struct.pack(">i", 1) + body


def _nested_dm(path: Path) -> None:
    inner = b"\1\0" + struct.pack(">i", 0)
    for _ in range(20_000):
        inner = b"\1\0" + struct.pack(">i", 1) + struct.pack(">bh", 20, 1) + b"a" + inner
    path.write_bytes(_dm(struct.pack(">bh", 20, 1) + b"a" + inner))


def _mrc(path: Path, at: int, number: int) -> None:
    writers.write_mrc(path, PICTURE[None])
    content = bytearray(path.read_bytes())
    struct.pack_into("<i", content, at, number)
    path.write_bytes(content)


def _ser(path: Path, at: int, number: int) -> None:
    writers.write_ser(path, STACK)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, at, number)
    path.write_bytes(content)


def _socket(path: Path) -> None:
    place = os.getcwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(place)


def _endless(path: Path) -> None:
    array = struct.pack(">6i", 5, 20, 15, 0, 0, 2**31 - 1)
    path.write_bytes(_dm(struct.pack(">bh", 21, 1) + b"a" + b"%%%%" + array))


_PIXELS = zlib.compress(bytes(72))  # of a PNG of 8 x 8
_SMALL = npy_header("(8, 8)", "|u1") + bytes(64)
_OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="31" SizeY="24" SizeZ="1" SizeC="1" '
    'SizeT="{}"><TiffData/></Pixels></Image></OME>'
)
_ENTITIES = '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa">{}]><OME>&z;</OME>'.format(
    "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghij", "bcdefghijz", strict=True))
)
# Read by packages that the library always has.
PLAIN: dict[str, Callable[[Path], object]] = {
    "as-large-as-it-says.npz": lambda path: _bomb_npz(path, "(16384, 16384)", 2 * GIB),
    "a-stack-of-nothing.npz": lambda path: _bomb_npz(path, "(1024, 1024, 1024)", GIB, "|u1"),
    "larger-than-it-says.npz": lambda path: _bomb_npz(path, "(64, 64)", GIB),
    "members-that-share.npz": _shared_members,
    "many-members.npz": lambda path: _zip(path, {f"{k}.npy": _SMALL for k in range(20_000)}),
    "one-name.npz": lambda path: _zip(path, {"../" * 20 + "tmp/x.npy": _SMALL}),
    "brackets.npz": lambda path: _zip(path, {"a.npy": npy_header("(" * 60_000)}),
    "digits.npz": lambda path: _zip(path, {"a.npy": npy_header(f"({'9' * 9000}, 8)")}),
    "wide-items.npy": lambda path: path.write_bytes(npy_header("(8, 8)", "|V2147483647")),
    "long-texts.npy": lambda path: path.write_bytes(npy_header("(8, 8)", "<U500000000")),
    "negative.npy": lambda path: path.write_bytes(npy_header("(-8, -8)") + bytes(512)),
    "long-header.npy": lambda path: path.write_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{"),
    "objects.npy": lambda path: np.save(path, np.array([{}], dtype=object)),
    "strip-bomb.tif": lambda path: _tiff(path, zeros(2 * GIB), compression=8),
    "strip-bomb-32946.tif": lambda path: _tiff(path, zeros(GIB), compression=32946),
    "as-large-as-it-says.tif": lambda path: _tiff(
        path, zeros(2 * GIB), compression=8, shape=(2**14, 2**14), bits=64, sample_format=3
    ),
    "jpeg-inside.tif": lambda path: _tiff(path, _jpeg(65500, 65500), compression=7),
    "circle.tif": lambda path: _tiff_in_circle(path, below=False),
    "circle-below.tif": lambda path: _tiff_in_circle(path, below=True),
    "a-million-pages.tif": lambda path: _described(path, "ImageJ=1.53t\nimages=999999999\n"),
    "entities.tif": lambda path: _described(path, _ENTITIES),
    "times.tif": lambda path: _described(path, _OME.format(2**31 - 1)),
    "wide.tif": lambda path: _tiff(path, bytes(16), shape=(2**31 - 1, 2**31 - 1)),
    "bits.tif": lambda path: _tiff(path, bytes(16), bits=65535),
    "samples.tif": lambda path: _tiff(path, bytes(16), samples=65535, bits=[8] * 65535),
    "text-bomb.png": lambda path: _png(path, 8, 8, _PIXELS, _chunk(b"zTXt", b"a\0\0" + zeros(GIB))),
    "profile-bomb.png": lambda path: _png(path, 8, 8, _PIXELS, _chunk(b"iCCP", b"a\0\0" + zeros(GIB))),
    "pixel-bomb.png": lambda path: _png(path, 8, 8, zeros(2 * GIB)),
    "wide.png": lambda path: _png(path, 2**31 - 1, 2**31 - 1, zlib.compress(bytes(1000))),
    "many-chunks.png": lambda path: _png(path, 8, 8, _PIXELS, *[_chunk(b"tEXt", b"a\0b")] * 100_000),
    "wide.jpg": lambda path: path.write_bytes(_jpeg(65500, 65500)),
    "sections.mrc": lambda path: _mrc(path, 8, 2**31 - 1),
    "extended.mrc": lambda path: _mrc(path, 92, 2**31 - 1),
}
# What is no file.
SPECIAL: dict[str, Callable[[Path], object]] = {
    "pipe.npy": os.mkfifo,
    "device.tif": lambda path: path.symlink_to("/dev/zero"),
    "loop.npz": lambda path: path.symlink_to(path.name),
    "folder.npy": Path.mkdir,
    "socket.png": _socket,
}
# Read with the extra em, in another process.
MICROSCOPE: dict[str, Callable[[Path], object]] = {
    "chunk-bomb.hspy": lambda path: _hdf5(path, _chunk_bomb),
    "huge-chunks.hspy": lambda path: _hdf5(path, _huge_chunks),
    "outside.hspy": lambda path: _hdf5(path, _external),
    "outside-raw.hspy": lambda path: _hdf5(path, _external_raw),
    "many-groups.hspy": lambda path: _hdf5(path, _many_groups),
    "circle.hspy": lambda path: _hdf5(path, _round),
    "endless.dm3": _endless,
    "nested.dm3": _nested_dm,
    "many.ser": lambda path: _ser(path, 18, 2**31 - 1),
    "axes.ser": lambda path: _ser(path, 26, 2**31 - 1),
}
