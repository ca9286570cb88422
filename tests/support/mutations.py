"""Damaged files, the same in every run: what disks, networks, programs and malice make of a good one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MAGIC = {
    "npy": b"\x93NUMPY\x01\x00",
    "zip": b"PK\x03\x04",
    "tiff": b"II*\x00",
    "bigtiff": b"MM\x00\x2b\x00\x08\x00\x00",
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "hdf5": b"\x89HDF\r\n\x1a\n",
    "dm3": b"\x00\x00\x00\x03",
    "dm4": b"\x00\x00\x00\x04",
    "ser": b"II\x97\x01",
    "pickle": b"\x80\x04\x95",
    "zeros": bytes(16),
}
# What a damaged length or size reads as: huge, the largest signed number, negative, none, not a number.
_NUMBERS = [
    *(b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00" * 4, b"\x00" * 8),
    *(b"\x00\x00\x00\x80", b"\x80\x00\x00\x00", b"\x00\x00\xff\xff", b"\xff\xff\x00\x00"),
    *(b"\x00\x00\xc0\x7f", b"\x7f\xc0\x00\x00", b"\xff\xff\xff\xff\xff\xff\xff\x7f"),
]


def mutations(good: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` damaged versions of a file, each with a name; the kinds of damage take turns."""
    rng = np.random.default_rng(seed)
    magic = list(MAGIC)
    header = min(len(good), 2048)
    for index in range(count):
        turn, kind = divmod(index, 10)
        damaged = bytearray(good)
        at = int(rng.integers(header if turn % 4 else len(good)))
        if kind == 0:
            name = f"cut to {at}"
            damaged = damaged[:at]
        elif kind in (1, 2):
            name = f"bit of byte {at}"
            damaged[at] ^= 1 << int(rng.integers(8))
        elif kind == 3:
            places = rng.integers(len(good), size=int(rng.integers(2, 40)))
            name = f"{len(places)} bytes"
            for place in places:
                damaged[place] = int(rng.integers(256))
        elif kind in (4, 5, 6):
            number = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
            at -= at % (2 if kind == 4 else 1)
            name = f"number {number.hex()} at {at}"
            damaged[at : at + len(number)] = number
        elif kind == 7:
            length = int(rng.integers(1, 64))
            name = f"{length} bytes gone at {at}"
            del damaged[at : at + length]
        elif kind == 8:
            start = magic[turn % len(magic)]
            name = f"magic of {start}"
            damaged[: len(MAGIC[start])] = MAGIC[start]
        else:
            length = int(rng.integers(1, 4096))
            inside = at if turn % 2 else len(damaged)
            name = f"{length} bytes of noise at {inside}"
            damaged[inside:inside] = rng.bytes(length)
        yield name, bytes(damaged)
