"""Array namespace, device and the twin modules of SciPy and scikit-image.

The only module that imports CuPy or cuCIM. A stage asks here for what differs between devices and is
otherwise written once over the array API standard.
"""

from __future__ import annotations

import functools
import importlib
import math
import operator
import os
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import array_api_compat
import numpy as np

from motifgpu.errors import StageError

Array = Any  # any array of a namespace that follows the array API standard


def array_namespace(*arrays: Any) -> ModuleType:
    """Return the one array API namespace of `arrays`; NumPy's for lists and numbers."""
    arrays = tuple(a for a in arrays if array_api_compat.is_array_api_obj(a))
    return (
        array_api_compat.array_namespace(*arrays) if arrays else array_api_compat.array_namespace(np.empty(0))
    )


def device(x: Array) -> Any:
    """Return the device of `x`."""
    return array_api_compat.device(x)


def is_cupy(xp: ModuleType) -> bool:
    """Say whether `xp` is CuPy's namespace."""
    return array_api_compat.is_cupy_namespace(xp)


def to_numpy(x: Array) -> np.ndarray:
    """Copy `x` to the host as a NumPy array: the one place where data leaves a device."""
    if isinstance(x, np.ndarray):
        return x
    if array_api_compat.is_cupy_array(x):
        return x.get()
    xp = array_namespace(x)
    if xp.__name__ == "array_api_strict":
        return np.asarray(xp.asarray(x, device=xp.Device("CPU_DEVICE")))
    return np.asarray(x)


def from_numpy(a: np.ndarray, like: Array) -> Array:
    """Copy a NumPy array to the namespace and device of `like`."""
    xp = array_namespace(like)
    if array_api_compat.is_numpy_namespace(xp):
        return a
    return xp.asarray(a, device=device(like))


def dtype_name(x: Array) -> str:
    """Return the name of the dtype of `x`, float32 say, as every library takes it."""
    return str(x.dtype).rsplit(".", 1)[-1]


def constant(a: np.ndarray, like: Array) -> Array:
    """Copy real numbers from the host to the namespace, device and dtype of `like`."""
    return from_numpy(a.astype(dtype_name(like)), like)


def block(xp: ModuleType) -> int:
    """Return how many elements to work on at a time: a processor's cache full, or a GPU busy."""
    return 2**25 if is_cupy(xp) else 2**17


def whole(x: Any, stage: str, name: str, low: int, high: int | None = None) -> int:
    """Check that an argument is a whole number from `low` to `high` and return it as an int.

    Raises
    ------
    StageError
        If it is not an integer or not in the range.
    """
    wanted = f"of at least {low}" if high is None else f"from {low} to {high}"
    try:
        number = operator.index(x)
    except TypeError:
        raise StageError(stage, f"{name} is {x!r}", f"give a whole number {wanted}") from None
    if isinstance(x, bool) or number < low or (high is not None and number > high):
        raise StageError(stage, f"{name} is {x!r}", f"give a whole number {wanted}")
    return number


def bincount(index: Array, weights: Array | None, length: int) -> Array:
    """Sum `weights` (n,) where `index` (n,) is equal, or count, into (length,): scatter-add.

    Every index must be at least 0 and below `length`. A namespace without a bincount goes over the host.
    """
    xp = array_namespace(index)
    if is_cupy(xp) or array_api_compat.is_numpy_namespace(xp):
        total = xp.bincount(index, weights, length)
    else:
        host = None if weights is None else to_numpy(weights)
        total = np.bincount(to_numpy(index), host, length)
        total = total if host is None else total.astype(host.dtype)
        return from_numpy(total, index)
    return total if weights is None else total.astype(weights.dtype)


def rows(x: Array, mask: Array) -> Array:
    """Return the rows of `x` (n, ...) where `mask` (n,) is True."""
    xp = array_namespace(x)
    return xp.take(x, xp.nonzero(mask)[0], axis=0)


