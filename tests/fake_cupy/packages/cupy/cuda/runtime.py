"""Stands in for cupy.cuda.runtime, see ``fake_cupy``."""

from typing import Any

from fake_cupy import device as _device
from fake_cupy import surface as _surface
from fake_cupy.device import CUDARuntimeError as CUDARuntimeError

getDevice = _device.current
getDeviceCount = _device.count
getDeviceProperties = _device.properties


def driverGetVersion() -> int:
    """Return the version of CUDA that the driver serves."""
    return 13000


def runtimeGetVersion() -> int:
    """Return the version of CUDA that CuPy is built for."""
    return 13000


def __getattr__(name: str) -> Any:
    raise _surface.missing("cupy.cuda.runtime", name)
