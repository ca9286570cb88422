from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import motifgpu
from motifgpu import Micrograph, MicrographReadError, StageError, read

PICTURE = np.random.default_rng(0).integers(0, 60000, (24, 31)).astype(np.uint16)


@pytest.mark.parametrize("suffix", ["npy", "npz", "tif", "tiff", "png", "PNG"])
def test_pixels_survive_each_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scan.{suffix}"
    if suffix == "npy":
        np.save(path, PICTURE)
    elif suffix == "npz":
        np.savez(path, scan=PICTURE)
    elif suffix.startswith("tif"):
        tifffile.imwrite(path, PICTURE)
    else:
        Image.fromarray(PICTURE).save(path)
    micrograph = read(path)
    assert micrograph.image.dtype == np.float32
    np.testing.assert_array_equal(micrograph.image, PICTURE.astype(np.float32))
    assert micrograph.pixel_size_nm is None
    assert micrograph.source == str(path)
    assert micrograph.shape == PICTURE.shape


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64", ">f4", ">u2", "bool"])
def test_every_pixel_type_is_read(tmp_path: Path, dtype: str) -> None:
    image = (PICTURE % 2 if dtype == "bool" else PICTURE % 200).astype(dtype)
    np.save(tmp_path / "a.npy", image)
    np.testing.assert_array_equal(read(tmp_path / "a.npy").image, image.astype(np.float32))


def test_npz_that_names_its_image_and_pixel_size(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=PICTURE, other=PICTURE, points=np.zeros((3, 2)), pixel_size_nm=0.02)
    micrograph = read(tmp_path / "a.npz")
    assert micrograph.pixel_size_nm == pytest.approx(0.02)
    np.testing.assert_array_equal(micrograph.image, PICTURE)


def test_several_images_are_named_and_chosen(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", haadf=PICTURE, bf=PICTURE + 1)
    with pytest.raises(MicrographReadError, match=r"holds 2 images; choose one with signal=: 'haadf', 'bf'"):
        read(tmp_path / "a.npz")
    assert read(tmp_path / "a.npz", signal="bf").image[0, 0] == PICTURE[0, 0] + 1
    with pytest.raises(MicrographReadError, match=r"no image 'eels'; there is: 'haadf', 'bf'"):
        read(tmp_path / "a.npz", signal="eels")
    tifffile.imwrite(
        tmp_path / "b.tif", np.stack([PICTURE, PICTURE + 1, PICTURE + 2]), photometric="minisblack"
    )
    assert read(tmp_path / "b.tif", signal="2").image[0, 0] == PICTURE[0, 0] + 2


def test_grey_picture_with_colour_channels(tmp_path: Path) -> None:
    grey = (PICTURE % 251).astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read(tmp_path / "grey.png").image, grey)
    Image.fromarray(np.stack([grey, grey[::-1], grey], -1)).save(tmp_path / "colour.png")
    with pytest.raises(
        MicrographReadError, match="colour picture; save the detector's signal as a grey image"
    ):
        read(tmp_path / "colour.png")


def test_bad_files_give_one_kind_of_error(tmp_path: Path) -> None:
    good = io.BytesIO()
    np.save(good, PICTURE)
    cases = {
        "missing.npy": (None, "no such file"),
        "empty.npy": (b"", "the file is empty"),
        "noise.npy": (b"\x00" * 50, "."),
        "cut.npy": (good.getvalue()[:-100], "."),
        "cut.png": (b"\x89PNG\r\n\x1a\n1234", "."),
        "cut.tif": (b"II*\x00\x08\x00\x00\x00", "."),
        "cut.npz": (b"PK\x03\x04", "."),
        "scan.xyz": (b"abc", r"\.xyz is not a format we read"),
        "scan": (b"abc", "no suffix is not a format we read"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(MicrographReadError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert caught.value.path == str(path)


def test_pickles_are_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "exploded",))  # type: ignore[return-value]

    np.save(tmp_path / "a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", image=np.array([Bomb()], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(MicrographReadError, match="allow_pickle"):
            read(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_archive_without_an_image(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    with pytest.raises(MicrographReadError):
        read(tmp_path / "a.npz")
    np.save(tmp_path / "line.npy", np.zeros(5))
    with pytest.raises(MicrographReadError, match=r"shape \(5,\)"):
        read(tmp_path / "line.npy")
    np.save(tmp_path / "complex.npy", np.zeros((5, 5), complex))
    with pytest.raises(MicrographReadError, match="dtype complex128"):
        read(tmp_path / "complex.npy")


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rsciio", None)
    (tmp_path / "a.dm4").write_bytes(b"\x00" * 64)
    with pytest.raises(MicrographReadError, match=r"extra em: pip install 'motifgpu\[em\]'"):
        read(tmp_path / "a.dm4")


def test_damaged_dm4(tmp_path: Path) -> None:
    pytest.importorskip("rsciio")
    (tmp_path / "a.dm4").write_bytes(b"\x00\x00\x00\x04" + b"\x07" * 200)
    with pytest.raises(MicrographReadError):
        read(tmp_path / "a.dm4")


def test_real_dm4_has_its_pixel_size(data_folder: Path) -> None:
    pytest.importorskip("rsciio")
    micrograph = read(data_folder / "TiWSe2" / "adf2.dm4")
    assert micrograph.shape == (512, 512)
    assert micrograph.pixel_size_nm == pytest.approx(0.03988, abs=1e-5)
    assert micrograph.title == "ADF2_11"


def test_from_array_checks() -> None:
    with pytest.raises(
        StageError, match=r"micrograph: the image has shape \(2, 3, 4\); give an array of 2 dim"
    ):
        Micrograph.from_array(np.zeros((2, 3, 4)))
    with pytest.raises(StageError, match="pixel_size_nm is -1"):
        Micrograph.from_array(np.zeros((2, 3)), -1)
    with pytest.raises(StageError, match="not empty"):
        Micrograph.from_array(np.zeros((0, 3)))


def test_public_names_load() -> None:
    for name in motifgpu.__all__:
        assert getattr(motifgpu, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        motifgpu.nothing  # noqa: B018
