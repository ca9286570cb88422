"""The backends under test."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from motifgpu.core import device, namespace

STAND_IN = "FAKE_CUPY_VERSION" in os.environ  # CuPy is that of tests/fake_cupy

BACKENDS = [
    "numpy",
    "strict-device1",
    "strict-no_float64",
    pytest.param("cupy", marks=pytest.mark.gpu),
]


def maker(name: str) -> Callable[[Any], Any]:
    if name == "numpy":  # read-only: what writes into its input fails

        def readonly(a: Any) -> np.ndarray:
            a = np.array(a, copy=True)
            a.flags.writeable = False
            return a

        return readonly
    if name == "cupy":
        problem = device.gpu_problem()
        if problem:
            pytest.skip(f"no usable GPU: {problem}")
        import cupy

        return cupy.asarray
    import array_api_strict

    where = array_api_strict.Device(name.removeprefix("strict-"))

    def strict(a: Any) -> Any:
        a = np.asarray(a)
        if a.dtype == np.float64 and name == "strict-no_float64":
            a = a.astype(np.float32)
        return array_api_strict.asarray(a, device=where)

    return strict


def same_home(result: Any, like: Any) -> bool:
    """Say whether `result` lives in the namespace and on the device of `like`."""
    return namespace.array_namespace(result) is namespace.array_namespace(like) and namespace.device(
        result
    ) == namespace.device(like)
