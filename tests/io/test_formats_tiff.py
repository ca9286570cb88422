from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from support.format_samples import PICTURE, STACK

from motifgpu import MicrographReadError, read
from motifgpu.io.formats.units import nanometres, square
from motifgpu.io.micrograph import read_all, signals


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.02, "nm", 0.02),
        ("0.2", "Å", 0.02),  # the letter
        (0.2, "\u212b", 0.02),  # the sign of the unit
        (0.2, "Angstrom", 0.02),
        (0.2, "A", 0.02),
        (0.2, "$\\AA$", 0.02),
        (20, "pm", 0.02),
        (2e-5, "µm", 0.02),
        (2e-5, "μm", 0.02),
        (2e-5, "um", 0.02),
        (2e-5, "\\u00B5m", 0.02),
        (2e-5, "micron", 0.02),
        (2e-5, "micrometres", 0.02),
        (2e-5, "Micrometers", 0.02),
        (2e-5, "µ", 0.02),
        (2e-5, " µm\0", 0.02),
        (2e-9, "cm", 0.02),
        (2e-9, "centimeters", 0.02),
        (2e-8, "millimetre", 0.02),
        (2e4, "fm", 0.02),
        (2e7, "am", 0.02),  # the prefixes that OME lists
        (2e10, "zm", 0.02),
        (2e13, "ym", 0.02),
        (2e-10, "dm", 0.02),
        (2e-12, "dam", 0.02),
        (2e-13, "hm", 0.02),
        (2e-14, "km", 0.02),
        (2e-17, "Mm", None),  # a megametre, which millimetres of some programs look like
        (2e-26, "Pm", None),
        (2e-8, "MM", 0.02),
        (0.02, "\u339a", 0.02),  # nm as one letter
        (0.02, "nanometros", 0.02),
        (20, "picometers", 0.02),
        (0.02, "nanometres", 0.02),
        (0.02, b"nm", 0.02),
        (0.02, "n_m", 0.02),
        (0.02, "[n_m]", 0.02),
        (0.2, "A\u030a", 0.02),  # the letter and its ring
        (0.2, "Ångström", 0.02),
        (0.2, "angstroms", 0.02),
        (1, "nm", 1.0),
        (0.02, "[1_/_n_m]", None),
        (0.02, "nm\u207b\u00b9", None),
        (0.02, "nm^2", None),
        (0.02, "nm/px", None),
        (2e-8, "mm", 0.02),
        (2e-11, "m", 0.02),
        (0.02, "", None),
        (0.02, None, None),
        (0.02, "<undefined>", None),
        (0.02, "1/nm", None),
        (0.02, "nm^-1", None),
        (0.02, "1 / nm", None),
        (0.02, "px", None),
        (0.02, "inch", None),
        (0.02, "s", None),
        (0.02, 3, None),
        (None, "nm", None),
        ("", "nm", None),
        ([0.02, 0.02], "nm", None),
        (1e400, "nm", None),
        (0, "nm", None),
        (10**400, "nm", None),
    ],
)
def test_lengths(value: object, unit: object, expected: float | None) -> None:
    assert nanometres(value, unit) == (None if expected is None else pytest.approx(expected))


def test_only_square_pixels_have_a_size() -> None:
    assert square(0.02, 0.02) == 0.02
    assert square(0.020001, 0.02) == 0.02
    assert square(0.021, 0.02) is None
    assert square(None, 0.02) is None
    assert square(0.02, None) is None


def _ome(path: Path, **calibration: Any) -> None:
    tifffile.imwrite(path, PICTURE, ome=True, metadata={"axes": "YX", **calibration})


