"""EMD files of NCEM, as its description has them, written with h5py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from motifgpu import MicrographReadError, read, read_all, signals
from motifgpu.io.formats import guard

h5py = pytest.importorskip("h5py", reason="the extra em is not installed")
pytest.importorskip("rsciio", reason="the extra em is not installed")

IMAGE = np.arange(24 * 31, dtype=np.float32).reshape(24, 31)
STACK = np.stack([IMAGE, IMAGE + 1, IMAGE + 2, IMAGE + 3, IMAGE + 4])


@pytest.fixture(autouse=True, scope="module")
def _end_processes() -> Iterator[None]:
    yield
    guard.close()


def written(
    folder: Path,
    data: np.ndarray,
    names: Sequence[str],
    unit: str | bytes = "[n_m]",
    *,
    step: float = 0.02,
    group: str = "data/scan",
    first: int = 1,
) -> Path:
    with h5py.File(folder / "a.emd", "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        place = file.create_group(group)
        place.attrs["emd_group_type"] = 1
        place["data"] = data
        for number, (length, name) in enumerate(zip(data.shape, names, strict=True), first):
            vector = place.create_dataset(f"dim{number}", data=np.arange(length) * step)
            vector.attrs["name"], vector.attrs["units"] = name, unit
    return folder / "a.emd"


@pytest.mark.parametrize(
    ("names", "turned"),
    [
        (("y", "x"), False),
        (("x", "y"), True),
        (("Y", "X"), False),
        (("R_x", "R_y"), True),
        (("x axis", "y axis"), True),
        (("width", "height"), True),
        (("x (nm)", "y (nm)"), True),
        (("x [n_m]", "y [n_m]"), True),
        (("x / nm", "y / nm"), True),
        (("X position", "Y position"), True),
        (("scanx", "scany"), True),
        (("image_x", "image_y"), True),
        (("fast", "slow"), True),
        (("slow scan", "fast scan"), False),
        (("horizontal", "vertical"), True),
        (("row index", "column index"), False),
        (("x", "x"), False),
        (("row", "column"), False),
        (("x", ""), True),  # the other is y
        (("", "x"), False),
        (("", ""), False),  # as its own programs store: rows first
        (("dim1", "dim2"), False),
        (("position", "intensity"), False),
    ],
)
def test_dimensions_are_what_they_are_called(tmp_path: Path, names: tuple[str, str], turned: bool) -> None:
    found = read(written(tmp_path, IMAGE.T if turned else IMAGE, names))
    np.testing.assert_array_equal(found.image, IMAGE)
    assert found.pixel_size_nm == pytest.approx(0.02)
    assert found.title == "scan"


@pytest.mark.parametrize(
    "names", [("z", "y", "x"), ("x", "y", "z"), ("y", "x", "time"), ("x", "t", "y"), ("", "", "")]
)
def test_stacks_in_any_order(tmp_path: Path, names: tuple[str, str, str]) -> None:
    place = {"y": 1, "x": 2}
    order = [place.get(name, 0) for name in names] if any(names) else [0, 1, 2]
    path = written(tmp_path, STACK.transpose(order), names)
    np.testing.assert_array_equal([one.image for one in read_all(path)], STACK)
    assert signals(path) == ["0", "1", "2", "3", "4"]


def test_what_hyperspy_left_without_names_begins_with_x(tmp_path: Path) -> None:
    path = written(tmp_path, IMAGE.T, ("", ""), group="signals/scan")
    np.testing.assert_array_equal(read(path).image, IMAGE)


def test_dimensions_counted_from_0_are_stored_as_they_are_shown(tmp_path: Path) -> None:
    path = written(tmp_path, IMAGE, ("Rx", "Ry"), first=0)  # py4DSTEM's x runs down
    np.testing.assert_array_equal(read(path).image, IMAGE)
    path = written(tmp_path, IMAGE.T, ("x", "y"), first=0)
    np.testing.assert_array_equal(read(path).image, IMAGE)


@pytest.mark.parametrize(
    ("unit", "step", "expected"),
    [
        ("[n_m]", 0.02, 0.02),
        ("n_m", 0.02, 0.02),
        ("nm", 0.02, 0.02),
        (b"nm", 0.02, 0.02),
        ("[Å]", 0.2, 0.02),
        ("[u_m]", 2e-5, 0.02),
        ("[n_m]", 1.0, 1.0),
        ("[n_m^-1]", 0.02, None),
        ("[1_/_n_m]", 0.02, None),
        ("[p_x]", 1.0, None),
        ("", 1.0, None),
    ],
)
def test_units(tmp_path: Path, unit: str | bytes, step: float, expected: float | None) -> None:
    size = read(written(tmp_path, IMAGE, ("y", "x"), unit, step=step)).pixel_size_nm
    assert size == (None if expected is None else pytest.approx(expected))


def test_uneven_steps_are_no_pixel_size(tmp_path: Path) -> None:
    path = written(tmp_path, IMAGE, ("y", "x"))
    with h5py.File(path, "a") as file:
        file["data/scan/dim1"][10:] += 0.5
    assert read(path).pixel_size_nm is None


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MicrographReadError, match="complex"):
        read(written(tmp_path, IMAGE.astype(np.complex64), ("y", "x")))
    with pytest.raises(MicrographReadError, match="4D-STEM"):
        read(written(tmp_path, np.zeros((5, 6, 7, 8)), ("Ry", "Rx", "Qy", "Qx")))
    with pytest.raises(MicrographReadError, match="spectrum image"):
        read(written(tmp_path, STACK, ("energy", "y", "x"), "[e_V]"))
    with pytest.raises(MicrographReadError, match="a spectrum or a line"):
        read(written(tmp_path, IMAGE[0], ("x",)))
