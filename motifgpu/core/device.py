"""What this machine computes on: GPU or processor, its threads, and the versions of what computes.

The only module that imports CuPy.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from motifgpu.core.checks import check_integer
from motifgpu.core.choices import BACKENDS, either
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import array_namespace


def gpu_problem() -> str | None:
    """Say in words why no GPU can be used, or return None when one can.

    A usable GPU has a driver new enough for the installed CuPy, NVRTC to compile with, and runs a test
    kernel correctly: an import that works is no proof of any of these.
    """
    try:
        import cupy
    except ImportError as error:
        return (
            f"CuPy cannot be imported ({error}); install the extra cuda12 or cuda13 if this machine has an "
            "NVIDIA GPU"
        )
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        try:
            driver = runtime.driverGetVersion()
        except runtime.CUDARuntimeError:
            driver = 0
        if driver == 0:
            return "there is no NVIDIA driver on this machine"
        have, need = (f"{v // 1000}.{v % 1000 // 10}" for v in (driver, runtime.runtimeGetVersion()))
        return f"the driver (CUDA {have}) does not serve CuPy built for CUDA {need}: {error}"
    if count == 0:
        return "the driver reports no device (is CUDA_VISIBLE_DEVICES empty?)"
    try:
        cupy.cuda.nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        return f"NVRTC is missing ({str(error)[:120]}); install CuPy with its extra [ctk]"
    try:
        kernel = cupy.RawKernel('extern "C" __global__ void one(int* x) { x[0] = 1; }', "one")
        x = cupy.zeros(1, cupy.int32)
        kernel((1,), (1,), (x,))
        if int(x[0]) != 1:
            return "a test kernel gave a wrong result"
    except Exception as error:  # whatever the driver raises is the reason
        return f"a test kernel failed: {type(error).__name__}: {str(error)[:200]}"
    return None


def gpu_name() -> str:
    """Return the name of the current GPU; call only when `gpu_problem` is None."""
    import cupy

    name: bytes = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"]
    return name.decode()


def gpu_count() -> int:
    """Return how many GPUs this process may use: 0 without CuPy or driver."""
    try:
        import cupy
    except ImportError:
        return 0
    try:
        return int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError:
        return 0


def gpu_environment(worker: int) -> dict[str, str]:
    """Return the environment variables that leave one GPU to a worker process, the GPUs dealt in turn.

    Several GPUs are used by one process for each. A process sees what it was given when it first asks for a
    GPU, so a worker must be started with them, and not set them itself::

        subprocess.Popen(command, env={**os.environ, **gpu_environment(worker)})

    Parameters
    ----------
    worker : int
        Number of the worker, from 0 on.

    Returns
    -------
    dict of str to str
        ``CUDA_VISIBLE_DEVICES`` with one GPU out of those that this process may use: where the variable is
        set, one of its entries (numbers, UUIDs or parts of a GPU), else a number.

    Raises
    ------
    GpuMissingError
        If this process may use none.
    """
    worker = check_integer(worker, "backend", "worker", 0)
    count = gpu_count()
    if count == 0:
        raise GpuMissingError(
            "backend",
            f"no GPU can be given to worker {worker}: {gpu_problem() or 'none is left'}",
            "or choose the backend numpy",
        )
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    # Of a list, the driver takes what stands before the first entry that is no GPU.
    names = list(map(str, range(count))) if given is None else given.split(",")[:count]
    return {"CUDA_VISIBLE_DEVICES": names[worker % len(names)].strip()}


class CudaDevice:
    """The current GPU, as the launchers of the CUDA kernels use it."""

    def __init__(self) -> None:
        import cupy

        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        self.name: str = properties["name"].decode()
        self.shared_bytes: int = properties["sharedMemPerBlockOptin"]
        self.multiprocessors: int = properties["multiProcessorCount"]
        self.tensor_cores = bool(properties["major"] >= 8)
        self._modules: dict[str, Any] = {}

    def compile(self, code: str, kernel: str) -> Callable[..., None]:
        """Return one kernel of `code` as a callable (grid, block, arguments, shared bytes).

        Multiplication and addition are not fused unless the kernel says so, so that results do not depend on
        what the compiler fuses where.
        """
        import cupy

        if code not in self._modules:
            self._modules[code] = cupy.RawModule(code=code, options=("-std=c++17", "--fmad=false"))
        compiled = self._modules[code].get_function(kernel)
        # All that a block may have, once: threads that set it at each launch would lower it under each other.
        compiled.max_dynamic_shared_size_bytes = self.shared_bytes - compiled.shared_size_bytes

        def launch(
            grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], shared: int = 0
        ) -> None:
            compiled(grid, block, args, shared_mem=shared)

        return launch

    def recorded(self, launches: Callable[[], None]) -> Callable[[], None]:
        """Return what does the same launches, of kernels that were launched before, as one CUDA graph."""
        import cupy

        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            launches()
            graph = stream.end_capture()
        return lambda: graph.launch(cupy.cuda.get_current_stream())


def cuda_device() -> CudaDevice:
    """Return the current GPU, the same object for the same GPU; call only when `gpu_problem` is None."""
    import cupy

    return _cuda_device(cupy.cuda.Device().id)


@functools.cache
def _cuda_device(number: int) -> CudaDevice:
    return CudaDevice()


def select(name: str) -> ModuleType:
    """Return the array namespace for ``"numpy"``, ``"cupy"`` or ``"auto"`` (a usable GPU, else NumPy).

    Raises
    ------
    StageError
        If CuPy is requested and no GPU is usable, or the name is none of the three.
    """
    if name not in BACKENDS:
        raise StageError("backend", f"there is no backend {name!r}", f"choose {either(BACKENDS)}")
    problem = None if name == "numpy" else gpu_problem()
    if name == "cupy" and problem:
        raise GpuMissingError("backend", f"no GPU can be used: {problem}", "or choose the backend numpy")
    if name == "numpy" or problem:
        return array_namespace(np.empty(0))
    import cupy

    return array_namespace(cupy.empty(0))


def kept() -> Callable[[], AbstractContextManager[Any]]:
    """Return what makes the current GPU and its stream current in another thread, for a ``with`` block."""
    import cupy

    number, stream = cupy.cuda.Device().id, cupy.cuda.get_current_stream()

    @contextmanager
    def keeping() -> Iterator[None]:
        with cupy.cuda.Device(number), stream:
            yield

    return keeping


class GpuMissingError(StageError):
    """A GPU was requested and none is usable."""


def threads() -> int:
    """Return how many CPU threads to use: MOTIFGPU_THREADS, or the processors we may run on."""
    wanted = os.environ.get("MOTIFGPU_THREADS", "")
    if wanted:
        if not wanted.isdigit() or int(wanted) < 1:
            raise StageError(
                "backend", f"MOTIFGPU_THREADS is {wanted!r}", "set it to a whole number of at least 1"
            )
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> SimpleNamespace:
    """Return the versions of this package and of what it computes with, None where not installed."""
    return SimpleNamespace(**_versions())


@functools.cache  # looking them up takes 8 ms, which a batch of thousands would pay for each
def _versions() -> dict[str, str | None]:
    from importlib import metadata

    def version(*names: str) -> str | None:
        for name in names:
            try:
                return metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return None

    return {
        "motifgpu": version("motifgpu"),
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "scikit_image": version("scikit-image"),
        "numba": version("numba"),
        "cupy": version("cupy-cuda13x", "cupy-cuda12x", "cupy"),
        "cucim": version("cucim-cu13", "cucim-cu12", "cucim"),
    }
