from __future__ import annotations

import io
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import motifgpu
import motifgpu.io.micrograph
from motifgpu import Micrograph, MicrographReadError, StageError, read
from motifgpu.io.formats import pages
from motifgpu.io.micrograph import read_all, signals

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


def test_of_takes_whatever_holds_a_micrograph(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PICTURE)
    from_file = Micrograph.of(tmp_path / "a.npy")
    assert from_file.title == "a"
    assert Micrograph.of(from_file) is from_file
    np.testing.assert_array_equal(Micrograph.of(str(tmp_path / "a.npy")).image, Micrograph.of(PICTURE).image)
    with pytest.raises(StageError, match="an array of 2 dim"):
        Micrograph.of(np.zeros((2, 2, 2)))


def test_a_stack_is_several_micrographs(tmp_path: Path) -> None:
    stack = np.stack([PICTURE, PICTURE + 1, PICTURE + 2])
    np.save(tmp_path / "a.npy", stack)
    np.savez_compressed(tmp_path / "a.npz", scans=stack, other=PICTURE + 9, pixel_size_nm=0.02)
    assert signals(tmp_path / "a.npy") == ["0", "1", "2"]
    for index, micrograph in enumerate(read_all(tmp_path / "a.npy")):
        np.testing.assert_array_equal(micrograph.image, stack[index])
        assert micrograph.title == str(index)
    assert signals(tmp_path / "a.npz") == ["scans[0]", "scans[1]", "scans[2]", "other"]
    chosen = read(tmp_path / "a.npz", "scans[2]")
    np.testing.assert_array_equal(chosen.image, stack[2])
    assert chosen.pixel_size_nm == pytest.approx(0.02)
    with pytest.raises(MicrographReadError, match="holds 3 images; choose one with signal=: '0', '1', '2'"):
        read(tmp_path / "a.npy")


