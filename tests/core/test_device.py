from __future__ import annotations

import re
import sys
import types
from typing import Any

import pytest

from motifgpu.core import device
from motifgpu.core.errors import StageError


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
