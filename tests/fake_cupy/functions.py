"""The functions of ``cupy``, ``cupy.linalg`` and ``cupy.fft``: NumPy's under CuPy's signatures."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from fake_cupy import counts, memory, surface
from fake_cupy.arrays import SCALARS, arrays_in, check_devices, ndarray, refuse_host, unwrap, wrap

# Launches and waits of what is not one launch and no wait, as the sources of CuPy 13 and 14 have them.
COSTS = {
    **dict.fromkeys(("nonzero", "flatnonzero", "argwhere"), (4, 1)),
    **dict.fromkeys(("unique", "unique_values", "unique_inverse", "unique_all", "unique_counts"), (8, 1)),
    **dict.fromkeys(("union1d", "intersect1d", "setdiff1d", "extract"), (8, 1)),
    **dict.fromkeys(("var", "std", "median", "percentile", "quantile", "cov", "corrcoef", "interp"), (4, 0)),
    **dict.fromkeys(("sort", "argsort", "cumsum", "cumulative_sum", "cumprod", "isin", "lexsort"), (2, 0)),
    **dict.fromkeys(("eigh", "eigvalsh", "svd", "qr", "inv", "solve", "lstsq", "pinv", "det"), (4, 0)),
    **dict.fromkeys(("array_equal", "allclose", "isclose", "diff", "gradient", "meshgrid"), (2, 0)),
    **dict.fromkeys(("stack", "vstack", "hstack", "dstack", "column_stack", "pad", "roll"), (2, 0)),
    **dict.fromkeys(("gaussian_filter", "map_coordinates"), (2, 0)),
    **dict.fromkeys(("maximum_filter", "uniform_filter"), (4, 0)),  # along each axis, and its weights
    "label": (8, 2),
    "histogram": (6, 2),
    "bincount": (6, 2),
}
FREE = {  # views, and what is known without the device
    *(
        "atleast_1d",
        "atleast_2d",
        "atleast_3d",
        "broadcast_arrays",
        "broadcast_shapes",
        "broadcast_to",
        "can_cast",
    ),
    *("common_type", "diagonal", "empty", "empty_like", "expand_dims", "flip", "fliplr", "flipud", "isdtype"),
    *(
        "iscomplexobj",
        "isrealobj",
        "isscalar",
        "issubdtype",
        "matrix_transpose",
        "min_scalar_type",
        "moveaxis",
    ),
    *("ndim", "permute_dims", "promote_types", "real", "imag", "result_type", "rollaxis", "shape", "size"),
    *("split", "array_split", "squeeze", "swapaxes", "transpose", "unstack"),
}
VIEWS = ("reshape", "ravel", "astype", "ascontiguousarray")  # that copy only where they must
# Functions that take something else than arrays of the device.
MAKERS = {
    *(
        "arange",
        "array",
        "asarray",
        "asanyarray",
        "ascontiguousarray",
        "asfortranarray",
        "empty",
        "eye",
        "full",
    ),
    *(
        "geomspace",
        "hamming",
        "hanning",
        "identity",
        "indices",
        "linspace",
        "logspace",
        "ones",
        "tri",
        "zeros",
    ),
    *("fftfreq", "rfftfreq", "bartlett", "blackman", "kaiser", "from_dlpack", "frombuffer", "meshgrid"),
    *(
        "broadcast_shapes",
        "can_cast",
        "isdtype",
        "isscalar",
        "issubdtype",
        "min_scalar_type",
        "promote_types",
    ),
    *("result_type", "common_type", "ndim", "shape", "size"),
}
ATOMIC = {  # dtypes that scatter for these
    "add": ("int32", "float16", "float32", "float64", "uint32", "uint64"),
    **dict.fromkeys(("maximum", "minimum"), ("int32", "float32", "float64", "uint32", "uint64")),
    "subtract": ("int32", "uint32"),
}
_TRUTHS = ("array_equal", "allclose", "count_nonzero")  # Python's in NumPy, arrays in CuPy


def call_ufunc(ufunc: np.ufunc, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a ufunc gives for arrays of the device and numbers."""
    name = ufunc.__name__
    more = set(kwargs) - {"out", "dtype", "casting"}
    if more and name != "matmul":
        raise TypeError(f"cupy.{name}: Wrong arguments {sorted(more)}")
    out = kwargs.get("out")
    if isinstance(out, tuple):
        out = out[0] if len(out) == 1 else out
    for x in (*inputs, *([] if out is None else [out])):
        if not isinstance(x, (ndarray, *SCALARS)):
            raise TypeError(f"cupy.{name}: Unsupported type {type(x)}")
    check_devices(inputs, out)
    counts.launch()
    if out is not None:
        kwargs = {**kwargs, "out": unwrap(out)}
    with np.errstate(all="ignore"):
        found = ufunc(*map(unwrap, inputs), **kwargs)
    return out if out is not None else wrap(found)


