"""The formats of microscopes, as written by `file_writers` and by RosettaSciIO's own writers."""

from __future__ import annotations

import importlib
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import file_writers as writers
from support.format_samples import PICTURE, STACK

from motifgpu import MicrographReadError
from motifgpu.io import micrograph
from motifgpu.io.formats import guard, rosettasciio

pytest.importorskip("rsciio", reason="the extra em is not installed")
h5py = pytest.importorskip("h5py", reason="the extra em is not installed")

WRITERS: dict[str, Callable[[Path, dict[str, np.ndarray]], None]] = {
    "a.dm3": writers.write_dm,
    "a.DM4": writers.write_dm,
    "berkeley.emd": writers.write_emd,
    "velox.emd": writers.write_velox,
    "a.hspy": writers.write_hspy,
    "a.nxs": writers.write_nexus,
}


def read(path: Path, signal: str | None = None) -> micrograph.Micrograph:
    return micrograph.read(path, signal, time_limit_s=None)


def write_stack(path: Path) -> None:
    if path.suffix in (".ser", ".mrc"):
        {".ser": writers.write_ser, ".mrc": writers.write_mrc}[path.suffix](path, STACK)
    elif path.suffix in (".dm3", ".dm4"):
        writers.write_dm(path, {"ADF": STACK}, [1, 0.02, 0.02], ["", "nm", "nm"])
    else:
        {**WRITERS, "a.emd": writers.write_emd}[path.name](path, {"ADF": STACK})


@pytest.fixture(autouse=True, scope="module")
def _end_processes() -> Iterator[None]:
    yield
    guard.close()


@pytest.mark.parametrize("name", WRITERS)
def test_images_are_named_and_chosen(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path, {"ADF": PICTURE, "BF": PICTURE + 1})
    assert micrograph.signals(path) == ["ADF", "BF"]
    with pytest.raises(MicrographReadError, match="choose one with signal=: 'ADF', 'BF'"):
        read(path)
    chosen = micrograph.read(path, "BF")
    np.testing.assert_array_equal(chosen.image, PICTURE + 1.0)
    assert chosen.title == "BF"
    assert chosen.source == str(path)
    assert chosen.pixel_size_nm == pytest.approx(0.02)
    both = micrograph.read_all(path)
    assert [found.title for found in both] == ["ADF", "BF"]
    np.testing.assert_array_equal(both[0].image, PICTURE)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "int32", "uint32", "float32", "float64"]
)
@pytest.mark.parametrize("name", ["a.dm3", "a.dm4", "a.ser", "a.emd", "velox.emd", "a.hspy", "a.nxs"])
def test_every_pixel_type(tmp_path: Path, name: str, dtype: str) -> None:
    path = tmp_path / name
    picture = (PICTURE % 120 - 60 * (dtype[0] != "u")).astype(dtype)
    if name.endswith("ser"):
        writers.write_ser(path, picture[None])
    else:
        {**WRITERS, "a.dm4": writers.write_dm, "a.emd": writers.write_emd}[name](path, {"ADF": picture})
    np.testing.assert_array_equal(read(path).image, picture.astype(np.float32))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_every_pixel_type_of_mrc(tmp_path: Path, dtype: str) -> None:
    picture = (PICTURE % 120).astype(dtype)
    writers.write_mrc(tmp_path / "a.mrc", picture[None])
    np.testing.assert_array_equal(read(tmp_path / "a.mrc").image, picture.astype(np.float32))


