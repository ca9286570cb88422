"""Array namespaces, and the counterparts of SciPy and scikit-image for each.

A stage asks here for what differs between array libraries and is otherwise written once over the array API
standard.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from motifgpu.core import rows
from motifgpu.core.rows import Row

Array = np.ndarray | Any  # any array of a namespace that follows the array API standard
_NUMPY = array_api_compat.array_namespace(np.empty(0))


def array_namespace(*arrays: Any) -> ModuleType:
    """Return the one array API namespace of `arrays`; NumPy's for lists and numbers."""
    if all(type(a) is np.ndarray for a in arrays):
        return _NUMPY
    arrays = tuple(a for a in arrays if array_api_compat.is_array_api_obj(a))
    if not arrays:
        return _NUMPY
    for a in arrays:
        if isinstance(a, Row):
            made: ModuleType = rows.namespace_of(a.stack)
            return made
    xp = array_api_compat.array_namespace(*arrays)
    return _cupy_namespace() if array_api_compat.is_cupy_namespace(xp) else xp


@functools.cache
def _cupy_namespace() -> ModuleType:
    """Return the namespace of CuPy with its own clip: the compatible one waits twice a bound."""
    compatible = importlib.import_module("array_api_compat.cupy")
    xp = ModuleType(compatible.__name__, compatible.__doc__)
    vars(xp).update(vars(compatible))
    own = importlib.import_module("cupy").clip

    def clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
        if min is None and max is None:
            return x.copy()
        return own(x, min, max).astype(x.dtype, copy=False)

    vars(xp)["clip"] = clip
    return xp


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
    if isinstance(x, Row):
        return rows.host_of(x)
    if array_api_compat.is_cupy_array(x):
        host: np.ndarray = x.get()
        return host
    xp = array_namespace(x)
    if xp.__name__ == "array_api_strict":
        return np.asarray(xp.asarray(x, device=xp.Device("CPU_DEVICE")))
    return np.asarray(x)


def from_numpy(a: np.ndarray, like: Array) -> Array:
    """Copy a NumPy array to the namespace and device of `like`."""
    if isinstance(like, Row):
        return rows.from_host(a, like)
    xp = array_namespace(like)
    if array_api_compat.is_numpy_namespace(xp):
        return a
    return xp.asarray(a, device=device(like))


def dtype_name(x: Array) -> str:
    """Return the name of the dtype of `x`, float32 say, as every library takes it."""
    return str(x.dtype).rsplit(".", 1)[-1]


def as_like(a: np.ndarray, like: Array) -> Array:
    """Copy real numbers from the host to the namespace, device and dtype of `like`."""
    if isinstance(like, np.ndarray):
        return a.astype(like.dtype)
    return from_numpy(a.astype(dtype_name(like)), like)


def block_size(xp: ModuleType) -> int:
    """Return how many elements to work on at a time: a processor's cache full, or a GPU busy."""
    return 2**25 if is_cupy(xp) else 2**17


def bincount(index: Array, weights: Array | None, length: int) -> Array:
    """Sum `weights` (n,) where `index` (n,) is equal, or count, into (length,): scatter-add.

    Every index must be at least 0 and below `length`. The same input gives the same bits on every device. A
    namespace without a bincount goes over the host.
    """
    xp = array_namespace(index)
    if isinstance(index, Row):
        return rows.of_stacks("bincount", functools.partial(_counted, length=length), index, weights)
    if is_cupy(xp):
        return _counted(index[None, :], None if weights is None else weights[None, :], length)[0, :]
    if array_api_compat.is_numpy_namespace(xp):
        total = xp.bincount(index, weights, length)
    else:
        host = None if weights is None else to_numpy(weights)
        total = np.bincount(to_numpy(index), host, length)
        total = total if host is None else total.astype(host.dtype)
        return from_numpy(total, index)
    return total if weights is None else total.astype(weights.dtype)


def clip(x: Array, *, min: float | None = None, max: float | None = None) -> Array:
    """Return `x` with what is outside the limits replaced by them, in its dtype."""
    xp = array_namespace(x)
    # What checks the standard's rules takes longer than the clipping of a few thousand numbers.
    return np.clip(x, min, max) if xp is _NUMPY else xp.clip(x, min=min, max=max)