def test_a_stack_too_large_to_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", np.stack([PICTURE] * 3))
    monkeypatch.setattr(motifgpu.io.micrograph, "LARGEST_STACK", PICTURE.size * 2)
    with pytest.raises(
        MicrographReadError, match="its 3 images have 2232 px, more than 1488; read them one by"
    ):
        read_all(tmp_path / "a.npy")
    assert read(tmp_path / "a.npy", "2").shape == PICTURE.shape


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5), r"shape \(5,\): a spectrum or a line"),
        (np.zeros((3, 4, 8, 8)), r"shape \(3, 4, 8, 8\): 4D-STEM data"),
        (np.zeros((24, 31, 3), np.uint8), r"shape \(24, 31, 3\): colours or channels"),
        (np.zeros((5, 5), complex), "complex .dtype complex128., such as a Fourier transform"),
        (np.zeros((5, 5), "U3"), "its values are <U3, not real numbers"),
        (np.zeros((5, 5), [("re", "f4"), ("im", "f4")]), "several components"),
        (np.zeros((0, 5)), "announces an image of 0 x 5 px"),
    ],
)
def test_arrays_that_are_no_image(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(MicrographReadError, match=message):
        read(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", first=array, second=PICTURE)
    if 0 not in array.shape:
        assert read(tmp_path / "a.npz").title == "second"
        with pytest.raises(MicrographReadError, match=f"'first' is no micrograph: .*{message}"):
            read(tmp_path / "a.npz", "first")


@pytest.mark.parametrize(
    "shape", ["(-4, 4)", "(4611686018427387904, 8)", "(1000000, 1000000)", "(16000, 16000)"]
)
def test_headers_of_arrays_that_lie(tmp_path: Path, shape: str) -> None:
    text = f"{{'descr': '<u2', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(500)
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", content)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(MicrographReadError, match="announces"):
            read(tmp_path / name)


def test_a_small_file_does_not_expand_without_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does what could be as large as it says."""
    np.savez_compressed(tmp_path / "a.npz", np.zeros((2048, 2048)))
    Image.fromarray(np.zeros((4096, 4096), np.uint8)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2048, 2048)), compression="zlib")
    for name in ("a.npz", "a.png", "a.tif"):
        assert read(tmp_path / name).image.max() == 0
        monkeypatch.setattr(pages, "EXPANDED_ALWAYS", 2**20)
        with pytest.raises(MicrographReadError, match=r"no more than \d+ are read, 1048576 or 100 times its"):
            read(tmp_path / name)
        monkeypatch.undo()


def test_a_stack_in_an_archive_is_expanded_a_page_at_a_time(tmp_path: Path) -> None:
    stack = np.zeros((64, 512, 512), np.uint16) + np.arange(64, dtype=np.uint16)[:, None, None]
    np.savez_compressed(tmp_path / "a.npz", stack)
    for index in (40, 3):
        tracemalloc.start()
        found = read(tmp_path / "a.npz", f"{index}")
        assert tracemalloc.get_traced_memory()[1] < stack.nbytes / 2
        tracemalloc.stop()
        np.testing.assert_array_equal(found.image, stack[index])
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[-200] ^= 1  # far behind the page that is read
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(MicrographReadError):
        read(tmp_path / "a.npz", "0")


def test_listing_takes_time_in_proportion_to_what_there_is(tmp_path: Path) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (8, 8), }".ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    for number in (1000, 4000):
        with zipfile.ZipFile(tmp_path / f"{number}.npz", "w") as archive:
            for index in range(number):
                archive.writestr(f"{index}.npy", content)

    def seconds(number: int) -> float:
        begun = time.process_time()
        assert len(signals(tmp_path / f"{number}.npz")) == number
        return time.process_time() - begun

    few, many = (min(seconds(number) for _ in range(2)) for number in (1000, 4000))
    assert many < 8 * few  # 4 times as much; it was 16 times


@pytest.mark.parametrize("size", [0.0, -1.0, np.nan, np.inf, "0.02", [0.02, 0.03], [0.02] * 3, True])
def test_pixel_sizes_in_npz_that_are_none(tmp_path: Path, size: object) -> None:
    np.savez(tmp_path / "a.npz", image=PICTURE, pixel_size_nm=size)
    assert read(tmp_path / "a.npz").pixel_size_nm is None


@pytest.mark.parametrize("size", [[0.02], [0.02, 0.02], [[0.02]], np.float16(0.02)])
def test_pixel_sizes_in_npz_of_any_shape(tmp_path: Path, size: object) -> None:
    np.savez(tmp_path / "a.npz", image=PICTURE, pixel_size_nm=size)
    assert read(tmp_path / "a.npz").pixel_size_nm == pytest.approx(0.02, rel=1e-3)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_axes_of_length_one_are_none(tmp_path: Path, suffix: str, order: Any) -> None:
    path = tmp_path / f"a.{suffix}"
    stack = np.stack([PICTURE, PICTURE + 1])
    save: Any = {"npy": np.save, "npz": lambda file, array: np.savez(file, a=array)}[suffix]
    for array in (PICTURE[None], PICTURE[None, None], PICTURE[..., None], PICTURE[:, None]):
        save(path, np.asarray(array, order=order))
        np.testing.assert_array_equal(read(path).image, PICTURE)
    for array in (stack[:, None], stack[None], stack[..., None]):
        save(path, np.asarray(array, order=order))
        np.testing.assert_array_equal([one.image for one in read_all(path)], stack)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy(tmp_path: Path, version: tuple[int, int]) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, PICTURE, version=version)
    np.testing.assert_array_equal(read(tmp_path / "a.npy").image, PICTURE)


def test_only_the_chosen_array_is_decoded(tmp_path: Path) -> None:
    large = np.tile(PICTURE, (20, 20))
    np.savez(tmp_path / "a.npz", good=large, bad=large + 1)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.rindex((large + 1).tobytes()[-64:])] ^= 1  # the checksum no longer fits
    (tmp_path / "a.npz").write_bytes(content)
    assert signals(tmp_path / "a.npz") == ["good", "bad"]
    np.testing.assert_array_equal(read(tmp_path / "a.npz", "good").image, large)
    with pytest.raises(MicrographReadError, match="BadZipFile"):
        read(tmp_path / "a.npz", "bad")


def test_an_image_beside_pickled_metadata(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", scan=PICTURE, metadata=np.array({"voltage": 80}, dtype=object))
    np.testing.assert_array_equal(read(tmp_path / "a.npz").image, PICTURE)
    with pytest.raises(MicrographReadError, match=r"'metadata' is no micrograph: .*pickled objects"):
        read(tmp_path / "a.npz", "metadata")


def test_pixels_outlive_their_file(tmp_path: Path) -> None:
    for image in (PICTURE.astype(np.float32), np.stack([PICTURE] * 2).astype(np.float32)):
        np.save(tmp_path / "a.npy", image)
        micrograph = read_all(tmp_path / "a.npy")[0]
        with open(tmp_path / "a.npy", "r+b") as file:
            file.seek(128)
            file.write(bytes(image.nbytes))
        np.testing.assert_array_equal(micrograph.image, PICTURE)
        assert micrograph.image.flags.owndata
        assert micrograph.image.flags.writeable


def test_names_that_are_no_file_names(tmp_path: Path) -> None:
    for path in ("null\0byte.npy", tmp_path, "x" * 5000 + ".npy"):
        with pytest.raises(MicrographReadError):
            read(path)


def test_from_array_checks() -> None:
    with pytest.raises(
        StageError, match=r"micrograph: the image has shape \(2, 3, 4\); give an array of 2 dim"
    ):
        Micrograph.from_array(np.zeros((2, 3, 4)))
    with pytest.raises(StageError, match="pixel_size_nm is -1"):
        Micrograph.from_array(np.zeros((2, 3)), -1)
    with pytest.raises(StageError, match="not empty"):
        Micrograph.from_array(np.zeros((0, 3)))


def test_what_a_reader_does_not_know_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise KeyError(99)

    np.save(tmp_path / "a.npy", np.zeros((16, 16)))
    monkeypatch.setattr(motifgpu.io.micrograph.formats, "contents", unknown)
    with pytest.raises(MicrographReadError, match=r"that its reader does not know \(KeyError: 99\)"):
        read(tmp_path / "a.npy")