def median(x: Array) -> Array:
    """Return the middle of `x` (n,), the upper one of two, as an array of no dimensions."""
    return array_namespace(x).sort(x)[x.shape[0] // 2]


def floating(
    x: Any, stage: str, name: str, ndim: int | tuple[int, ...], *, finite: bool = True, copy: bool = False
) -> tuple[ModuleType, Array]:
    """Check an input and return it with its namespace, as float64 if it was that and float32 otherwise.

    Parameters
    ----------
    x : array_like
        The input: an array of any array API namespace, or nested sequences of numbers.
    stage, name : str
        The stage that asks and the argument's name, for the message.
    ndim : int or tuple of int
        Numbers of dimensions that are allowed.
    finite : bool
        Refuse NaN and infinity.
    copy : bool
        Return an array that shares no memory with `x`.

    Returns
    -------
    namespace, array

    Raises
    ------
    StageError
        If the dtype is not numeric and real, the number of dimensions is wrong, the array is empty in any
        dimension but the first, or a value is not finite.
    """
    if not array_api_compat.is_array_api_obj(x):
        try:
            x = np.asarray(x)
        except ValueError as error:
            raise StageError(
                stage, f"{name} is not a rectangular array ({error})", "give rows of one length"
            ) from error
    xp = array_namespace(x)
    if array_api_compat.is_numpy_namespace(xp) and x.dtype.kind not in "biuf":
        raise StageError(stage, f"{name} has dtype {x.dtype}", "give real numbers (integers or floats)")
    if not xp.isdtype(x.dtype, ("bool", "integral", "real floating")):
        raise StageError(stage, f"{name} has dtype {x.dtype}", "give real numbers (integers or floats)")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if x.ndim not in allowed:
        wanted = " or ".join(map(str, allowed))
        raise StageError(stage, f"{name} has shape {tuple(x.shape)}", f"give an array of {wanted} dimensions")
    if any(length == 0 for length in x.shape[1:]):
        raise StageError(stage, f"{name} has shape {tuple(x.shape)}", "give an array that is not empty")
    dtype = x.dtype if x.dtype in (xp.float32, getattr(xp, "float64", None)) else xp.float32
    x = xp.astype(x, dtype, copy=copy)
    if finite and not bool(xp.all(xp.isfinite(x))):
        bad = int(xp.sum(xp.astype(~xp.isfinite(x), xp.int32)))
        raise StageError(
            stage,
            f"{name} has {bad} of {math.prod(x.shape)} values that are NaN or infinite",
            "replace them first, for instance by the median of their neighbours",
        )
    return xp, x


def labels(x: Any, stage: str, number: int) -> np.ndarray:
    """Check the labels of `number` columns and return them on the host as int64.

    Raises
    ------
    StageError
        If they are not integers or not (number,).
    """
    host = to_numpy(x)
    if host.dtype.kind not in "iu":
        raise StageError(stage, f"labels have dtype {host.dtype}", "give integers, negative where unassigned")
    if host.shape != (number,):
        raise StageError(
            stage,
            f"labels have shape {host.shape} and there are {number} columns",
            f"give labels of shape ({number},)",
        )
    return host.astype(np.int64)


def _host_twin(module: ModuleType) -> Any:
    """Wrap a NumPy-only module so that arrays of other namespaces travel to the host and back."""

    class Twin:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            function = getattr(module, name)

            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                like = next(a for a in args if array_api_compat.is_array_api_obj(a))

                def host(a: Any) -> Any:
                    return to_numpy(a) if array_api_compat.is_array_api_obj(a) else a

                result = function(*map(host, args), **{k: host(v) for k, v in kwargs.items()})
                if isinstance(result, tuple):
                    return tuple(from_numpy(r, like) if isinstance(r, np.ndarray) else r for r in result)
                return from_numpy(result, like) if isinstance(result, np.ndarray) else result

            return call

    return Twin()


def _twin(xp: ModuleType, host: str, gpu: str) -> Any:
    if array_api_compat.is_numpy_namespace(xp):
        return importlib.import_module(host)
    if is_cupy(xp):
        return importlib.import_module(gpu)
    return _host_twin(importlib.import_module(host))


def ndimage(xp: ModuleType) -> Any:
    """Return ``scipy.ndimage`` or its twin for the namespace `xp`."""
    return _twin(xp, "scipy.ndimage", "cupyx.scipy.ndimage")


def skimage(xp: ModuleType, submodule: str) -> Any:
    """Return ``skimage.<submodule>`` or cuCIM's twin for the namespace `xp`."""
    return _twin(xp, f"skimage.{submodule}", f"cucim.skimage.{submodule}")


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
    except Exception as error:  # whatever the driver throws is the answer
        return f"a test kernel failed: {type(error).__name__}: {str(error)[:200]}"
    return None


def gpu_name() -> str:
    """Return the name of the current GPU; call only when `gpu_problem` is None."""
    import cupy

    return cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()


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
    worker = whole(worker, "backend", "worker", 0)
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

        def launch(
            grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], shared: int = 0
        ) -> None:
            if shared > 48 * 1024:
                compiled.max_dynamic_shared_size_bytes = shared
            compiled(grid, block, args, shared_mem=shared)

        return launch


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
        If CuPy is asked for and no GPU is usable, or the name is none of the three.
    """
    if name not in ("auto", "numpy", "cupy"):
        raise StageError("backend", f"there is no backend {name!r}", "choose auto, numpy or cupy")
    problem = None if name == "numpy" else gpu_problem()
    if name == "cupy" and problem:
        raise GpuMissingError("backend", f"no GPU can be used: {problem}", "or choose the backend numpy")
    if name == "numpy" or problem:
        return array_namespace(np.empty(0))
    import cupy

    return array_namespace(cupy.empty(0))


class GpuMissingError(StageError):
    """A GPU was asked for and none is usable."""


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