@pytest.mark.parametrize(
    ("calibration", "expected"),
    [
        ({"PhysicalSizeX": 0.02, "PhysicalSizeXUnit": "nm"}, 0.02),
        ({"PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "Å"}, 0.02),
        ({"PhysicalSizeX": 2e-5, "PhysicalSizeXUnit": "µm"}, 0.02),
        ({"PhysicalSizeX": 20, "PhysicalSizeXUnit": "pm"}, 0.02),
        ({"PhysicalSizeX": 2e-5}, 0.02),  # the schema's unit
        ({"PhysicalSizeX": 1}, None),
        ({"PhysicalSizeX": "1.0"}, None),
        ({"PhysicalSizeX": 0.02, "PhysicalSizeXUnit": "pixel"}, None),
        ({"PhysicalSizeX": 0.02, "PhysicalSizeXUnit": "reference frame"}, None),
        ({"PhysicalSizeX": -0.0, "PhysicalSizeXUnit": "nm"}, None),
        ({}, None),
    ],
)
def test_ome(tmp_path: Path, calibration: dict[str, Any], expected: float | None) -> None:
    rows = {key.replace("SizeX", "SizeY"): value for key, value in calibration.items()}
    _ome(tmp_path / "a.ome.tif", **calibration, **rows)
    micrograph = read(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(micrograph.image, PICTURE)
    assert micrograph.pixel_size_nm == (None if expected is None else pytest.approx(expected))


def test_ome_pixels_that_are_not_square(tmp_path: Path) -> None:
    _ome(
        tmp_path / "a.tif",
        **{
            "PhysicalSizeX": 0.02,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.03,
            "PhysicalSizeYUnit": "nm",
        },
    )
    assert read(tmp_path / "a.tif").pixel_size_nm is None
    _ome(tmp_path / "b.tif", PhysicalSizeX=0.02, PhysicalSizeXUnit="nm")
    assert read(tmp_path / "b.tif").pixel_size_nm is None


def test_ome_images_have_sizes_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for name, size in (("HAADF", 0.02), ("BF", 0.05)):
            units = {
                f"PhysicalSize{axis}{kind}": value
                for axis in "XY"
                for kind, value in (("", size), ("Unit", "nm"))
            }
            file.write(PICTURE, metadata={"axes": "YX", "Name": name, **units})
    assert signals(path) == ["HAADF", "BF"]
    assert [found.pixel_size_nm for found in read_all(path)] == pytest.approx([0.02, 0.05])


def _described(path: Path, text: str) -> None:
    tifffile.imwrite(path, PICTURE, description=text, metadata=None)


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE OME SYSTEM "file:///etc/hostname">',
        '<!ENTITY x SYSTEM "file:///etc/hostname">',
    ],
)
def test_ome_entities_are_refused(tmp_path: Path, prologue: str) -> None:
    header = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"></OME>'
    _described(tmp_path / "a.tif", f'<?xml version="1.0"?>{prologue}{header}')
    with pytest.raises(MicrographReadError, match="document type or entities"):
        read(tmp_path / "a.tif")


def test_ome_header_does_not_open_other_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.tif"
    tifffile.imwrite(secret, np.full_like(PICTURE, 7))
    _described(
        tmp_path / "a.ome.tif",
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0" Name="a"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="31" '
        'SizeY="24" SizeZ="1" SizeC="1" SizeT="2"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        '<TiffData IFD="0" FirstT="0" PlaneCount="1"><UUID FileName="a.ome.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData IFD="0" FirstT="1" PlaneCount="1"><UUID FileName="secret.tif">urn:uuid:2</UUID></TiffData>'
        "</Pixels></Image></OME>",
    )
    try:
        found = read_all(tmp_path / "a.ome.tif")
    except MicrographReadError:
        return
    assert not any((micrograph.image == 7).all() for micrograph in found)


@pytest.mark.parametrize(
    ("per_unit", "unit", "expected"),
    [
        ((50, 50), "nm", 0.02),
        ((5, 5), "\\u00C5", 0.02),
        ((50_000, 50_000), "\\u00B5m", 0.02),
        ((50_000, 50_000), "um", 0.02),
        ((50_000, 50_000), "micron", 0.02),
        ((50_000, 50_000), "micrometres", 0.02),
        ((500_000_000, 500_000_000), "cm", 0.02),
        ((1, 1), "nm", 1.0),
        ((50, 50), "pixel", None),
        ((50, 50), "inch", None),
        ((72, 72), None, None),
        ((1, 1), None, None),
        ((50, 40), "nm", None),
        ((0, 0), "nm", None),
    ],
)
def test_imagej(
    tmp_path: Path, per_unit: tuple[float, float], unit: str | None, expected: float | None
) -> None:
    metadata = {"axes": "TYX", **({} if unit is None else {"unit": unit})}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=per_unit, metadata=metadata)
    found = read_all(tmp_path / "a.tif")
    assert [micrograph.title for micrograph in found] == ["0", "1", "2"]
    for index, micrograph in enumerate(found):
        np.testing.assert_array_equal(micrograph.image, STACK[index])
        assert micrograph.pixel_size_nm == (None if expected is None else pytest.approx(expected))


def test_imagej_rows_in_another_unit(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        PICTURE,
        imagej=True,
        resolution=(50, 0.05),
        metadata={"unit": "nm", "yunit": "pm"},
    )
    assert read(tmp_path / "a.tif").pixel_size_nm == pytest.approx(0.02)


def test_dots_per_inch_are_no_calibration(tmp_path: Path) -> None:
    for unit in ("INCH", "CENTIMETER", "NONE"):
        tifffile.imwrite(tmp_path / "a.tif", PICTURE, resolution=(300, 300), resolutionunit=unit)
        assert read(tmp_path / "a.tif").pixel_size_nm is None


