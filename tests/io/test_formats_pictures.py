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