def ufunc(name: str, host: np.ufunc) -> Callable[..., Any]:
    """Return ``cupy.<name>``, a ufunc."""

    @functools.wraps(host)
    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) > host.nargs:
            raise TypeError(f"cupy.{name}: {len(args)} arguments")
        if len(args) > host.nin:
            args, kwargs = args[: host.nin], {**kwargs, "out": args[host.nin]}
        return call_ufunc(host, args, kwargs)

    if name in ATOMIC:

        def at(a: ndarray, indices: Any, b: Any = None) -> None:
            if a.dtype.name not in ATOMIC[name]:
                raise TypeError(f"cupy.{name}.at only supports {', '.join(ATOMIC[name])} as data type")
            refuse_host(f"cupy.{name}.at", indices, b)
            check_devices(a, indices, b)
            counts.launch()
            index, value = unwrap(indices), np.broadcast_to(unwrap(b), np.shape(unwrap(indices)))
            order = in_any_order(value)
            with np.errstate(all="ignore"):
                host.at(unwrap(a), index[order], value[order].astype(a.dtype, copy=False))

        call.at = at  # type: ignore[attr-defined]
    return call


def in_any_order(values: np.ndarray) -> Any:
    """Return an order of real numbers (n,) that is another one each time, as that of atomic additions."""
    if values.ndim != 1 or values.dtype.kind not in "fc":
        return ...
    return np.random.default_rng().permutation(values.size)


def function(home: str, name: str, host: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function `name` of a module of CuPy, which computes as `host` does."""
    known = surface.signature(surface.CUPY[home][name])
    return counterpart(f"{home}.{name}", known, host)


def counterpart(called: str, known: inspect.Signature | None, host: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays of the device that takes what `known` says and computes as `host` does."""
    name = called.rsplit(".", 1)[-1]
    launches, waits = (0, 0) if name in FREE or name in VIEWS else COSTS.get(name, (1, 0))

    @functools.wraps(host)
    def call(*args: Any, **kwargs: Any) -> Any:
        surface.check_call(called, known, args, kwargs)
        if name not in MAKERS:
            refuse_host(called, *args, *kwargs.values())
            if next(arrays_in([*args, *kwargs.values()]), None) is None:
                raise TypeError(f"{called}: no array of the device among the arguments")
        check_devices(args, list(kwargs.values()))
        counts.launch(launches)
        counts.wait(waits)
        with np.errstate(all="ignore"):
            found = host(*map(unwrap, args), **{key: unwrap(value) for key, value in kwargs.items()})
        if kwargs.get("out") is not None:
            return kwargs["out"]
        if name in VIEWS and not np.may_share_memory(found, unwrap(args[0])):
            counts.launch()
        return wrap(np.asarray(found)) if name in _TRUTHS else wrap(found)

    return call


def array(
    obj: Any,
    dtype: Any = None,
    copy: bool | None = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    """As ``cupy.array``."""
    check_devices(obj)
    inside = list(arrays_in(obj))
    if isinstance(obj, ndarray):
        if not copy and (dtype is None or obj.dtype == np.dtype(dtype)) and obj.ndim >= ndmin:
            return obj
        counts.launch()
    elif inside:
        counts.launch(1 + len(inside))
    host = np.array(unwrap(obj), dtype, copy=True, order=order, ndmin=ndmin)
    if host.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {host.dtype}")
    if not inside:
        counts.upload(host.nbytes)
    return wrap(host)


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: Any = None, blocking: bool = False
) -> Any:
    """As ``cupy.asarray``."""
    return array(a, dtype, bool(copy), order or "K", blocking=blocking)


def asnumpy(
    a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True
) -> np.ndarray:
    """As ``cupy.asnumpy``."""
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a, order=order)