@pytest.mark.parametrize(
    ("units", "scales", "expected"),
    [(("nm", "nm"), (0.02, 0.02), 0.02), (("", ""), (1.0, 1.0), None), (("nm", "nm"), (0.02, 0.03), None)],
)
def test_digital_micrograph_tags(
    tmp_path: Path, units: tuple[str, str], scales: tuple[float, float], expected: float | None
) -> None:
    tags = [(65003 + i, "s", 0, unit, False) for i, unit in enumerate(units) if unit]
    tags += [(65009 + i, "d", 1, scale, False) for i, scale in enumerate(scales)]
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, extratags=tags)
    assert read(tmp_path / "a.tif").pixel_size_nm == expected


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True}, {"tile": (16, 16)}])
@pytest.mark.parametrize("dtype", ["uint8", "int16", ">u2", "uint32", "float32", "float64"])
def test_layouts_and_pixel_types(tmp_path: Path, options: dict[str, Any], dtype: str) -> None:
    picture = (PICTURE % 120).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", picture, **options)
    np.testing.assert_array_equal(read(tmp_path / "a.tif").image, picture.astype(np.float32))


def test_one_directory_for_a_whole_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, truncate=True, photometric="minisblack")
    np.testing.assert_array_equal(read(tmp_path / "a.tif", "2").image, STACK[2])


def test_only_the_chosen_page_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack", compression="zlib")
    decoded: list[int] = []
    asarray = tifffile.TiffPage.asarray

    def counted(page: Any, **options: Any) -> Any:
        decoded.append(page.index)
        return asarray(page, **options)

    monkeypatch.setattr(tifffile.TiffPage, "asarray", counted)
    monkeypatch.setattr(tifffile.TiffFrame, "asarray", counted)
    assert signals(tmp_path / "a.tif") == ["0", "1", "2"]
    assert decoded == []
    read(tmp_path / "a.tif", "1")
    assert decoded == [1]


def test_colours(tmp_path: Path) -> None:
    grey = (PICTURE % 251).astype(np.uint8)
    for planar, axis in (("contig", -1), ("separate", 0)):
        tifffile.imwrite(
            tmp_path / "a.tif", np.stack([grey] * 3, axis), photometric="rgb", planarconfig=planar
        )
        np.testing.assert_array_equal(read(tmp_path / "a.tif").image, grey)
        colours = np.stack([grey, grey[::-1], grey], axis)
        tifffile.imwrite(tmp_path / "b.tif", colours, photometric="rgb", planarconfig=planar)
        with pytest.raises(MicrographReadError, match="colour picture"):
            read(tmp_path / "b.tif")


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "c.tif", PICTURE.astype(np.complex64))
    with pytest.raises(MicrographReadError, match="complex"):
        read(tmp_path / "c.tif")
    scan = np.zeros((3, 4, 16, 16), np.uint8)
    tifffile.imwrite(tmp_path / "d.tif", scan, photometric="minisblack")
    with pytest.raises(MicrographReadError, match=r"shape \(3, 4, 16, 16\): 4D-STEM data"):
        read(tmp_path / "d.tif")
    tifffile.imwrite(tmp_path / "e.tif", scan, imagej=True, metadata={"axes": "TZYX"})
    assert len(signals(tmp_path / "e.tif")) == 12


def _with_tag(path: Path, tag: int, value: int) -> None:
    """Overwrite a tag of a little-endian TIFF's first directory."""
    content = bytearray(path.read_bytes())
    (directory,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        code, kind = struct.unpack_from("<HH", content, entry)
        if code == tag:
            struct.pack_into("<HII", content, entry + 2, 4, 1, value)
    path.write_bytes(content)


@pytest.mark.parametrize(("tag", "value"), [(256, 2**32 - 1), (257, 2**31), (256, 0), (257, 0)])
def test_headers_that_lie(tmp_path: Path, tag: int, value: int) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, metadata=None)
    _with_tag(tmp_path / "a.tif", tag, value)
    with pytest.raises(MicrographReadError):
        read(tmp_path / "a.tif")


def test_directories_in_a_circle(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PICTURE, metadata=None)
    content = bytearray(path.read_bytes())
    (directory,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, directory)
    struct.pack_into("<I", content, directory + 2 + 12 * count, directory)
    path.write_bytes(content)
    try:
        found = read_all(path)
    except MicrographReadError:
        return
    assert len(found) < 3


def test_imagej_header_that_announces_a_million_pages(tmp_path: Path) -> None:
    _described(tmp_path / "a.tif", "ImageJ=1.53t\nimages=1000000\nslices=1000000\nhyperstack=true\n")
    try:
        found = signals(tmp_path / "a.tif")
    except MicrographReadError:
        return
    assert len(found) == 1
