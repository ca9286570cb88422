from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.format_samples import PICTURE

from motifgpu import MicrographReadError, read

GREY = (PICTURE % 251).astype(np.uint8)


def test_grey_picture_with_colour_channels(tmp_path: Path) -> None:
    grey = (PICTURE % 251).astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read(tmp_path / "grey.png").image, grey)
    Image.fromarray(np.stack([grey, grey[::-1], grey], -1)).save(tmp_path / "colour.png")
    with pytest.raises(
        MicrographReadError, match="colour picture; save the detector's signal as a grey image"
    ):
        read(tmp_path / "colour.png")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "PA", "I;16", "1"])
def test_every_kind_of_grey_png(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        picture, expected = Image.fromarray(PICTURE), PICTURE
    elif mode == "1":
        picture, expected = Image.fromarray(GREY > 100), (GREY > 100) * np.uint8(255)
    elif mode in ("P", "PA"):
        picture, expected = Image.fromarray(GREY).convert("P"), GREY
    else:
        picture, expected = Image.fromarray(GREY).convert(mode), GREY
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png").image, expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "JPG"])
def test_grey_jpeg(tmp_path: Path, mode: str, suffix: str) -> None:
    smooth = np.add.outer(np.arange(40), 3 * np.arange(50)).astype(np.uint8)
    Image.fromarray(smooth).convert("RGB" if mode == "CMYK" else mode).convert(mode).save(
        tmp_path / f"a.{suffix}", quality=95
    )
    np.testing.assert_allclose(read(tmp_path / f"a.{suffix}").image, smooth, atol=4)


def test_coloured_jpeg_is_refused(tmp_path: Path) -> None:
    colours = np.zeros((40, 50, 3), np.uint8)
    colours[:20, :, 0] = 200
    Image.fromarray(colours).save(tmp_path / "a.jpg")
    with pytest.raises(MicrographReadError, match="colour picture"):
        read(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_dots_per_inch_are_no_calibration(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(GREY).save(tmp_path / f"a.{suffix}", dpi=(300, 300))
    assert read(tmp_path / f"a.{suffix}").pixel_size_nm is None


@pytest.mark.parametrize("kind", ["PPM", "GIF", "BMP", "TIFF", "EPS"])
def test_other_formats_under_a_picture_s_suffix(tmp_path: Path, kind: str) -> None:
    content = io.BytesIO()
    Image.fromarray(GREY).save(content, kind)
    for suffix in ("png", "jpg"):
        (tmp_path / f"a.{suffix}").write_bytes(content.getvalue())
        with pytest.raises(MicrographReadError, match="no PNG or JPEG that can be decoded"):
            read(tmp_path / f"a.{suffix}")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize(
    ("width", "height"), [(2**31 - 1, 2**31 - 1), (16000, 16000), (2**31 - 1, 1), (0, 5)]
)
def test_png_that_announces_too_much(tmp_path: Path, width: int, height: int) -> None:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(bytes(1000)))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + _chunk(b"IEND", b""))
    with pytest.raises(MicrographReadError, match=r"announces|cannot be decoded|can be decoded"):
        read(tmp_path / "a.png")


def test_png_whose_text_expands_without_end(tmp_path: Path) -> None:
    good = io.BytesIO()
    Image.fromarray(GREY).save(good, "PNG")
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**27), 9))
    content = good.getvalue()
    (tmp_path / "a.png").write_bytes(content[:33] + text + content[33:])
    with pytest.raises(MicrographReadError, match=r"[Tt]oo large|limit"):
        read(tmp_path / "a.png")


