"""Finds, specialises and compiles the kernels, once for each device and set of constants.

Constants go in front of a kernel's source as ``#define`` lines and its local headers are pasted in before it
is compiled, because CuPy's cache on disk looks at the source alone. CuPy keeps compiled kernels in the folder
that the environment variable ``CUPY_CACHE_DIR`` names, ``~/.cupy/kernel_cache`` by default: set it to a
local, writable folder where home is on a network or read-only, and fill it with ``motifgpu warmup`` before a
batch job starts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from motifgpu.core import device, namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array

Launch = Callable[..., None]  # (grid, block, arguments, shared bytes)

_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]+(.*)$", re.MULTILINE)
_WIDE = 2**31  # from here on positions in an array need 64 bits


class Device(Hashable, Protocol):
    """What launchers ask of the machine that runs the kernels."""

    name: str
    shared_bytes: int  # that one block may use
    multiprocessors: int
    tensor_cores: bool  # for products of 16-bit floats, with copies that need no registers

    def compile(self, code: str, kernel: str) -> Launch:
        """Return one kernel of `code`, ready to launch."""

    def recorded(self, launches: Callable[[], None]) -> Callable[[], None]:
        """Return what does the same launches each time it is called, at less cost for the host."""


_substitute: ContextVar[Device | None] = ContextVar("motifgpu-device", default=None)


def current_device() -> Device:
    """Return the GPU that is current, or what stands in for it."""
    return _substitute.get() or device.cuda_device()


@contextmanager
def running_on(device: Device) -> Iterator[None]:
    """Let `device` run the kernels inside a ``with`` block, for instance a host that stands in for a GPU."""
    token = _substitute.set(device)
    try:
        yield
    finally:
        _substitute.reset(token)


def folder() -> Path:
    """Return the folder that holds the kernels."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "kernels"
    return inside if inside.is_dir() else package.parent / "kernels"


@functools.cache
def source(stage: str, where: Path | None = None) -> str:
    """Return ``<stage>.cu`` with its local headers pasted in, each once.

    Raises
    ------
    ValueError
        If a file includes anything but a local header.
    """
    base, seen = where or folder(), set[str]()

    def paste(match: re.Match[str]) -> str:
        name = match[1].strip()
        if not re.fullmatch(r'"\w+\.cuh"', name):
            raise ValueError(f"{stage}.cu includes {name}: only the headers beside it can be had at run time")
        if name in seen:
            return ""
        seen.add(name)
        header = base / name.strip('"')
        if not header.exists():
            header = folder() / name.strip('"')
        return _INCLUDE.sub(paste, header.read_text().replace("#pragma once\n", ""))

    return _INCLUDE.sub(paste, (base / f"{stage}.cu").read_text())


def specialised(stage: str, constants: Mapping[str, int | str], where: Path | None = None) -> str:
    """Return the source of `stage` with `constants` defined in front of it."""
    lines = (f"#define {name} {value}\n" for name, value in sorted(constants.items()))
    return "".join(lines) + source(stage, where)


@functools.lru_cache(maxsize=512)
def _compiled(device: Device, stage: str, name: str, constants: tuple[tuple[str, int | str], ...]) -> Launch:
    run = device.compile(specialised(stage, dict(constants)), name)

    def launch(grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], shared: int = 0) -> None:
        if all(grid):  # CUDA refuses a grid of no blocks, and there is nothing to do
            run(grid, block, args, shared)

    return launch


def kernel(stage: str, name: str, **constants: int | str) -> Launch:
    """Return kernel `name` of ``<stage>.cu`` with these constants, compiled for the current device."""
    return _compiled(current_device(), stage, name, tuple(sorted(constants.items())))


def compiled() -> int:
    """Return how many kernels have been compiled so far, for all devices."""
    return _compiled.cache_info().misses


def dense(x: Array, dtype: Any) -> Array:
    """Return `x` as kernels take arrays, which a launch does not check: of `dtype`, dense and in C order."""
    xp = namespace.array_namespace(x)
    return xp.reshape(xp.reshape(xp.astype(x, dtype, copy=False), (-1,)), x.shape)


def index_type(largest: int) -> str:
    """Return the C type for positions up to `largest`: 32 bits as long as they suffice."""
    return "int" if largest < _WIDE else "long long"


def single(value: float) -> str:
    """Return a number as C writes it in single precision."""
    return f"{value!r}f"


def check_shared(stage: str, needed: int, what: str, remedy: str) -> None:
    """Check before a launch that `needed` bytes of shared memory can be had.

    Raises
    ------
    StageError
        If a block of the current device has less.
    """
    device = current_device()
    if needed > device.shared_bytes:
        raise StageError(
            stage,
            f"{what} needs {needed} bytes of shared memory and {device.name} has {device.shared_bytes}",
            remedy,
        )
