"""What MRC lets pixels be (MRC2014, and IMOD's modes and flags), against bytes that are written out here."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from motifgpu import MicrographReadError, read, read_all

LITTLE, BIG = b"\x44\x44\0\0", b"\x11\x11\0\0"


def written(
    folder: Path,
    mode: int,
    data: bytes,
    *,
    order: str = "<",
    shape: tuple[int, int, int] = (1, 2, 3),
    axes: tuple[int, int, int] = (1, 2, 3),
    limits: tuple[float, float] = (0.0, 0.0),
    imod_flags: int | None = None,
    extended: bytes = b"",
    stamp: bytes | None = None,
) -> Path:
    """Write sections (n, rows, columns) with pixels of 0.2 Å."""
    n, rows, columns = shape
    head = bytearray(1024)
    cell = [0.2 * columns, 0.2 * rows, 0.2 * n]
    struct.pack_into(f"{order}10i", head, 0, columns, rows, n, mode, 0, 0, 0, columns, rows, n)
    struct.pack_into(f"{order}6f3i", head, 40, *cell, 90.0, 90.0, 90.0, *axes)
    struct.pack_into(f"{order}3f2i", head, 76, *limits, 0.0, 0, len(extended))
    if imod_flags is not None:
        struct.pack_into(f"{order}2i", head, 152, 1146047817, imod_flags)
    head[208:212] = b"MAP "
    head[212:216] = (LITTLE if order == "<" else BIG) if stamp is None else stamp
    (folder / "a.mrc").write_bytes(bytes(head) + extended + data)
    return folder / "a.mrc"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize(
    ("mode", "letter", "values"),
    [
        (0, "b", [-128, -1, 0, 1, 2, 127]),
        (1, "h", [-32768, -1, 0, 1, 2, 32767]),
        (2, "f", [-1.5, 0, 0.25, 1e-20, 2, 1e20]),
        (6, "H", [0, 1, 2, 3, 32768, 65535]),
        (12, "e", [-1.5, 0, 0.25, 1, 2, 1024]),
    ],
)
def test_modes(
    tmp_path: Path, mode: int, letter: str, values: list[float], order: str, stamped: bool
) -> None:
    data = struct.pack(f"{order}6{letter}", *values)
    path = written(tmp_path, mode, data, order=order, stamp=None if stamped else bytes(4))
    found = read(path)
    np.testing.assert_array_equal(found.image, np.array(values, np.float32).reshape(2, 3))
    assert found.pixel_size_nm == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("more", "signed"),
    [
        ({}, True),  # the standard
        ({"limits": (-128.0, 127.0)}, True),
        ({"limits": (0.0, 255.0)}, False),  # cannot be otherwise
        ({"imod_flags": 1}, True),
        ({"imod_flags": 0}, False),
        ({"imod_flags": 0, "limits": (-128.0, 127.0)}, False),
    ],
)
def test_the_sign_of_bytes(tmp_path: Path, more: dict[str, object], signed: bool) -> None:
    path = written(tmp_path, 0, bytes([0, 1, 127, 128, 254, 255]), **more)  # type: ignore[arg-type]
    expected = [0, 1, 127, -128, -2, -1] if signed else [0, 1, 127, 128, 254, 255]
    np.testing.assert_array_equal(read(path).image, np.array(expected).reshape(2, 3))


def test_four_bits(tmp_path: Path) -> None:
    found = read(written(tmp_path, 101, bytes([0x21, 0x03, 0xA4, 0x0F])))
    np.testing.assert_array_equal(found.image, [[1, 2, 3], [4, 10, 15]])


@pytest.mark.parametrize(
    ("mode", "size", "told"), [(3, 4, "complex"), (4, 8, "complex"), (16, 3, "red, green"), (7, 4, "mode 7")]
)
def test_other_modes_are_refused(tmp_path: Path, mode: int, size: int, told: str) -> None:
    with pytest.raises(MicrographReadError, match=told):
        read(written(tmp_path, mode, bytes(6 * size)))


def test_what_stands_before_the_sections_is_passed_over(tmp_path: Path) -> None:
    data = bytes(range(12))
    found = read_all(written(tmp_path, 0, data, shape=(2, 2, 3), extended=b"FEI1" * 192))
    np.testing.assert_array_equal([one.image for one in found], np.arange(12).reshape(2, 2, 3))


def test_x_runs_along_the_rows_whatever_is_stored_first(tmp_path: Path) -> None:
    data = bytes([1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(
        read(written(tmp_path, 0, data, axes=(2, 1, 3))).image, [[1, 4], [2, 5], [3, 6]]
    )
    np.testing.assert_array_equal(
        read(written(tmp_path, 0, data, axes=(0, 0, 0))).image, [[1, 2, 3], [4, 5, 6]]
    )
    with pytest.raises(MicrographReadError, match="no planes of x and y"):
        read(written(tmp_path, 0, data, axes=(1, 3, 2)))