def _counted(index: Array, weights: Array | None, length: int) -> Array:
    """Sum as `bincount` along rows (b, n), without waiting for the GPU, whose atomic additions have no order.

    Sums of whole numbers do not depend on it: real numbers are counted in units so small that 2^26 of the
    largest of a row have a sum of 2^62. What is lost is below 2^-36 of that. CuPy's own bincount adds real
    numbers as they come, and waits twice.
    """
    xp, where, (count, number) = array_namespace(index), device(index), index.shape
    total = xp.zeros((count * length,), dtype=xp.uint64, device=where)  # the widest with atomic additions
    if count > 1:
        index = index + length * xp.arange(count, dtype=index.dtype, device=where)[:, None]
    index = xp.reshape(index, (-1,))
    if weights is None or not number:
        xp.add.at(total, index, 1)
        counted = xp.reshape(total.view(xp.int64), (count, length))
        return counted if weights is None else xp.astype(counted, weights.dtype)
    _, exponent = xp.frexp(xp.max(xp.abs(weights), axis=1, keepdims=True))
    units = 62 - max(26, number.bit_length()) - exponent
    scale = xp.ldexp(xp.ones((), dtype=xp.float64, device=where), units)
    whole = xp.empty(weights.shape, dtype=xp.int64, device=where)
    xp.multiply(weights, scale, out=whole, casting="unsafe")
    xp.add.at(total, index, xp.reshape(whole, (-1,)).view(xp.uint64))
    result = xp.empty((count, length), dtype=weights.dtype, device=where)
    return xp.divide(xp.reshape(total, (count, length)).view(xp.int64), scale, out=result, casting="unsafe")


def take_rows(x: Array, mask: Array) -> Array:
    """Return the rows of `x` (n, ...) where `mask` (n,) is True."""
    xp = array_namespace(x)
    return xp.take(x, xp.nonzero(mask)[0], axis=0)


def upper_median(x: Array, mask: Array | None = None) -> Array:
    """Return the middle of `x` (n,), the upper one of two, as an array of no dimensions.

    Only of where `mask` (n,) is True, if there is one; it must be True somewhere.
    """
    xp = array_namespace(x)
    if mask is None:
        return xp.sort(x, stable=False)[x.shape[0] // 2]
    if not is_cupy(xp):
        return upper_median(take_rows(x, mask))
    # A GPU is not waited for to know how many there are.
    ordered = xp.sort(xp.where(mask, x, xp.inf))
    number = xp.sum(xp.astype(mask, xp.int64), keepdims=True)
    return xp.take(ordered, number // 2)[0]


def quantile(x: Array, mask: Array, share: float) -> Array:
    """Return the value that a share of `x` (n,) is at most, of where `mask` (n,) is True; no dimensions."""
    xp = array_namespace(x)
    if not is_cupy(xp):
        ordered = xp.sort(take_rows(x, mask), stable=False)
        return ordered[int(share * (ordered.shape[0] - 1))]
    number = xp.sum(xp.astype(mask, xp.float64), keepdims=True)
    place = xp.astype(share * (number - 1), xp.int64)
    return xp.take(xp.sort(xp.where(mask, x, xp.inf)), place)[0]


def _on_host(module: ModuleType) -> Any:
    """Wrap a NumPy-only module so that arrays of other namespaces travel to the host and back."""

    class Counterpart:
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

    return Counterpart()


def _counterpart(xp: ModuleType, host: str, gpu: str) -> Any:
    if array_api_compat.is_numpy_namespace(xp):
        return importlib.import_module(host)
    if is_cupy(xp):
        return importlib.import_module(gpu)
    return _on_host(importlib.import_module(host))


def ndimage(xp: ModuleType) -> Any:
    """Return ``scipy.ndimage`` or its counterpart for the namespace `xp`."""
    if isinstance(xp, rows.RowsNamespace):
        return rows.Filters(ndimage(xp.library))
    return _counterpart(xp, "scipy.ndimage", "cupyx.scipy.ndimage")


def fft(xp: ModuleType) -> Any:
    """Return ``scipy.fft``, up to eight times as quick as NumPy's own, or its counterpart for `xp`."""
    if isinstance(xp, rows.RowsNamespace):
        return rows.Transforms(fft(xp.library))
    return _counterpart(xp, "scipy.fft", "cupyx.scipy.fft")


def skimage(xp: ModuleType, submodule: str) -> Any:
    """Return ``skimage.<submodule>`` or cuCIM's counterpart for the namespace `xp`."""
    host = f"skimage.{submodule}"
    try:
        return _counterpart(xp, host, f"cucim.{host}")
    except ImportError:  # cuCIM is made for Linux alone
        return _on_host(importlib.import_module(host))
