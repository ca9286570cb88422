"""The array of the stand-in: NumPy's in memory, CuPy's in what it has and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fake_cupy import counts, device, memory, surface

SCALARS = (bool, int, float, complex, np.generic)
_IMPLICIT = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
    "explicitly."
)


class ndarray:
    """As ``cupy.ndarray``."""

    __slots__ = ("__weakref__", "_host", "_number")
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"
    ) -> None:
        if memptr is not None or strides is not None:
            raise NotImplementedError("the stand-in makes no arrays of pointers")
        self._take(memory.unwritten(shape, dtype, order))

    def _take(self, host: np.ndarray, number: int | None = None) -> None:
        self._host = host
        self._number = device.current() if number is None else number
        memory.hold(host, self._number)

    # What it says of itself, which costs nothing on a device.

    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    device = property(lambda self: device.Device(self._number))

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        self._host.shape = shape

    T = property(lambda self: wrap(self._host.T, self._number))
    real = property(lambda self: wrap(self._host.real, self._number))
    imag = property(lambda self: wrap(self._host.imag, self._number))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not surface.has("cupy.ndarray", name):
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        if name == "mT":
            return wrap(self._host.mT, self._number)
        if name not in _METHODS:
            raise surface.missing("cupy.ndarray", name)
        return _METHODS[name].__get__(self)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[ndarray]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # To the host: all of it waits.

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(_IMPLICIT)

    def get(
        self, stream: Any = None, order: str = "C", out: np.ndarray | None = None, blocking: bool = True
    ) -> np.ndarray:
        if blocking:
            counts.wait()
        counts.download(self.nbytes)
        if out is None:
            return np.array(self._host, order=order, copy=True)
        if out.dtype != self.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
        if out.shape != self.shape:
            raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, actual shape: {out.shape}")
        out[...] = self._host
        return out

    def item(self) -> Any:
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __index__(self) -> int:
        return self.get().__index__()

    def __repr__(self) -> str:
        return repr(self.get())

    def __format__(self, how: str) -> str:
        return format(self.get(), how)

    def __reduce__(self) -> tuple[Any, ...]:
        from fake_cupy.functions import array

        return array, (self.get(),)

    def __deepcopy__(self, memo: Any) -> ndarray:
        return _copy(self)

    # From the host and within the device.

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        counts.upload(arr.nbytes)
        self._host[...] = arr

    def __getitem__(self, key: Any) -> ndarray:
        check_devices(self)
        advanced = _index_cost(key, self)
        found = self._host[_host_key(key)]
        if advanced:
            counts.launch(advanced)
        return wrap(np.asarray(found), self._number)

    def __setitem__(self, key: Any, value: Any) -> None:
        check_devices(self, value)
        advanced = _index_cost(key, self)
        if isinstance(value, np.ndarray):
            if value.ndim and not advanced:
                raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
            counts.upload(value.nbytes)
        elif not isinstance(value, (ndarray, *SCALARS)) and not advanced:
            raise TypeError(f"{type(value).__name__} cannot be used for fill")
        counts.launch(1 + advanced)
        with np.errstate(all="ignore"):
            self._host[_host_key(key)] = unwrap(value)

    # Operators are ufuncs.

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from fake_cupy.functions import call_ufunc

        name = ufunc.__name__
        if method != "__call__" or not surface.has("cupy", name):
            return NotImplemented
        if name in _COMPARISONS:  # as CuPy does for NumPy's issue 12142
            inputs = tuple(x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in inputs)
        return call_ufunc(ufunc, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        import cupy

        home: Any = cupy
        for part in func.__module__.split(".")[1:]:
            home = getattr(home, part, None)
        there = getattr(home, func.__name__, None)
        if there is None or any(kind is not ndarray and kind is not np.ndarray for kind in types):
            return NotImplemented
        return there(*args, **kwargs)


_COMPARISONS = {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"}
_OPERATORS = {
    **{"add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide},
    **{"floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "matmul": np.matmul},
    **{"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor},
    **{"lshift": np.left_shift, "rshift": np.right_shift},
}
_ORDERS = {
    **{"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal},
    **{"eq": np.equal, "ne": np.not_equal},
}
_SIGNS = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}


def _operators() -> None:
    """Give the array its operators."""

    def apply(ufunc: np.ufunc, inputs: tuple[Any, ...], out: ndarray | None = None) -> Any:
        from fake_cupy.functions import call_ufunc

        if not all(isinstance(x, (ndarray, np.ndarray, *SCALARS)) for x in inputs):
            return NotImplemented
        return call_ufunc(ufunc, inputs, {} if out is None else {"out": out})

    def forward(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
        return lambda self, other: apply(ufunc, (self, other))

    def reflected(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
        return lambda self, other: apply(ufunc, (other, self))

    def in_place(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
        return lambda self, other: apply(ufunc, (self, other), self)

    def single(ufunc: np.ufunc) -> Callable[[Any], Any]:
        return lambda self: apply(ufunc, (self,))

    for name, ufunc in _OPERATORS.items():
        setattr(ndarray, f"__{name}__", forward(ufunc))
        setattr(ndarray, f"__r{name}__", reflected(ufunc))
        setattr(ndarray, f"__i{name}__", in_place(ufunc))
    for name, ufunc in _ORDERS.items():
        setattr(ndarray, f"__{name}__", forward(ufunc))
    for name, ufunc in _SIGNS.items():
        setattr(ndarray, f"__{name}__", single(ufunc))


_operators()


def wrap(x: Any, number: int | None = None) -> Any:
    """Return NumPy's arrays and scalars in `x` as arrays of the device."""
    if isinstance(x, np.generic):
        x = np.asarray(x)
    if isinstance(x, np.ndarray):
        made = object.__new__(ndarray)
        made._take(x, number)
        return made
    if isinstance(x, tuple):
        parts = [wrap(part, number) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return [wrap(part, number) for part in x] if isinstance(x, list) else x


def unwrap(x: Any) -> Any:
    """Return the arrays of the device in `x` as NumPy's."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, (tuple, list)):
        return type(x)(map(unwrap, x)) if not hasattr(x, "_fields") else type(x)(*map(unwrap, x))
    return x


def arrays_in(x: Any) -> Iterator[ndarray]:
    """Yield the arrays of the device in `x`."""
    if isinstance(x, ndarray):
        yield x
    elif isinstance(x, (tuple, list)):
        for part in x:
            yield from arrays_in(part)


def check_devices(*arguments: Any) -> None:
    """Refuse arrays that do not lie on the current device."""
    for x in arrays_in(arguments):
        if x._number != device.current():
            raise ValueError(
                "Array device must be same as the current device: "
                f"array device = {x._number} while current = {device.current()}"
            )


def refuse_host(called: str, *arguments: Any) -> None:
    """Refuse arrays of the host among arguments."""
    for x in arguments:
        if isinstance(x, np.ndarray):
            raise TypeError(f"{called}: Unsupported type {type(x)}")
        if isinstance(x, (tuple, list)):
            refuse_host(called, *x)


def _host_key(key: Any) -> Any:
    return tuple(map(unwrap, key)) if isinstance(key, tuple) else unwrap(key)


def _index_cost(key: Any, of: ndarray) -> int:
    """Return the launches that an index takes beside a copy, and note its wait and its upload."""
    launches, masks = 0, 0
    for part in key if isinstance(key, tuple) else (key,):
        if part is None or part is Ellipsis or isinstance(part, (slice, int, np.integer)):
            continue
        if isinstance(part, ndarray):
            check_devices(part)
        else:  # a list, or an array of the host
            counts.upload(np.asarray(part).nbytes)
        if np.asarray(unwrap(part)).dtype == bool:
            masks += 1
            counts.wait()  # for the number that are True
            launches += 2
        launches += 1
    if masks > 1:
        raise ValueError("CuPy takes one mask in an index")
    return launches


# Methods, as functions of the array. Those that CuPy has as functions are theirs.
def _copy(self: ndarray, order: str = "C") -> ndarray:
    counts.launch()
    return wrap(self._host.copy(order), self._number)


def _astype(
    self: ndarray,
    dtype: Any,
    order: str = "K",
    casting: Any = None,
    subok: Any = None,
    copy: bool = True,
) -> ndarray:
    if subok is not None or casting is not None:
        raise NotImplementedError("the stand-in casts without these")
    if not copy and self.dtype == np.dtype(dtype):
        return self
    counts.launch()
    with np.errstate(all="ignore"):
        return wrap(self._host.astype(dtype, order=order), self._number)


def _fill(self: ndarray, value: Any) -> None:
    self[...] = value


def _view(self: ndarray, dtype: Any = None) -> ndarray:
    return wrap(self._host.view() if dtype is None else self._host.view(dtype), self._number)


def _sort(self: ndarray, axis: int = -1) -> None:
    counts.launch()
    self._host.sort(axis=axis, kind="stable")


def _flatten(self: ndarray, order: str = "C") -> ndarray:
    counts.launch()
    return wrap(self._host.flatten(order), self._number)


def _of_shape(name: str) -> Callable[..., ndarray]:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> ndarray:
        made = getattr(self._host, name)(*args, **kwargs)
        if not np.may_share_memory(made, self._host):
            counts.launch()
        return wrap(made, self._number)

    return method


def _as_function(name: str) -> Callable[..., Any]:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        import cupy

        return getattr(cupy, name)(self, *args, **kwargs)

    return method


def _checked(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that takes what the one of CuPy takes."""
    known = surface.signature(surface.CUPY["cupy.ndarray"].get(name))

    def call(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        surface.check_call(f"ndarray.{name}", known, args, kwargs)
        check_devices(self)
        return method(self, *args, **kwargs)

    return call


_METHODS: dict[str, Callable[..., Any]] = {
    name: _checked(name, method)
    for name, method in (
        *(("copy", _copy), ("astype", _astype), ("fill", _fill), ("view", _view), ("sort", _sort)),
        ("flatten", _flatten),
        *((name, _of_shape(name)) for name in ("reshape", "ravel", "transpose", "swapaxes", "squeeze")),
        *(
            (name, _as_function(name))
            for name in (
                *("all", "any", "argmax", "argmin", "argpartition", "argsort", "clip", "conj", "cumprod"),
                *("cumsum", "diagonal", "dot", "max", "mean", "min", "nonzero", "prod", "repeat", "round"),
                *("searchsorted", "std", "sum", "take", "trace", "var"),
            )
        ),
    )
}
