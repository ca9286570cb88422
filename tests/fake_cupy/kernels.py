"""Our own kernels under the launches of the stand-in: compiled by g++ and run on the host."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from host_cuda.device import HostDevice

from fake_cupy import counts, device
from fake_cupy.arrays import arrays_in, check_devices, unwrap

_MOST = (2**31 - 1, 65535, 65535)  # blocks along the axes of a grid
_limits: dict[
    tuple[str, str, int], int
] = {}  # shared memory of a kernel's launches, one for all that have it


@functools.cache
def _host() -> HostDevice:
    return HostDevice(shared_bytes=device.SHARED_BYTES)


@functools.cache
def _compiled(code: str, name: str) -> Callable[..., None]:
    return _host().compile(code, name)


class RawKernel:
    """As ``cupy.RawKernel``."""

    def __init__(
        self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc", **more: Any
    ) -> None:
        if not isinstance(options, tuple) or not all(isinstance(option, str) for option in options):
            raise TypeError(f"options are {options!r}")
        self.code, self.name, self.options = code, name, options

    @property
    def shared_size_bytes(self) -> int:
        return 0

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        return _limits.get((self.code, self.name, device.current()), device.WITHOUT_ASKING)

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        if size + self.shared_size_bytes > device.SHARED_BYTES:
            raise device.CUDADriverError("CUDA_ERROR_INVALID_VALUE: invalid argument")
        _limits[self.code, self.name, device.current()] = size

    def compile(self, log_stream: Any = None) -> None:
        _compiled(self.code, self.name)

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: tuple[Any, ...],
        *,
        shared_mem: int = 0,
        **more: Any,
    ) -> None:
        for blocks, most in zip(grid, _MOST, strict=False):
            if not 1 <= blocks <= most:
                raise device.CUDADriverError(f"CUDA_ERROR_INVALID_VALUE: a grid of {grid} for {self.name}")
        if not 1 <= math.prod(block) <= 1024 or (len(block) > 2 and block[2] > 64):
            raise device.CUDADriverError(f"CUDA_ERROR_INVALID_VALUE: a block of {block} for {self.name}")
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise device.CUDADriverError(f"CUDA_ERROR_INVALID_VALUE: {shared_mem} bytes for {self.name}")
        check_devices(args)
        run = _compiled(self.code, self.name)
        if len(list(arrays_in(args))) + sum(hasattr(a, "dtype") for a in args) < len(args):
            raise TypeError(f"{self.name}: an argument of no type of C's")
        launch = functools.partial(
            run, tuple(map(int, grid)), tuple(map(int, block)), tuple(map(unwrap, args)), int(shared_mem)
        )
        captured = device.get_current_stream().captured
        if captured is not None:
            captured.append(launch)
            return
        counts.kernel(self.name)
        launch()


class RawModule:
    """As ``cupy.RawModule``."""

    def __init__(
        self,
        *,
        code: str | None = None,
        path: str | None = None,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        name_expressions: Any = None,
        jitify: bool = False,
    ) -> None:
        if code is None:
            raise TypeError("the stand-in compiles code, not a file")
        self.code, self.options = code, options

    def get_function(self, name: str) -> RawKernel:
        return RawKernel(self.code, name, self.options)
