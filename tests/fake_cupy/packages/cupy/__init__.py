"""Stands in for CuPy, see ``fake_cupy``."""

from typing import Any

import numpy as _np
from fake_cupy import memory as _memory
from fake_cupy import surface as _surface
from fake_cupy.arrays import ndarray as ndarray
from fake_cupy.functions import names_of as _names_of
from fake_cupy.kernels import RawKernel as RawKernel
from fake_cupy.kernels import RawModule as RawModule

globals().update(_names_of("cupy", _np))
ndarray.__module__ = "cupy"
__version__ = _surface.VERSION

from cupy import cuda as cuda  # noqa: E402
from cupy import fft as fft  # noqa: E402
from cupy import linalg as linalg  # noqa: E402
from cupy import random as random  # noqa: E402


def get_default_memory_pool() -> _memory.MemoryPool:
    """Return the pool of the current device."""
    return _memory.pool()


def __getattr__(name: str) -> Any:
    raise _surface.missing("cupy", name)
