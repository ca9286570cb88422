"""Notes what crosses between device and host, and stands in for what a GPU would run without crossing.

With `as_on_a_gpu`, array-api-strict's device1 passes for a GPU: the stages take the way that they take there,
and what CuPy, cuCIM and the kernels do on the device is done by their twins on the CPU, unseen.
"""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import array_api_strict
import numpy as np
import pytest

from motifgpu.core import namespace

NUMPY = namespace.array_namespace(np.empty(0))
SERVANTS = [f"motifgpu.core.{name}" for name in ("namespace", "lockstep", "rows", "on_points")]
DEVICE = array_api_strict.Device("device1")
STAGES = (
    "patches",
    "neighbors",
    "affinity",
    "relaxation",
    "refine",
)  # with code of their own for each device


@dataclass(frozen=True)
class Crossing:
    """An array that was copied from one side to the other."""

    module: str
    line: int
    upload: bool
    shape: tuple[int, ...]

    @property
    def values(self) -> int:
        """How many numbers it held."""
        return math.prod(self.shape)


def _caller() -> tuple[str, int]:
    """Return the module and line outside of `SERVANTS` that asked for the copy."""
    frame = sys._getframe(2)
    while frame.f_globals["__name__"] in (__name__, *SERVANTS):
        assert frame.f_back is not None
        frame = frame.f_back
    return frame.f_globals["__name__"].removeprefix("motifgpu."), frame.f_lineno


@contextmanager
def noted() -> Iterator[list[Crossing]]:
    """Note every copy by `namespace.to_numpy` and `namespace.from_numpy`, whoever imported them."""
    seen: list[Crossing] = []
    down, up = namespace.to_numpy, namespace.from_numpy

    def to_numpy(x: Any) -> np.ndarray:
        result = down(x)
        if result is not x:
            seen.append(Crossing(*_caller(), False, result.shape))
        return result

    def from_numpy(a: np.ndarray, like: Any) -> Any:
        result = up(a, like)
        if result is not a:
            seen.append(Crossing(*_caller(), True, a.shape))
        return result

    with pytest.MonkeyPatch.context() as patch:
        for module in [m for name, m in sys.modules.items() if name.split(".")[0] == "motifgpu"]:
            for name, value in list(vars(module).items()):
                if value is down or value is up:
                    patch.setattr(module, name, to_numpy if value is down else from_numpy)
        yield seen


def put(a: np.ndarray) -> Any:
    """Return a NumPy array on the device."""
    return array_api_strict.asarray(np.ascontiguousarray(a), device=DEVICE)


def _there(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_there, value))
    return put(value) if isinstance(value, np.ndarray) else value


def on_host(function: Callable[..., Any], back: bool = True) -> Callable[..., Any]:
    """Let a function of NumPy arrays take and return arrays of the device, without that being noted."""

    def host(value: Any) -> Any:
        return value._array if isinstance(value, type(put(np.empty(0)))) else value

    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*map(host, args), **{name: host(value) for name, value in kwargs.items()})
        there = any(host(value) is not value for value in (*args, *kwargs.values()))
        return _there(result) if back and there else result

    return call


class _Module:
    def __init__(self, name: str) -> None:
        self._module = importlib.import_module(name)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return on_host(getattr(self._module, name))


def twins(stage: str) -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """Return the functions that a stage has for the CPU and for a GPU, by the name that both have."""

    def functions(room: str) -> dict[str, Callable[..., Any]]:
        module = pytest.importorskip(f"motifgpu.{room}.{stage}", exc_type=ImportError)
        return {
            name: value
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
        }

    host, there = functions("cpu"), functions("cuda")
    return {name: (host[name], there[name]) for name in sorted(host.keys() & there.keys())}


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Let arrays on `DEVICE` be treated as CuPy's."""
    bincount = namespace.bincount
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(namespace, "is_cupy", lambda xp: xp is array_api_strict)
        patch.setattr(
            namespace,
            "_counterpart",
            lambda xp, host, gpu: importlib.import_module(host) if xp is NUMPY else _Module(host),
        )
        patch.setattr(namespace, "bincount", on_host(bincount))
        for stage in STAGES:
            for name, (host, _) in twins(stage).items():
                # Columns, a few numbers each, are on the host.
                patch.setattr(f"motifgpu.cuda.{stage}.{name}", on_host(host, name not in ("fit", "measure")))
        yield