@pytest.mark.parametrize(
    "name", ["a.dm3", "a.dm4", "a.ser", "a.mrc", "a.emd", "velox.emd", "a.hspy", "a.nxs"]
)
def test_a_stack_is_several_micrographs(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_stack(path)
    assert micrograph.signals(path) == ["0", "1", "2"]
    for index, found in enumerate(micrograph.read_all(path)):
        np.testing.assert_array_equal(found.image, STACK[index])
        assert found.pixel_size_nm == pytest.approx(0.02)
    np.testing.assert_array_equal(read(path, "1").image, STACK[1])


@pytest.mark.parametrize(
    ("scale", "unit", "expected"),
    [
        (0.02, "nm", 0.02),
        (0.2, "Å", 0.02),
        (20.0, "pm", 0.02),
        (2e-5, "µm", 0.02),
        (2e-5, "μm", 0.02),
        (-0.02, "nm", 0.02),  # an axis that runs the other way
        (1.0, "", None),
        (1.0, "nm", 1.0),  # as it says; what knows no size has no unit
        (1.0, "Å", 0.1),
        (1, "pm", 0.001),
        (0.02, "", None),
        (0.02, "1/nm", None),
        (0.02, "px", None),
        (0.02, "eV", None),
        (0.02, "mrad", None),
        (0.0, "nm", None),
        (float("nan"), "nm", None),
        (float("inf"), "nm", None),
        (1e-9, "nm", None),
        (3.0, "m", None),
        ((0.02, 0.03), "nm", None),
        ((0.02, 0.02), ("nm", ""), None),
        ((0.02, 20.0), ("nm", "pm"), 0.02),
        ((0.02, 0.02), ("nm", "1/nm"), None),
    ],
)
@pytest.mark.parametrize("name", ["a.dm3", "a.dm4"])
def test_pixel_sizes_are_right_or_none(
    tmp_path: Path, name: str, scale: Any, unit: Any, expected: float | None
) -> None:
    writers.write_dm(tmp_path / name, {"ADF": PICTURE}, scale, unit)
    assert read(tmp_path / name).pixel_size_nm == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("scale", "unit", "expected"),
    [(0.2, "Å", 0.02), (2e-5, "µm", 0.02), (0.02, "1/nm", None), (0.02, "", None), (1.0, "nm", 1.0)],
)
@pytest.mark.parametrize("name", ["a.hspy", "a.nxs", "a.emd"])
def test_units_of_hdf5_formats(
    tmp_path: Path, name: str, scale: float, unit: str, expected: float | None
) -> None:
    writer: Any = {"a.hspy": writers.write_hspy, "a.nxs": writers.write_nexus, "a.emd": writers.write_emd}[
        name
    ]
    writer(tmp_path / name, {"ADF": PICTURE}, scale, unit)
    assert read(tmp_path / name).pixel_size_nm == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("scale_m", "unit", "expected"),
    [(2e-11, "m", 0.02), (2e-12, "m", 0.002), (3e-7, "m", 300.0), (5e7, "1/m", None), (1.0, "", None)],
)
def test_pixel_size_of_velox(tmp_path: Path, scale_m: float, unit: str, expected: float | None) -> None:
    writers.write_velox(tmp_path / "a.emd", {"HAADF": PICTURE}, scale_m, unit)
    size = read(tmp_path / "a.emd").pixel_size_nm
    assert size == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("scale_m", "expected"), [(2e-11, 0.02), (1.0, None), (0.0, None), (5e7, None), (float("nan"), None)]
)
def test_pixel_size_of_ser(tmp_path: Path, scale_m: float, expected: float | None) -> None:
    writers.write_ser(tmp_path / "a.ser", PICTURE[None], scale_m)
    size = read(tmp_path / "a.ser").pixel_size_nm
    assert size == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("angstrom", "expected"), [(0.2, 0.02), (0.0, None), (1.0, None), (float("nan"), None), (-1.0, None)]
)
def test_pixel_size_of_mrc(tmp_path: Path, angstrom: float, expected: float | None) -> None:
    writers.write_mrc(tmp_path / "a.mrc", PICTURE[None], angstrom)
    size = read(tmp_path / "a.mrc").pixel_size_nm
    assert size == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(("power", "expected"), [(1.0, 0.02), (1.1, None)])
