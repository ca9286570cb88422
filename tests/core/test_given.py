"""Arrays of other libraries, of which those that are not installed are played by what defines them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from motifgpu import Micrograph, StageError, find_columns, simulate
from motifgpu.core.checks import check_array

IMAGE = np.arange(20 * 30, dtype=np.float32).reshape(20, 30)


class Tensor:
    """What shares its memory by DLPack and has nothing else of an array, such as PyTorch's tensors."""

    requires_grad = False

    def __init__(self, values: np.ndarray, device: int = 1, *, requires_grad: bool = False) -> None:
        self.values, self.device, self.requires_grad = values, device, requires_grad

    def detach(self) -> Tensor:
        return Tensor(self.values, self.device)

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError("it wants its gradient")
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0


class DataArray:
    """What xarray's arrays are known by."""

    def __init__(self, values: np.ndarray, dims: tuple[str, str]) -> None:
        self.values, self.dims = values, dims


def _dask(values: np.ndarray) -> Any:
    return pytest.importorskip("dask.array").from_array(values, chunks=7)


def _pandas(values: np.ndarray) -> Any:
    return pytest.importorskip("pandas").DataFrame(values)


def _polars(values: np.ndarray) -> Any:
    return pytest.importorskip("polars").DataFrame(values)


@pytest.mark.parametrize(
    "made",
    [
        Tensor,
        lambda values: Tensor(values, requires_grad=True),
        lambda values: DataArray(values, ("y", "x")),
        lambda values: DataArray(values.T, ("x", "y")),
        lambda values: DataArray(values, ("rows", "columns")),
        lambda values: DataArray(values.T, ("columns", "rows")),
        lambda values: DataArray(values.T, ("X [nm]", "Y [nm]")),
        lambda values: _pandas(values).astype("Float32"),
        _dask,
        _pandas,
        _polars,
        memoryview,
        np.ndarray.tolist,
        np.asfortranarray,
        lambda values: values.astype(">f8"),
        lambda values: values.astype("float16"),
        lambda values: values.astype("longdouble"),
        lambda values: np.ma.array(values),
    ],
)
def test_arrays_of_all_kinds_are_the_same_image(made: Any) -> None:
    found = Micrograph.of(made(IMAGE))
    assert type(found.image) is np.ndarray
    assert found.image.dtype == np.float32
    np.testing.assert_array_equal(found.image, IMAGE)
    assert found.valid is None


def test_masks_come_along_through_dask() -> None:
    masked = np.ma.array(IMAGE, mask=IMAGE > 500)
    for given in (masked, _dask(masked)):
        found = Micrograph.of(given)
        assert found.valid is not None
        np.testing.assert_array_equal(found.valid, IMAGE <= 500)


def test_what_a_table_lacks_is_masked() -> None:
    whole = IMAGE.astype(np.int64) + 2**60
    table = _pandas(whole).astype("Int64").mask(_pandas(IMAGE) > 500)
    found = Micrograph.of(table)
    assert found.valid is not None
    np.testing.assert_array_equal(found.valid, IMAGE <= 500)
    values = found.image.astype(np.int64) + int(found.offset)
    np.testing.assert_array_equal(values[found.valid], whole[IMAGE <= 500])
    with pytest.raises(StageError, match="dtype object"):
        Micrograph.of(_pandas(IMAGE.astype(str)))


def test_what_lies_under_a_mask_is_not_used() -> None:
    made = simulate.monolayer(shape=(128, 128), counts=100)
    mask = np.zeros(made.image.shape, bool)
    mask[:40] = True
    columns = [
        find_columns(np.ma.array(np.where(mask, under, made.image), mask=mask)).points
        for under in (-1e5, 1e6)
    ]
    np.testing.assert_array_equal(*columns)
    assert columns[0][:, 0].min() > 39


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Tensor(IMAGE, 10), r"Tensor on a device of kind 10"),
        (IMAGE.astype(complex), "dtype complex128"),
        (IMAGE.astype(object), "dtype object"),
        (Image.fromarray(IMAGE.astype("uint8")).convert("P"), r"palette \(PIL.Image\).*convert\('L'\)"),
        (IMAGE.astype("U8"), "dtype <U"),
        (IMAGE.astype("M8[s]"), "dtype datetime64"),
        (None, "dtype object"),
    ],
)
def test_others_are_refused_by_name(given: Any, told: str) -> None:
    with pytest.raises(StageError, match=told):
        Micrograph.of(given)


def test_what_lies_on_a_gpu_needs_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(StageError, match="Tensor on a GPU, and CuPy is not installed"):
        Micrograph.of(Tensor(IMAGE, 2))


def test_sparse_arrays_are_refused_by_name() -> None:
    from scipy import sparse

    for made in (sparse.csr_matrix, sparse.coo_array):
        with pytest.raises(StageError, match=r"the image is sparse \(scipy.*x.toarray\(\)"):
            Micrograph.of(made(IMAGE))


def test_masked_values_are_no_points() -> None:
    points = np.random.default_rng(0).random((20, 2))
    with pytest.raises(StageError, match="x has 1 masked values"):
        check_array(np.ma.masked_greater(points, np.sort(points.ravel())[-2]), "neighbors", "x", 2)
    _, x = check_array(np.ma.array(points), "neighbors", "x", 2)
    assert type(x) is np.ndarray


@pytest.mark.parametrize(
    ("dtype", "offset"),
    [
        *(("uint64", 2**60), ("uint64", 2**64 - 10_000), ("int64", 2**61), ("int64", -(2**62))),
        *(("int32", 2**29), ("int32", -(2**30)), ("uint32", 2**31), ("uint32", 2**25)),
        *((">i8", 2**40), (">u4", 2**31)),
    ],
)
def test_whole_numbers_lose_nothing(dtype: str, offset: int) -> None:
    counts = np.random.default_rng(0).integers(0, 5000, (40, 50))
    image = np.array([[offset + int(count) for count in row] for row in counts], dtype)
    found = Micrograph.of(image)
    back = found.image.astype(np.int64).astype(object) + int(found.offset)
    assert (back == image.astype(object)).all()


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9, 1e12])
def test_doubles_keep_what_they_differ_by(offset: float) -> None:
    values = np.random.default_rng(0).integers(0, 800, (40, 50)) / 8.0
    found = Micrograph.of(values + offset)
    np.testing.assert_allclose(found.image.astype(float) + (found.offset - offset), values, atol=1e-3)