def test_jpeg_that_announces_too_much(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.fromarray(GREY).save(content, "JPEG")
    damaged = bytearray(content.getvalue())
    at = damaged.index(b"\xff\xc0")
    damaged[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    (tmp_path / "a.jpg").write_bytes(damaged)
    with pytest.raises(MicrographReadError, match="announces"):
        read(tmp_path / "a.jpg")


def _png(kind: int, bits: int, rows: list[bytes], width: int, *chunks: bytes) -> bytes:
    """Return a PNG without filters; `kind` is 0 grey, 2 colours, 3 a palette, 4 and 6 with alpha."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), bits, kind, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + _chunk(b"IEND", b"")


_LINEAR = _chunk(b"PLTE", bytes(value for k in range(256) for value in (255 - k,) * 3))
_RED = _chunk(b"PLTE", bytes(value for k in range(256) for value in (k, 0, 0)))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (_png(0, 1, [b"\xa0", b"\x40"], 3), [[255, 0, 255], [0, 255, 0]]),
        (_png(0, 2, [b"\x18", b"\xc4"], 3), [[0, 85, 170], [255, 0, 85]]),
        (_png(0, 4, [b"\x1f\x20", b"\x03\xa0"], 3), [[17, 255, 34], [0, 51, 170]]),
        (_png(0, 8, [b"\x01\x02\x03", b"\x04\x05\xff"], 3), [[1, 2, 3], [4, 5, 255]]),
        (_png(0, 16, [b"\x01\x02\xff\xff", b"\0\1\1\0"], 2), [[258, 65535], [1, 256]]),
        (_png(3, 8, [b"\x01\x02", b"\x03\xff"], 2, _LINEAR), [[254, 253], [252, 0]]),
        (_png(3, 2, [b"\x18"], 3, _LINEAR), [[255, 254, 253]]),
        (_png(2, 8, [b"\1\1\1\2\2\2"], 2), [[1, 2]]),
    ],
)
def test_png_by_its_standard(tmp_path: Path, content: bytes, expected: list[list[int]]) -> None:
    (tmp_path / "a.png").write_bytes(content)
    found = read(tmp_path / "a.png")
    np.testing.assert_array_equal(found.image, expected)
    assert found.valid is None


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (b"\x01" + b"2e-11\0" + b"2E-11", 0.02),
        (b"\x01" + b"0.00000000002\0" + b"2.0001e-11", 0.02),
        (b"\x01" + b"2e-11\0" + b"3e-11", None),  # not square
        (b"\x02" + b"2e-11\0" + b"2e-11", None),  # radians
        (b"\x01" + b"0\0" + b"0", None),
        (b"\x01" + b"nm\0" + b"nm", None),
        (b"\x01" + b"2e-11", None),
        (b"", None),
    ],
)
def test_the_scale_of_png_is_in_metres(tmp_path: Path, scale: bytes, expected: float | None) -> None:
    dots = _chunk(b"pHYs", struct.pack(">IIB", 300, 300, 1))  # say how it is to be printed
    (tmp_path / "a.png").write_bytes(_png(0, 8, [b"\1\2", b"\3\4"], 2, dots, _chunk(b"sCAL", scale)))
    assert read(tmp_path / "a.png").pixel_size_nm == (None if expected is None else pytest.approx(expected))


def test_an_animation_is_no_image(tmp_path: Path) -> None:
    more = [Image.fromarray(255 - GREY)]
    Image.fromarray(GREY).save(tmp_path / "a.png", save_all=True, append_images=more)
    with pytest.raises(MicrographReadError, match="it is an animation of 2 frames; save each as an image"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "valid"),
    [
        (_png(4, 8, [b"\1\xff\2\0"], 2), [[True, False]]),
        (_png(6, 8, [b"\1\1\1\xff\2\2\2\0"], 2), [[True, False]]),
        (_png(0, 8, [b"\1\2"], 2, _chunk(b"tRNS", b"\0\2")), [[True, False]]),
        (_png(0, 2, [b"\x18"], 3, _chunk(b"tRNS", b"\0\1")), [[True, False, True]]),
        (_png(0, 16, [b"\0\1\1\0"], 2, _chunk(b"tRNS", b"\1\0")), [[True, False]]),
        (_png(2, 8, [b"\1\1\1\2\2\2"], 2, _chunk(b"tRNS", b"\0\2\0\2\0\2")), [[True, False]]),
        (_png(3, 8, [b"\1\2"], 2, _LINEAR, _chunk(b"tRNS", b"\xff\xff\0")), [[True, False]]),
    ],
)
def test_transparent_pixels_of_png_are_no_data(
    tmp_path: Path, content: bytes, valid: list[list[bool]]
) -> None:
    (tmp_path / "a.png").write_bytes(content)
    found = read(tmp_path / "a.png")
    assert found.valid is not None
    np.testing.assert_array_equal(found.valid, valid)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_png(4, 8, [b"\1\xff\2\x80\3\0"], 3), "half transparent"),
        (_png(3, 8, [b"\1\2"], 2, _RED), "colour picture"),
        (_png(2, 16, [b"\0\1\0\1\0\2"], 1), "16 bits and colours"),
        (_png(4, 16, [b"\0\1\xff\xff"], 1), "16 bits and colours or transparency"),
    ],
)
def test_what_png_holds_besides_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(MicrographReadError, match=told):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_rows_and_columns_stand_where_exif_says(tmp_path: Path, suffix: str) -> None:
    found = {}
    for code in (1, 3, 6):
        exif = Image.Exif()
        exif[0x0112] = code
        Image.fromarray(GREY).save(tmp_path / f"a.{suffix}", exif=exif)
        found[code] = read(tmp_path / f"a.{suffix}").image
    assert found[1].shape == GREY.shape
    np.testing.assert_array_equal(found[3], found[1][::-1, ::-1])  # its last row is the top one
    np.testing.assert_array_equal(found[6], np.rot90(found[1], -1))  # its first row is the right side


@pytest.mark.slow
def test_the_largest_png_is_read(tmp_path: Path) -> None:
    Image.new("L", (2**14, 2**14), 7).save(tmp_path / "a.png", compress_level=1)
    assert read(tmp_path / "a.png").shape == (2**14, 2**14)
    Image.new("L", (2**14, 2**14 + 1), 7).save(tmp_path / "b.png", compress_level=1)
    with pytest.raises(MicrographReadError, match="more than the 268435456 that are read"):
        read(tmp_path / "b.png")