def test_axes_of_hyperspy_that_list_their_positions(
    tmp_path: Path, power: float, expected: float | None
) -> None:
    writers.write_hspy(tmp_path / "a.hspy", {"ADF": PICTURE})
    with h5py.File(tmp_path / "a.hspy", "a") as file:
        for number, length in enumerate(PICTURE.shape):
            axis = file[f"Experiments/ADF/axis-{number}"]
            axis.attrs["_type"] = "DataAxis"
            for name in ("scale", "offset", "size"):
                del axis.attrs[name]
            axis["axis"] = np.arange(length) ** power * 0.02
    size = read(tmp_path / "a.hspy").pixel_size_nm
    assert size == (None if expected is None else pytest.approx(expected))


def test_mrc_without_sampling_has_no_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    writers.write_mrc(path, PICTURE[None])
    content = bytearray(path.read_bytes())
    content[28:40] = bytes(12)  # MX, MY, MZ, by which the cell is divided
    path.write_bytes(content)
    assert read(path).pixel_size_nm is None


def test_what_is_no_image_is_refused_in_words(tmp_path: Path) -> None:
    spectrum_image = np.zeros((5, 6, 40), np.float32)
    writers.write_hspy(tmp_path / "eels.hspy", {"EELS": spectrum_image}, signal_axes=1)
    with pytest.raises(MicrographReadError, match=r"no image in it \('EELS': it is a spectrum image"):
        read(tmp_path / "eels.hspy")
    writers.write_hspy(tmp_path / "line.hspy", {"line": PICTURE}, signal_axes=1)
    with pytest.raises(MicrographReadError, match="a line of spectra"):
        read(tmp_path / "line.hspy")
    writers.write_hspy(tmp_path / "4d.hspy", {"scan": np.zeros((3, 4, 8, 9), np.uint8)})
    with pytest.raises(MicrographReadError, match="4D-STEM data or a stack of spectrum images"):
        read(tmp_path / "4d.hspy")
    writers.write_dm(tmp_path / "fft.dm4", {"FFT": PICTURE.astype(np.complex64)})
    with pytest.raises(MicrographReadError, match=r"complex .* Fourier transform"):
        read(tmp_path / "fft.dm4")
    writers.write_hspy(tmp_path / "spectrum.hspy", {"EDS": np.zeros(100)}, signal_axes=1)
    with pytest.raises(MicrographReadError, match="a spectrum or a line"):
        read(tmp_path / "spectrum.hspy")


@pytest.mark.parametrize(
    ("units", "tags"),
    [
        (("eV", "nm", "nm"), {"Meta Data": {"Signal": "EELS", "Format": "Spectrum image"}}),
        (("eV", "nm", "nm"), {}),
        (("", "nm", "nm"), {"Meta Data": {"Format": "Spectrum image"}}),
        (("nm", "nm", "nm"), {"Meta Data": {"Signal": "CL"}}),
    ],
)
def test_spectrum_images_of_digital_micrograph(
    tmp_path: Path, units: Sequence[str], tags: dict[str, Any]
) -> None:
    cube = np.zeros((7, 12, 13), np.float32)  # the spectra run along the first axis
    writers.write_dm(tmp_path / "a.dm4", {"EELS": cube}, 0.02, units, tags=tags)
    with pytest.raises(MicrographReadError, match="'EELS': it is a spectrum image"):
        read(tmp_path / "a.dm4")


