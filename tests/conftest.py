"""Fixtures shared by all tests: the backends under test and the real micrographs where they are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from real_micrographs import folder_or_skip

from motifgpu import backend

# The same examples in every run: a test fails because of a change and not by chance.
hypothesis.settings.register_profile("fixed", derandomize=True, database=None)
hypothesis.settings.load_profile("fixed")

BACKENDS = [
    "numpy",
    "numpy-readonly",
    "strict-device1",
    "strict-no_float64",
    pytest.param("cupy", marks=pytest.mark.gpu),
]


def _maker(name: str) -> Callable[[Any], Any]:
    if name == "numpy":
        return lambda a: np.array(a, copy=True)
    if name == "numpy-readonly":

        def readonly(a: Any) -> np.ndarray:
            a = np.array(a, copy=True)
            a.flags.writeable = False
            return a

        return readonly
    if name == "cupy":
        problem = backend.gpu_problem()
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


@pytest.fixture(params=BACKENDS)
def xp_array(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Return a callable that turns a NumPy array into an array of the backend under test."""
    return _maker(request.param)


def same_home(result: Any, like: Any) -> bool:
    """Say whether `result` lives in the namespace and on the device of `like`."""
    return backend.array_namespace(result) is backend.array_namespace(like) and backend.device(
        result
    ) == backend.device(like)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of real micrographs, or skip."""
    return folder_or_skip()