def bincount(x: ndarray, weights: ndarray | None = None, minlength: int | None = None) -> ndarray:
    """As ``cupy.bincount``."""
    if x.ndim != 1 or x.dtype.kind in "fc":
        raise ValueError("x must be a vector of integers")
    if x.size == 0:
        return wrap(np.zeros(minlength or 0, np.intp))
    if weights is not None and x.shape != weights.shape:
        raise ValueError("The weights and list don't have the same length.")
    index, values = unwrap(x), unwrap(weights)
    if values is not None:
        order = in_any_order(values)
        index, values = index[order], values[order]
    return wrap(np.bincount(index, values, minlength or 0))


def repeat(a: ndarray, repeats: Any, axis: int | None = None) -> ndarray:
    """As ``cupy.repeat``, which takes no array of numbers."""
    if isinstance(repeats, (ndarray, np.ndarray)):
        raise ValueError("cupy.ndarray cannot be specified as `repeats` argument.")
    return wrap(np.repeat(unwrap(a), repeats, axis))


def searchsorted(a: ndarray, v: Any, side: str = "left", sorter: Any = None) -> ndarray:
    """As ``cupy.searchsorted``: in floats or integers, of one dimension."""
    if not isinstance(v, (ndarray, int, float)):
        raise NotImplementedError("Only python scalars or ndarrays are supported for v")
    return wrap(np.asarray(np.searchsorted(unwrap(a), unwrap(v), side, unwrap(sorter))))


def sort(a: ndarray, axis: int | None = -1, kind: str | None = None) -> ndarray:
    """As ``cupy.sort``, which is stable and knows no other kind."""
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return wrap(np.sort(unwrap(a), axis, kind="stable"))


def argsort(a: ndarray, axis: int | None = -1, kind: str | None = None) -> ndarray:
    """As ``cupy.argsort``, which is stable and knows no other kind."""
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return wrap(np.argsort(unwrap(a), axis, kind="stable"))


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """As ``cupy.empty``: memory that nobody wrote."""
    return wrap(memory.unwritten(shape, dtype, order))


def empty_like(
    prototype: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    """As ``cupy.empty_like``."""
    like = np.empty_like(unwrap(prototype), dtype, order, shape=shape)
    return wrap(memory.unwritten(like.shape, like.dtype, "F" if like.flags.fnc else "C"))


def get_array_module(*args: Any) -> ModuleType:
    """As ``cupy.get_array_module``."""
    import cupy

    return cupy if any(isinstance(x, ndarray) for x in args) else np


OWN = {
    "cupy": (
        array,
        asnumpy,
        bincount,
        repeat,
        searchsorted,
        sort,
        argsort,
        empty,
        empty_like,
        get_array_module,
    )
}


def names_of(home: str, host: ModuleType) -> dict[str, Any]:
    """Return what a module of CuPy has and the stand-in can do, by name."""
    found: dict[str, Any] = {}
    for name, described in surface.CUPY[home].items():
        there = getattr(host, name, None)
        if there is None or there is np.ndarray or isinstance(there, ModuleType):
            continue
        if isinstance(there, np.ufunc):
            found[name] = ufunc(name, there)
        elif isinstance(there, type) or not callable(there):  # dtypes, constants, errors, finfo
            found[name] = there
        elif described is not None:
            found[name] = function(home, name, there)
    for own in OWN.get(home, ()):
        if surface.has(home, own.__name__):
            found[own.__name__] = _own(home, own)
    if home == "cupy":
        found["asarray"] = found["asanyarray"] = _own(home, asarray)
    return found


def _own(home: str, own: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of this module under the signature, costs and refusals of CuPy."""
    name = own.__name__
    known = surface.signature(surface.CUPY[home][name])
    launches, waits = (0, 0) if name in FREE else COSTS.get(name, (1, 0))
    creates = name in MAKERS or name in ("asnumpy", "get_array_module")

    @functools.wraps(own)
    def call(*args: Any, **kwargs: Any) -> Any:
        surface.check_call(f"{home}.{name}", known, args, kwargs)
        if not creates:
            if name != "repeat":
                refuse_host(f"{home}.{name}", *args, *kwargs.values())
            check_devices(args, list(kwargs.values()))
            counts.launch(launches)
            counts.wait(waits)
        return own(*args, **kwargs)

    return call