@pytest.mark.parametrize("name", ["a.dm3", "a.dm4", "a.ser", "a.emd", "velox.emd", "a.hspy", "a.nxs"])
def test_large_files_are_decoded_page_by_page(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    write_stack(path)
    monkeypatch.setattr(rosettasciio, "_READ_AT_ONCE", 0)
    found = read(path, "2")
    np.testing.assert_array_equal(found.image, STACK[2])
    assert found.pixel_size_nm == pytest.approx(0.02)


def test_velox_fourier_transforms_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.emd"
    parts = [("realFloatHalfEven", "<f4"), ("imagFloatHalfEven", "<f4")]
    writers.write_velox(path, {"FFT": np.zeros((24, 31), parts), "HAADF": PICTURE})
    assert read(path).title == "HAADF"
    with pytest.raises(MicrographReadError, match="'FFT' is no micrograph: it is complex"):
        read(path, "FFT")


def test_hyperspy_file_without_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.hspy"
    writers.write_hspy(path, {"ADF": PICTURE})
    with h5py.File(path, "a") as file:
        del file["Experiments/ADF/data"]
        file["Experiments/ADF/data"] = PICTURE
    np.testing.assert_array_equal(read(path).image, PICTURE)


def test_an_image_beside_other_data_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.dm4"
    images = {"HAADF": PICTURE, "FFT": PICTURE.astype(np.complex64)}
    writers.write_dm(path, images)
    assert read(path).title == "HAADF"
    with pytest.raises(MicrographReadError, match="'FFT' is no micrograph: it is complex"):
        read(path, "FFT")


def test_same_titles_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.nxs"
    writers.write_nexus(path, {"first": PICTURE, "second": PICTURE + 1})
    with h5py.File(path, "a") as file:
        file.move("entry/second", "other/first")
    assert micrograph.signals(path) == ["first", "first (1)"]
    np.testing.assert_array_equal(read(path, "first (1)").image, PICTURE + 1.0)


def test_velox_reads_all_frames_beside_a_spectrum_image(tmp_path: Path) -> None:
    path = tmp_path / "a.emd"
    writers.write_velox(path, {"HAADF": STACK})
    with h5py.File(path, "a") as file:
        file.create_group("Data/SpectrumImage")
        file.create_group("Displays/ImageDisplay")
    if importlib.util.find_spec("sparse"):
        assert micrograph.signals(path) == ["0", "1", "2"]
    else:
        with pytest.raises(MicrographReadError, match="sparse"):
            read(path)


def _signal(data: np.ndarray, axes: int) -> dict[str, Any]:
    return {
        "data": data,
        "axes": [
            {
                **{"name": "zyx"[number - data.ndim], "scale": 0.02, "offset": 0.0, "units": "nm"},
                **{"size": length, "navigate": number < data.ndim - axes, "_type": "UniformDataAxis"},
                **{"index_in_array": number, "is_binned": False},
            }
            for number, length in enumerate(data.shape)
        ],
        "metadata": {"General": {"title": "ADF"}, "Signal": {"signal_type": ""}},
        "original_metadata": {},
        **{"learning_results": {}, "models": {}},
        "attributes": {"_lazy": False},
        "tmp_parameters": {},
        "package_info": {"package": "", "package_version": ""},
    }


@pytest.mark.parametrize("module", ["hspy", "nexus", "emd"])
@pytest.mark.parametrize("data", [PICTURE, STACK])
def test_files_of_other_writers(tmp_path: Path, module: str, data: np.ndarray) -> None:
    path = tmp_path / f"a.{'nxs' if module == 'nexus' else module}"
    importlib.import_module(f"rsciio.{module}").file_writer(str(path), _signal(data, 2))
    found = micrograph.read_all(path)
    assert len(found) == (1 if data.ndim == 2 else 3)
    np.testing.assert_array_equal(found[-1].image, PICTURE if data.ndim == 2 else STACK[2])
    assert found[0].pixel_size_nm == pytest.approx(0.02)


def _in_another_file(path: Path, how: str) -> None:
    secret = path.with_name("secret.h5")
    with h5py.File(secret, "w") as file:
        file["data"] = PICTURE
    raw = path.with_name("secret.raw")
    raw.write_bytes(PICTURE.tobytes())
    writers.write_hspy(path, {"ADF": PICTURE})
    with h5py.File(path, "a") as file:
        group = file["Experiments/ADF"]
        del group["data"]
        if how == "link":
            group["data"] = h5py.ExternalLink(secret.name, "data")
        elif how == "storage":
            group.create_dataset("data", PICTURE.shape, "<u2", external=[(raw.name, 0, h5py.h5f.UNLIMITED)])
        else:
            layout = h5py.VirtualLayout(PICTURE.shape, "<u2")
            layout[:] = h5py.VirtualSource(secret.name, "data", PICTURE.shape)
            group.create_virtual_dataset("data", layout)


@pytest.mark.parametrize("how", ["link", "storage", "virtual"])
def test_hdf5_does_not_reach_into_other_files(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.hspy"
    _in_another_file(path, how)
    with pytest.raises(MicrographReadError, match=r"another file.*which is not opened"):
        read(path)


def test_hdf5_that_announces_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.hspy"
    writers.write_hspy(path, {"ADF": PICTURE})
    with h5py.File(path, "a") as file:
        del file["Experiments/ADF/data"]
        file["Experiments/ADF"].create_dataset("data", (100_000, 100_000), "<f8", chunks=(100, 100))
    with pytest.raises(
        MicrographReadError, match=r"announces \(100000, 100000\) values in .*, more than its 0"
    ):
        read(path)


def test_hdf5_links_in_a_circle(tmp_path: Path) -> None:
    path = tmp_path / "a.nxs"
    writers.write_nexus(path, {"ADF": PICTURE})
    with h5py.File(path, "a") as file:
        file["entry/again"] = file["entry"]
        file["entry/round"] = h5py.SoftLink("/entry/round")
    try:
        found = micrograph.read(path, time_limit_s=20)
    except MicrographReadError:
        return
    assert found.shape == PICTURE.shape


@pytest.mark.parametrize("at_once", [0, 2**28])
def test_hdf5_files_are_closed(tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosettasciio, "_READ_AT_ONCE", at_once)
    for name in ("a.emd", "a.hspy", "a.nxs"):
        WRITERS.get(name, writers.write_emd)(tmp_path / name, {"ADF": PICTURE})
        read(tmp_path / name)
    writers.write_hspy(tmp_path / "bad.hspy", {"ADF": PICTURE})
    with h5py.File(tmp_path / "bad.hspy", "a") as file:
        del file["Experiments/ADF/axis-0"]
    with pytest.raises(MicrographReadError):
        read(tmp_path / "bad.hspy")
    assert not h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)


@pytest.mark.parametrize(
    ("at", "number"), [(0, 2**31 - 1), (4, -5), (8, 2**30), (0, 0), (12, 99), (92, 2**31 - 1), (92, -1024)]
)
def test_mrc_headers_that_lie(tmp_path: Path, at: int, number: int) -> None:
    path = tmp_path / "a.mrc"
    writers.write_mrc(path, PICTURE[None])
    content = bytearray(path.read_bytes())
    struct.pack_into("<i", content, at, number)
    path.write_bytes(content)
    with pytest.raises(MicrographReadError, match="header announces"):
        read(path)


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("rsciio")]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("a.dm4", "a.emd", "a.ser"):
        (tmp_path / name).write_bytes(b"\x00" * 64)
        with pytest.raises(MicrographReadError, match=r"extra em: pip install 'motifgpu\[em\]'"):
            read(tmp_path / name)


@pytest.mark.parametrize(("name", "title"), [("adf1.dm4", "ADF1_11"), ("adf2.dm4", "ADF2_11")])
def test_real_dm4_has_its_pixel_size(data_folder: Path, name: str, title: str) -> None:
    path = data_folder / "TiWSe2" / name
    found = micrograph.read(path)
    assert found.shape == (512, 512)
    assert found.pixel_size_nm == pytest.approx(0.03988, abs=1e-5)
    assert found.title == title
    np.testing.assert_array_equal(found.image, read(path).image)
