"""What TIFF 6.0 lets pixels be, against values written out here; no TIFF library writes the files."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support import tiff_bytes as tb
from support.tiff_bytes import Directory, tiff

from motifgpu import MicrographReadError, read, read_all, signals

WHITE_IS_0, BLACK_IS_0, RGB, PALETTE, MASK, CMYK, YCBCR, LAB = 0, 1, 2, 3, 4, 5, 6, 8
UINT, INT, FLOAT, VOID, COMPLEX_INT, COMPLEX = 1, 2, 3, 4, 5, 6


def page(
    data: bytes | Sequence[bytes],
    *,
    bits: int = 8,
    photometric: int | None = BLACK_IS_0,
    kind: int = UINT,
    samples: int = 1,
    shape: tuple[int, int] = (2, 3),
    **more: int | Sequence[int] | bytes,
) -> Directory:
    """Return a directory of `shape` rows and columns."""
    tags: dict[int, int | Sequence[int] | bytes] = {
        **{tb.WIDTH: shape[1], tb.LENGTH: shape[0], tb.BITS: [bits] * samples, tb.COMPRESSION: 1},
        **{tb.SAMPLES: samples, tb.PLANES: 1, tb.SAMPLE_FORMAT: [kind] * samples},
    }
    if photometric is not None:
        tags[tb.PHOTOMETRIC] = photometric
    tags |= {getattr(tb, name.upper()): value for name, value in more.items()}
    return Directory(tags, [data] if isinstance(data, bytes) else data)


def written(folder: Path, *pages: Directory, order: str = "<") -> Path:
    (folder / "a.tif").write_bytes(tiff(*pages, order=order))
    return folder / "a.tif"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("letter", "bits", "kind", "values"),
    [
        ("B", 8, UINT, [0, 1, 2, 3, 128, 255]),
        ("H", 16, UINT, [0, 1, 2, 3, 256, 65535]),
        ("I", 32, UINT, [0, 1, 2, 3, 2**16, 2**24]),
        ("Q", 64, UINT, [0, 1, 2, 3, 2**16, 2**24]),
        ("b", 8, INT, [-128, -1, 0, 1, 2, 127]),
        ("h", 16, INT, [-32768, -1, 0, 1, 2, 32767]),
        ("i", 32, INT, [-(2**24), -1, 0, 1, 2, 2**24]),
        ("q", 64, INT, [-(2**24), -1, 0, 1, 2, 2**24]),
        ("e", 16, FLOAT, [-1.5, 0, 0.25, 1, 2, 1024]),
        ("f", 32, FLOAT, [-1.5, 0, 0.25, 1e-20, 2, 1e20]),
        ("d", 64, FLOAT, [-1.5, 0, 0.25, 1, 2, 1024]),
        ("B", 8, VOID, [0, 1, 2, 3, 128, 255]),  # undefined is taken for whole numbers
    ],
)
def test_sample_formats_in_both_byte_orders(
    tmp_path: Path, order: str, letter: str, bits: int, kind: int, values: list[float]
) -> None:
    data = struct.pack(f"{order}6{letter}", *values)
    found = read(written(tmp_path, page(data, bits=bits, kind=kind), order=order))
    np.testing.assert_array_equal(found.image, np.array(values, np.float32).reshape(2, 3))


@pytest.mark.parametrize(
    ("bits", "rows", "expected"),
    [  # each row begins at a byte
        (1, [0b10100000, 0b01000000], [[1, 0, 1], [0, 1, 0]]),
        (2, [0b00011000, 0b11000100], [[0, 1, 2], [3, 0, 1]]),
        (4, [0x1F, 0x20, 0x03, 0xA0], [[1, 15, 2], [0, 3, 10]]),
        (
            12,
            [0x12, 0x3F, 0xFF, 0x00, 0x10, 0xAB, 0xC0, 0x00, 0xFF, 0xF0],
            [[0x123, 0xFFF, 1], [0xABC, 0, 0xFFF]],
        ),
    ],
)
@pytest.mark.parametrize("photometric", [WHITE_IS_0, BLACK_IS_0, None])
def test_fewer_bits(
    tmp_path: Path, bits: int, rows: list[int], expected: list[list[int]], photometric: int | None
) -> None:
    if bits not in (1, 8):
        pytest.importorskip("imagecodecs", reason="packed bits are unpacked by imagecodecs (extra: em)")
    found = read(written(tmp_path, page(bytes(rows), bits=bits, photometric=photometric)))
    white = 2**bits - 1
    values = np.array(expected)
    np.testing.assert_array_equal(found.image, white - values if photometric == WHITE_IS_0 else values)


@pytest.mark.parametrize(
    ("letter", "kind", "values", "expected"),
    [
        ("B", UINT, [0, 1, 2, 3, 128, 255], [255, 254, 253, 252, 127, 0]),
        ("H", UINT, [0, 1, 2, 3, 256, 65535], [65535, 65534, 65533, 65532, 65279, 0]),
        ("h", INT, [-32768, -1, 0, 1, 2, 32767], [32767, 0, -1, -2, -3, -32768]),
        ("f", FLOAT, [-1.5, 0, 0.25, 1, 2, 3], [1.5, 0, -0.25, -1, -2, -3]),
    ],
)
def test_where_zero_is_white_small_values_are_bright(
    tmp_path: Path, letter: str, kind: int, values: list[float], expected: list[float]
) -> None:
    data = struct.pack(f"<6{letter}", *values)
    bits = 8 * struct.calcsize(f"<{letter}")
    found = read(written(tmp_path, page(data, bits=bits, kind=kind, photometric=WHITE_IS_0)))
    np.testing.assert_array_equal(found.image, np.array(expected).reshape(2, 3))


@pytest.mark.parametrize(("bits", "kind"), [(24, UINT), (24, INT), (24, FLOAT), (12, INT), (20, UINT)])
def test_values_of_other_sizes_are_refused(tmp_path: Path, bits: int, kind: int) -> None:
    with pytest.raises(MicrographReadError, match=f"{bits} bits"):
        read(written(tmp_path, page(bytes(24), bits=bits, kind=kind)))


@pytest.mark.parametrize(
    ("bits", "kind", "data", "told"),
    [(64, COMPLEX, bytes(48), "complex"), (32, COMPLEX_INT, bytes(24), "complex|no image")],
)
def test_complex_values_are_refused(tmp_path: Path, bits: int, kind: int, data: bytes, told: str) -> None:
    with pytest.raises(MicrographReadError, match=told):
        read(written(tmp_path, page(data, bits=bits, kind=kind)))


GREYS = [10, 20, 30, 40, 50, 60]


def test_a_palette_says_what_its_numbers_are(tmp_path: Path) -> None:
    falling = [65535 - 257 * k for k in range(256)]  # as programs write an inverted grey scale
    found = read(written(tmp_path, page(bytes(GREYS), photometric=PALETTE, color_map=falling * 3)))
    np.testing.assert_array_equal(found.image, 65535 - 257 * np.array(GREYS).reshape(2, 3))
    fire = falling + [0] * 512
    with pytest.raises(MicrographReadError, match="colour picture"):
        read(written(tmp_path, page(bytes(GREYS), photometric=PALETTE, color_map=fire)))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("coloured", [False, True])
def test_red_green_and_blue(tmp_path: Path, planar: bool, coloured: bool) -> None:
    other = [*GREYS[:-1], 61 if coloured else 60]
    planes = [bytes(GREYS), bytes(other), bytes(GREYS)]
    data = planes if planar else bytes(np.array([list(plane) for plane in planes]).T.ravel().tolist())
    path = written(tmp_path, page(data, photometric=RGB, samples=3, planes=2 if planar else 1))
    if coloured:
        with pytest.raises(MicrographReadError, match="colour picture"):
            read(path)
    else:
        np.testing.assert_array_equal(read(path).image, np.array(GREYS).reshape(2, 3))


def test_luminance_and_chroma(tmp_path: Path) -> None:
    grey = bytes(value for luminance in GREYS for value in (luminance, 128, 128))
    path = written(tmp_path, page(grey, photometric=YCBCR, samples=3, subsampling=[1, 1]))
    np.testing.assert_array_equal(read(path).image, np.array(GREYS).reshape(2, 3))
    path = written(tmp_path, page(grey[:-1] + b"\x90", photometric=YCBCR, samples=3, subsampling=[1, 1]))
    with pytest.raises(MicrographReadError, match="colour picture"):
        read(path)
    with pytest.raises(MicrographReadError, match="subsampling"):  # which is the standard's default
        read(written(tmp_path, page(grey, photometric=YCBCR, samples=3)))


@pytest.mark.parametrize(
    ("photometric", "samples", "name"),
    [
        (CMYK, 4, "SEPARATED"),
        (LAB, 3, "CIELAB"),
        (9, 3, "ICCLAB"),
        (32803, 1, "CFA"),
        (34892, 3, "LINEAR_RAW"),
    ],
)
def test_other_interpretations_are_refused_by_name(
    tmp_path: Path, photometric: int, samples: int, name: str
) -> None:
    path = written(tmp_path, page(bytes(6 * samples), photometric=photometric, samples=samples))
    with pytest.raises(MicrographReadError, match=name):
        read(path)


@pytest.mark.parametrize("named", [1, 2])  # multiplied by alpha or not
@pytest.mark.parametrize("photometric", [WHITE_IS_0, BLACK_IS_0, RGB])
def test_transparent_pixels_are_no_data(tmp_path: Path, photometric: int, named: int) -> None:
    colours = 3 if photometric == RGB else 1

    def with_alpha(alpha: Sequence[int]) -> Path:
        data = bytes(v for g, a in zip(GREYS, alpha, strict=True) for v in (*[g] * colours, a))
        return written(
            tmp_path, page(data, photometric=photometric, samples=colours + 1, extra_samples=named)
        )

    values = np.array(GREYS).reshape(2, 3)
    values = 255 - values if photometric == WHITE_IS_0 else values
    opaque = read(with_alpha([255] * 6))
    np.testing.assert_array_equal(opaque.image, values)
    assert opaque.valid is None
    holes = read(with_alpha([255, 0, 255, 255, 255, 0]))
    assert holes.valid is not None
    np.testing.assert_array_equal(holes.valid, [[True, False, True], [True, True, False]])
    with pytest.raises(MicrographReadError, match="half transparent"):
        read(with_alpha([255, 0, 7, 255, 255, 0]))


def test_values_that_are_not_named_are_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(MicrographReadError, match="2 values, which it does not name"):
        read(written(tmp_path, page(bytes(12), samples=2, extra_samples=0)))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1, [[1, 2, 3], [4, 5, 6]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
    ],
)
def test_rows_and_columns_stand_where_the_orientation_says(
    tmp_path: Path, code: int, expected: list[list[int]]
) -> None:
    found = read(written(tmp_path, page(bytes([1, 2, 3, 4, 5, 6]), orientation=code)))
    np.testing.assert_array_equal(found.image, expected)


def test_bits_in_the_other_order(tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs", reason="bits are turned round by imagecodecs (extra: em)")
    data = bytes([0b00000101, 0b00000010])
    found = read(written(tmp_path, page(data, bits=1, fill_order=2)))
    np.testing.assert_array_equal(found.image, [[1, 0, 1], [0, 1, 0]])


FULL, SMALL = bytes(range(24)), bytes([9] * 6)


def test_previews_and_masks_are_no_micrographs(tmp_path: Path) -> None:
    image = page(FULL, shape=(4, 6))
    for preview in (
        page(SMALL, subfile=1),
        page(FULL, shape=(4, 6), subfile=1),  # of the same size
        page(SMALL, subfile=5, photometric=MASK, bits=8),
        page(bytes([255] * 24), shape=(4, 6), subfile=4, photometric=MASK),
    ):
        for pages in ((image, preview), (preview, image)):
            found = read(written(tmp_path, *pages))
            np.testing.assert_array_equal(found.image, np.arange(24).reshape(4, 6))
            assert found.title == "a"


def test_directories_below_others(tmp_path: Path) -> None:
    image, preview = page(FULL, shape=(4, 6)), page(SMALL, subfile=1)
    image.below = [preview]
    np.testing.assert_array_equal(read(written(tmp_path, image)).image, np.arange(24).reshape(4, 6))
    image, preview = page(FULL, shape=(4, 6)), page(SMALL, subfile=1)
    preview.below = [image]  # as cameras write: the preview first, the image below it
    np.testing.assert_array_equal(read(written(tmp_path, preview)).image, np.arange(24).reshape(4, 6))


def test_a_preview_alone_is_the_image(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(written(tmp_path, page(SMALL, subfile=1))).image, np.full((2, 3), 9))


def test_every_page_has_an_interpretation_of_its_own(tmp_path: Path) -> None:
    pages = [page(bytes([k] * 6), photometric=k % 2) for k in range(7)]
    found = read_all(written(tmp_path, *pages))
    assert [int(one.image[0, 0]) for one in found] == [255, 1, 253, 3, 251, 5, 249]


def test_an_image_half_the_size_of_another_is_not_lost(tmp_path: Path) -> None:
    path = written(tmp_path, page(bytes(48 * 32), shape=(32, 48)), page(bytes(24 * 16), shape=(16, 24)))
    assert signals(path) == ["0", "1"]
    assert [one.shape for one in read_all(path)] == [(32, 48), (16, 24)]


@pytest.mark.parametrize(("line", "expected"), [("c0=-32768.0\nc1=1.0", -32768), ("c0=10\nc1=-2", 10)])
def test_intensities_that_imagej_calibrates(tmp_path: Path, line: str, expected: int) -> None:
    text = f"ImageJ=1.53t\nimages=1\ncf=0\n{line}\nvunit=Gray Value\n".encode()
    values = [0, 1, 2, 3, 40000, 65535]
    slope = float(line.rpartition("=")[2])
    path = written(tmp_path, page(struct.pack("<6H", *values), bits=16, description=text))
    np.testing.assert_array_equal(read(path).image, expected + slope * np.array(values).reshape(2, 3))
    path = written(tmp_path, page(bytes(12), bits=16, description=text.replace(b"cf=0", b"cf=8")))
    with pytest.raises(MicrographReadError, match="ImageJ's function 8"):
        read(path)
