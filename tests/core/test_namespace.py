from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.backends import same_home

from motifgpu import StageError
from motifgpu.core import device, namespace
from motifgpu.core.checks import check_array


def test_namespace_of_lists_and_arrays(xp_array: Callable[[Any], Any]) -> None:
    x = xp_array(np.ones((2, 3), np.float32))
    xp, y = check_array(x, "stage", "x", 2)
    assert same_home(y, x)
    assert namespace.array_namespace(x, 3.0) is xp
    assert namespace.array_namespace([1, 2]).__name__ == "array_api_compat.numpy"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.bool_, np.float32])
def test_numbers_become_float32(xp_array: Callable[[Any], Any], dtype: type) -> None:
    x = xp_array(np.ones((2, 3), dtype))
    xp, y = check_array(x, "stage", "x", 2)
    assert y.dtype == xp.float32
    np.testing.assert_array_equal(namespace.to_numpy(y), 1)


def test_float64_stays() -> None:
    assert check_array(np.ones(3), "stage", "x", 1)[1].dtype == np.float64
    assert check_array([1.5, 2], "stage", "x", 1)[1].dtype == np.float64


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((2, 2), complex), "a: x has dtype complex128; give real numbers"),
        (np.array([["a"]]), "a: x has dtype <U1; give real numbers"),
        (np.zeros((2, 2, 2)), r"a: x has shape \(2, 2, 2\); give an array of 2 dimensions"),
        ([[1, 2], [3]], "a: x is not a rectangular array .*; give rows of one length"),
        (np.zeros((2, 0)), r"a: x has shape \(2, 0\); give an array that is not empty"),
        (
            np.array([[1, np.nan], [np.inf, 0]]),
            "a: x has 2 of 4 values that are NaN or infinite; replace them",
        ),
    ],
)
def test_bad_input_is_named(value: Any, message: str) -> None:
    with pytest.raises(StageError, match=message):
        check_array(value, "a", "x", 2)


def test_round_trip_over_the_host(xp_array: Callable[[Any], Any]) -> None:
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    x = xp_array(a)
    np.testing.assert_array_equal(namespace.to_numpy(x), a)
    back = namespace.from_numpy(a, x)
    assert same_home(back, x)


def test_twins_agree_with_scipy(xp_array: Callable[[Any], Any]) -> None:
    from scipy import ndimage

    a = np.random.default_rng(0).normal(size=(12, 9)).astype(np.float32)
    x = xp_array(a)
    xp = namespace.array_namespace(x)
    blurred = namespace.ndimage(xp).gaussian_filter(x, 1.5)
    assert same_home(blurred, x)
    np.testing.assert_allclose(
        namespace.to_numpy(blurred), ndimage.gaussian_filter(a, 1.5), rtol=1e-5, atol=1e-6
    )
    labels, count = namespace.ndimage(xp).label(x > 0)
    assert same_home(labels, x)
    assert int(count) == ndimage.label(a > 0)[1]
    wide = namespace.skimage(xp, "filters").gaussian(x, sigma=1.5)
    assert same_home(wide, x)


def test_no_gpu_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    problem = device.gpu_problem()
    assert problem is not None
    assert "extra cuda12 or cuda13" in problem
    assert device.select("auto").__name__ == "array_api_compat.numpy"
    with pytest.raises(device.GpuMissingError, match="backend: no GPU can be used: CuPy cannot be imported"):
        device.select("cupy")
    with pytest.raises(StageError, match="no backend 'opencl'; choose auto, numpy or cupy"):
        device.select("opencl")


class _RuntimeError(RuntimeError):
    pass


def _fake_cupy(**runtime: Any) -> types.ModuleType:
    cupy = types.ModuleType("cupy")
    cupy.cuda = types.SimpleNamespace(  # type: ignore[attr-defined]
        runtime=types.SimpleNamespace(CUDARuntimeError=_RuntimeError, **runtime),
        nvrtc=types.SimpleNamespace(getVersion=lambda: (13, 0)),
    )
    return cupy


def _raise(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        (
            {"getDeviceCount": lambda: _raise(_RuntimeError("no")), "driverGetVersion": lambda: 0},
            "no NVIDIA driver",
        ),
        (
            {
                "getDeviceCount": lambda: _raise(_RuntimeError("old")),
                "driverGetVersion": lambda: 11040,
                "runtimeGetVersion": lambda: 13000,
            },
            r"driver \(CUDA 11.4\) does not serve CuPy built for CUDA 13.0",
        ),
        ({"getDeviceCount": lambda: 0}, "reports no device"),
        ({"getDeviceCount": lambda: 1}, "a test kernel failed: AttributeError"),
    ],
)
def test_unusable_gpus_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, runtime: dict[str, Any], message: str
) -> None:
    import re

    monkeypatch.setitem(sys.modules, "cupy", _fake_cupy(**runtime))
    assert re.search(message, device.gpu_problem() or "")


@pytest.mark.parametrize(
    ("visible", "count", "wanted"),
    [  # what the process was given, how many GPUs the driver then reports, what four workers get
        (None, 3, ["0", "1", "2", "0"]),
        ("2,5", 2, ["2", "5", "2", "5"]),
        ("GPU-8932f937, MIG-1c5e", 2, ["GPU-8932f937", "MIG-1c5e", "GPU-8932f937", "MIG-1c5e"]),
        ("1,-1,0", 1, ["1", "1", "1", "1"]),  # the driver stops at -1
        ("7", 1, ["7", "7", "7", "7"]),
    ],
)
def test_workers_get_a_gpu_each_of_those_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, count: int, wanted: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", _fake_cupy(getDeviceCount=lambda: count))
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device.gpu_count() == count
    assert [device.gpu_environment(worker)["CUDA_VISIBLE_DEVICES"] for worker in range(4)] == wanted


def test_workers_without_a_gpu_are_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert device.gpu_count() == 0
    with pytest.raises(
        device.GpuMissingError, match="no GPU can be given to worker 1: CuPy cannot be imported"
    ):
        device.gpu_environment(1)
    runtime = {"getDeviceCount": lambda: _raise(_RuntimeError("no")), "driverGetVersion": lambda: 0}
    monkeypatch.setitem(sys.modules, "cupy", _fake_cupy(**runtime))
    assert device.gpu_count() == 0
    with pytest.raises(device.GpuMissingError, match="there is no NVIDIA driver"):
        device.gpu_environment(0)
    with pytest.raises(StageError, match="worker is -1"):
        device.gpu_environment(-1)


def test_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIFGPU_THREADS", "3")
    assert device.threads() == 3
    monkeypatch.setenv("MOTIFGPU_THREADS", "many")
    with pytest.raises(StageError, match="MOTIFGPU_THREADS is 'many'; set it to a whole number"):
        device.threads()
    monkeypatch.delenv("MOTIFGPU_THREADS")
    assert device.threads() >= 1


@pytest.mark.gpu
def test_usable_gpu() -> None:
    problem = device.gpu_problem()
    if problem:
        pytest.skip(f"no usable GPU: {problem}")
    assert device.select("auto").__name__ == "array_api_compat.cupy"
    assert device.gpu_name()
