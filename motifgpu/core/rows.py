# ruff: noqa: D102 (functions of the array API standard)
"""Rows of stacks: arrays of tasks in step, which are computed on all at once.

A `Row` looks like an array (...) of a library and is one row of a stack (b, ...). What is done with it is
asked of the stack (`motifgpu.core.lockstep`), with one axis more in front.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from motifgpu.core import lockstep

Array = Any


class Row:
    """An array (...) that is row `number` of a stack (b, ...)."""

    __slots__ = ("number", "piece", "stack")
    __array_priority__ = 1000

    def __init__(self, stack: Array, number: int) -> None:
        self.stack, self.number = stack, number
        self.piece: tuple[Array, int, int] | None = (
            None  # of an array (n, ...) that tasks share, between rows
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of its axes."""
        shape: tuple[int, ...] = self.stack.shape[1:]
        return shape

    @property
    def ndim(self) -> int:
        """Number of its axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of its values."""
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> Any:
        """Type of its values."""
        return self.stack.dtype

    @property
    def device(self) -> Any:
        """Where the stack is."""
        return array_api_compat.device(self.stack)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return namespace_of(self.stack)

    @property
    def alone(self) -> Array:
        """The same as an array of the library."""
        return self.stack[self.number, ...]

    def __matmul__(self, other: Any) -> Any:
        return namespace_of(self.stack).matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return namespace_of(self.stack).matmul(other, self)

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(host_of(self))

    def __float__(self) -> float:
        return float(host_of(self))

    def __int__(self) -> int:
        return int(host_of(self))

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(part, Row) for part in parts):
            [index] = parts
            assert isinstance(index, Row), "rows are indexed by numbers and slices, or by one row"
            return namespace_of(self.stack).take(self, index, axis=0)
        # A view: nothing is asked of the device, and neighbours stay neighbours.
        return _apply("view", lambda x: x[(slice(None), *parts)], (self,), key=repr(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        parts = key if isinstance(key, tuple) else (key,)

        def put(calls: Sequence[Any]) -> Sequence[None]:
            stack, values = gathered([row for row, _ in calls]), gathered([value for _, value in calls])
            if stack is self.stack:
                stack[(slice(None), *parts)] = values
            else:
                for k, (row, _) in enumerate(calls):
                    row.stack[(row.number, *parts)] = values[k, ...]
            return [None] * len(calls)

        lockstep.ask(put, (self, value), ("put", repr(key), kind_of(self), kind_of(value)))

    @property
    def T(self) -> Any:
        """Rows and columns exchanged."""
        return namespace_of(self.stack).matrix_transpose(self)


def _operators() -> None:
    """Give `Row` the operators of an array."""
    both = "add sub mul truediv floordiv mod pow and or xor"
    compared = "lt le gt ge eq ne"
    for name in f"{both} {compared}".split():
        do = getattr(operator, f"{name}_" if name in ("and", "or") else name)

        def forward(self: Row, other: Any, do: Any = do, name: str = name) -> Any:
            return _elementwise(name, do, self, other)

        def backward(self: Row, other: Any, do: Any = do, name: str = name) -> Any:
            return _elementwise(name, do, other, self)

        setattr(Row, f"__{name}__", forward)
        if name in both.split():
            setattr(Row, f"__r{name}__", backward)
    for name in ("neg", "invert", "abs"):
        do = getattr(operator, name)
        setattr(Row, f"__{name}__", lambda self, do=do, name=name: _elementwise(name, do, self))


def kind_of(x: Any) -> Any:
    """Return what arguments of one call have in common: arrays their shape and dtype, others themselves."""
    if isinstance(x, Row):
        return Row, x.shape, str(x.dtype)
    if isinstance(x, np.ndarray):
        return np.ndarray, x.dtype.str, x.ndim
    if isinstance(x, (float, np.floating)):
        return float
    if isinstance(x, (int, np.integer, np.bool_)):
        return int, x
    if isinstance(x, (tuple, list)):
        return tuple(map(kind_of, x))
    return x if isinstance(x, (str, type(None))) else id(x)


def gathered(xs: Sequence[Any]) -> Array:
    """Return the stack of an argument of several tasks: that of their rows, or a copy of them together."""
    first = xs[0]
    if not isinstance(first, Row):
        if len(xs) == 1 or all(x is first for x in xs):
            return first[None, ...]
        return array_api_compat.array_namespace(first).stack(list(xs))
    stack = first.stack
    if all(isinstance(x, Row) and x.stack is stack for x in xs):
        numbers = [x.number for x in xs]
        if numbers == list(range(stack.shape[0])):
            return stack
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return stack[numbers[0] : numbers[0] + len(numbers), ...]
    return array_api_compat.array_namespace(stack).stack([x.alone for x in xs])


def split(stack: Array) -> list[Row]:
    """Return the rows of a stack."""
    return [Row(stack, number) for number in range(stack.shape[0])]


def host_of(row: Row) -> np.ndarray:
    """Copy a row to the host."""

    def copy(calls: Sequence[Any]) -> list[np.ndarray]:
        rows = [one for (one,) in calls]
        if all(one.shape == rows[0].shape for one in rows):
            return list(_to_host(gathered(rows)))
        host = _to_host(
            array_api_compat.array_namespace(row.stack).concat([one.alone.reshape(-1) for one in rows])
        )
        limits = np.cumsum([one.size for one in rows])[:-1]
        return [part.reshape(one.shape) for part, one in zip(np.split(host, limits), rows, strict=True)]

    host: np.ndarray = lockstep.ask(copy, (row,), ("host", str(row.dtype)))
    return host


def _to_host(x: Array) -> np.ndarray:
    host: np.ndarray = x.get() if hasattr(x, "get") else np.asarray(x)
    return host


def upload(a: np.ndarray, library: ModuleType) -> Row:
    """Copy an array of the host, of which every task has another, to the device that is current."""

    def copy(calls: Sequence[Any]) -> list[Row]:
        return split(library.asarray(np.stack([one for (one,) in calls])))

    made: Row = lockstep.ask(copy, (a,), ("images", a.shape, a.dtype.str))
    return made


def from_host(a: np.ndarray, like: Row) -> Row:
    """Copy an array of the host to the device of a row, once where it is the same for all."""
    a = np.ascontiguousarray(a)

    def copy(calls: Sequence[Any]) -> list[Row]:
        arrays = [one for one, _ in calls]
        if all(one.shape == a.shape for one in arrays):
            return split(_uploaded(arrays, like.stack))
        library = array_api_compat.array_namespace(like.stack)
        flat = np.concatenate([one.reshape(-1) for one in arrays])
        there = library.asarray(flat, device=array_api_compat.device(like.stack))
        limits = [0, *itertools.accumulate(one.size for one in arrays)]
        return [
            Row(there[first:last].reshape((1, *one.shape)), 0)
            for (first, last), one in zip(pairwise(limits), arrays, strict=True)
        ]

    made: Row = lockstep.ask(copy, (a, like), ("upload", a.dtype.str))
    return made


def _uploaded(arrays: Sequence[np.ndarray], like: Array) -> Array:
    xp = array_api_compat.array_namespace(like)
    device = array_api_compat.device(like)
    first = arrays[0]
    if all(a is first or np.array_equal(a, first) for a in arrays[1:]):
        return xp.broadcast_to(xp.asarray(first, device=device)[None, ...], (len(arrays), *first.shape))
    return xp.asarray(np.stack(arrays), device=device)


def _apply(name: str, do: Callable[..., Array], rows: tuple[Any, ...], key: Any = None) -> Any:
    """Do something with stacks of rows that gives a stack, or several."""

    def answer(calls: Sequence[Any]) -> list[Any]:
        stacks = [gathered(xs) if isinstance(xs[0], Row) else xs[0] for xs in zip(*calls, strict=True)]
        made = do(*stacks)
        if isinstance(made, tuple):
            return list(zip(*map(split, made), strict=True))
        return list(split(made))

    return lockstep.ask(answer, rows, (name, key, *map(kind_of, rows)))


def of_stacks(name: str, do: Callable[..., Array], *rows: Any) -> Any:
    """Return what `do` makes of the stacks of rows, None standing for none."""
    return _apply(name, do, rows, getattr(do, "keywords", {}).get("length"))


def _elementwise(name: str, do: Callable[..., Array], *args: Any, **kwargs: Any) -> Any:
    """Do something number by number, shapes being brought to one as libraries do."""
    rank = max(getattr(x, "ndim", 0) for x in args)

    def answer(calls: Sequence[Any]) -> list[Row]:
        count, columns = len(calls), list(zip(*calls, strict=True))
        like = next(xs for xs in columns if isinstance(xs[0], Row))[0].stack
        stacks = []
        for xs in columns:
            first = xs[0]
            if isinstance(first, Row):
                stack = gathered(xs)
                shape = stack.shape
                if len(shape) - 1 < rank:
                    stack = stack.reshape((count, *(1,) * (rank + 1 - len(shape)), *shape[1:]))
                stacks.append(stack)
            elif hasattr(first, "ndim") and first.ndim:
                stacks.append(first)  # one array for all
            elif all(x is first or x == first for x in xs):
                stacks.append(first.item() if hasattr(first, "item") else first)
            else:
                dtype = str(like.dtype)
                if any(isinstance(x, float) for x in xs) and np.dtype(dtype).kind in "iub":
                    dtype = "float64"
                numbers = np.asarray([float(x) for x in xs]).astype(dtype)
                xp = array_api_compat.array_namespace(like)
                there = xp.asarray(numbers, device=array_api_compat.device(like))
                stacks.append(there.reshape((count, *(1,) * rank)))
        made = do(*stacks, **kwargs)
        if made.shape[0] != count or made.ndim < rank + 1:
            xp = array_api_compat.array_namespace(made)
            made = xp.broadcast_to(made, (count, *made.shape[-rank:])) if rank else made
        return split(made)

    return lockstep.ask(answer, args, (name, tuple(kwargs.items()), *map(kind_of, args)))


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes of a stack that are the `axis` of its rows, all by default."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(a % ndim + 1 for a in axes)


_ELEMENTWISE = [
    "abs",
    "maximum",
    "minimum",
    "where",
    "sqrt",
    "exp",
    "sin",
    "cos",
    "floor",
    "ceil",
    "round",
    "hypot",
    "real",
    "imag",
    "conj",
    "isfinite",
    "logical_not",
    "multiply",
    "divide",
    "log",
    "sign",
]
_REDUCTIONS = ["sum", "mean", "max", "min", "any", "all", "argmax", "argmin", "count_nonzero"]


class RowsNamespace(ModuleType):
    """The functions of an array library for rows, as the array API standard has them."""

    def __init__(self, library: ModuleType) -> None:
        super().__init__(library.__name__, library.__doc__)
        self.library = library
        self.fft = Transforms(library.fft)
        self.linalg = _Algebra(library)
        for name in _ELEMENTWISE:
            setattr(self, name, functools.partial(_elementwise, name, getattr(library, name)))
        for name in _REDUCTIONS:
            setattr(self, name, functools.partial(self._reduced, name))
        for name in ("zeros_like", "ones_like", "empty_like"):
            setattr(self, name, functools.partial(self._like, name))

    def __getattr__(self, name: str) -> Any:
        """Types and constants are those of the library; other functions are asked one row after another."""
        found = getattr(self.library, name)
        return found if isinstance(found, type) or not callable(found) else _one_by_one(found)

    def nonzero(self, x: Row, /) -> tuple[Row]:
        """Return where a mask (n,) is True; it goes over the host, since every task has another number."""
        return (from_host(np.flatnonzero(host_of(x)), x),)

    def _reduced(
        self, name: str, x: Row, /, *, axis: Any = None, keepdims: bool = False, **kwargs: Any
    ) -> Row:
        axes = _axes(axis, x.ndim)
        function = getattr(self.library, name)

        def reduce(stack: Array) -> Array:
            if name in ("argmax", "argmin"):
                if axis is None:
                    return function(stack.reshape((stack.shape[0], -1)), axis=1)
                return function(stack, axis=axes[0])
            return function(stack, axis=axes, keepdims=keepdims, **kwargs)

        made: Row = _apply(name, reduce, (x,), (axis, keepdims))
        return made

    def _like(self, name: str, x: Row, /, *, dtype: Any = None, **kwargs: Any) -> Row:
        made: Row = _apply(
            name, lambda stack: getattr(self.library, name)(stack, dtype=dtype), (x,), str(dtype)
        )
        return made

    def astype(self, x: Row, dtype: Any, /, *, copy: bool = True) -> Row:
        if x.dtype == dtype and not copy:
            return x
        made: Row = _apply("astype", lambda s: self.library.astype(s, dtype, copy=copy), (x,), str(dtype))
        return made

    def clip(self, x: Row, /, min: Any = None, max: Any = None) -> Row:
        # One launch where the limits are the same for all.
        made: Row = _elementwise("clip", lambda s, a, b: self.library.clip(s, a, b), x, min, max)
        return made

    def reshape(self, x: Row, shape: Any, /, *, copy: bool | None = None) -> Row:
        wanted = (shape,) if isinstance(shape, int) else tuple(shape)
        made: Row = _apply("reshape", lambda s: s.reshape((s.shape[0], *wanted)), (x,), wanted)
        return made

    def broadcast_to(self, x: Row, shape: tuple[int, ...], /) -> Row:
        def spread(stack: Array) -> Array:
            stack = stack.reshape((stack.shape[0], *(1,) * (len(shape) + 1 - stack.ndim), *stack.shape[1:]))
            return self.library.broadcast_to(stack, (stack.shape[0], *shape))

        made: Row = _apply("broadcast_to", spread, (x,), tuple(shape))
        return made

    def permute_dims(self, x: Row, axes: tuple[int, ...], /) -> Row:
        wanted = (0, *(a % x.ndim + 1 for a in axes))
        made: Row = _apply("permute_dims", lambda s: self.library.permute_dims(s, wanted), (x,), wanted)
        return made

    def matrix_transpose(self, x: Row, /) -> Row:
        made: Row = _apply("matrix_transpose", self.library.matrix_transpose, (x,))
        return made

    def concat(self, arrays: Sequence[Row], /, *, axis: int = 0) -> Row:
        place = axis % arrays[0].ndim + 1
        made: Row = _apply("concat", lambda *s: self.library.concat(list(s), axis=place), tuple(arrays), axis)
        return made

    def stack(self, arrays: Sequence[Row], /, *, axis: int = 0) -> Row:
        place = axis % (arrays[0].ndim + 1) + 1
        made: Row = _apply("stack", lambda *s: self.library.stack(list(s), axis=place), tuple(arrays), axis)
        return made

    def flip(self, x: Row, /, *, axis: Any = None) -> Row:
        made: Row = _apply("flip", lambda s: self.library.flip(s, axis=_axes(axis, x.ndim)), (x,), axis)
        return made

    def roll(self, x: Row, shift: int, /, *, axis: int) -> Row:
        place = axis % x.ndim + 1
        made: Row = _apply("roll", lambda s: self.library.roll(s, shift, axis=place), (x,), (shift, axis))
        return made

    def sort(self, x: Row, /, *, axis: int = -1, **kwargs: Any) -> Row:
        place = axis % x.ndim + 1
        made: Row = _apply("sort", lambda s: self.library.sort(s, axis=place, **kwargs), (x,), axis)
        return made

    def argsort(self, x: Row, /, *, axis: int = -1, **kwargs: Any) -> Row:
        place = axis % x.ndim + 1
        made: Row = _apply("argsort", lambda s: self.library.argsort(s, axis=place, **kwargs), (x,), axis)
        return made

    def cumulative_sum(self, x: Row, /, *, axis: int = 0, **kwargs: Any) -> Row:
        place = axis % x.ndim + 1
        made: Row = _apply("cumulative_sum", lambda s: self.library.cumulative_sum(s, axis=place), (x,), axis)
        return made

    def matmul(self, a: Any, b: Any, /) -> Row:
        left, right = (isinstance(x, Row) and x.ndim == 1 for x in (a, b))

        def multiply(one: Array, other: Array) -> Array:
            one, other = one[:, None, :] if left else one, other[:, :, None] if right else other
            if isinstance(a, Row) and isinstance(b, Row):
                rank = max(one.ndim, other.ndim)
                one, other = (
                    s.reshape((s.shape[0], *(1,) * (rank - s.ndim), *s.shape[1:])) for s in (one, other)
                )
            made = self.library.matmul(one, other)
            made = made[..., 0] if right else made
            return made[:, 0, ...] if left else made

        made: Row = _apply("matmul", multiply, (a, b))
        return made

    def take(self, x: Any, index: Any, /, *, axis: int = 0) -> Row:
        if not isinstance(x, Row):
            # One table for all.
            made: Row = _apply("take", lambda i: self.library.take(x, i, axis=0), (index,), (id(x), axis))
            return made
        if not isinstance(index, Row):
            place = axis % x.ndim + 1
            made = _apply("take", lambda s: self.library.take(s, index, axis=place), (x,), (id(index), axis))
            return made
        made = _apply("take", functools.partial(self._taken, axis % x.ndim), (x, index), axis)
        return made

    def _taken(self, axis: int, stack: Array, index: Array) -> Array:
        xp = self.library
        if _is_one(index):
            return xp.take(stack, index[0, ...], axis=axis + 1)
        if axis:
            stack = xp.moveaxis(stack, axis + 1, 1)
        count, length = stack.shape[:2]
        first = xp.arange(count, dtype=index.dtype, device=array_api_compat.device(stack)) * length
        where = (index + first[:, None]).reshape(-1)
        made = xp.take(stack.reshape((count * length, *stack.shape[2:])), where, axis=0)
        made = made.reshape((count, index.shape[1], *stack.shape[2:]))
        return xp.moveaxis(made, 1, axis + 1) if axis else made

    # What is made of nothing is made once: tasks in step change no array in place that another has.
    def _made(self, name: str, *args: Any, **kwargs: Any) -> Row:
        function = getattr(self.library, name)

        def answer(calls: Sequence[Any]) -> list[Row]:
            shape, *others = args
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            return split(function((len(calls), *shape), *others, **kwargs))

        made: Row = lockstep.ask(answer, (), (name, repr(args), repr(kwargs)))
        return made

    def zeros(self, shape: Any, **kwargs: Any) -> Row:
        return self._made("zeros", shape, **kwargs)

    def ones(self, shape: Any, **kwargs: Any) -> Row:
        return self._made("ones", shape, **kwargs)

    def empty(self, shape: Any, **kwargs: Any) -> Row:
        return self._made("empty", shape, **kwargs)

    def full(self, shape: Any, value: Any, **kwargs: Any) -> Row:
        return self._made("full", shape, value, **kwargs)

    def arange(self, *args: Any, **kwargs: Any) -> Row:
        def answer(calls: Sequence[Any]) -> list[Row]:
            one = self.library.arange(*args, **kwargs)
            return split(self.library.broadcast_to(one[None, :], (len(calls), *one.shape)))

        made: Row = lockstep.ask(answer, (), ("arange", repr(args), repr(kwargs)))
        return made

    def isdtype(self, dtype: Any, kind: Any) -> Any:
        return self.library.isdtype(dtype, kind)


def _is_one(stack: Array) -> bool:
    """Say whether all rows of a stack are one."""
    return bool(stack.shape[0] == 1 or stack.strides[0] == 0)


class Transforms:
    """Fourier transforms of a library, for rows."""

    def __init__(self, transforms: Any) -> None:
        self._fft = transforms

    def _shifted(self, name: str, x: Row, axes: Any) -> Row:
        places = _axes(axes, x.ndim)
        made: Row = _apply(name, lambda s: getattr(self._fft, name)(s, axes=places), (x,), axes)
        return made

    def fftshift(self, x: Row, /, *, axes: Any = None) -> Row:
        return self._shifted("fftshift", x, axes)

    def ifftshift(self, x: Row, /, *, axes: Any = None) -> Row:
        return self._shifted("ifftshift", x, axes)

    def __getattr__(self, name: str) -> Callable[..., Row]:
        def transform(x: Row, s: Any = None, axes: Any = None) -> Row:
            places = _axes(axes, x.ndim)
            made: Row = _apply(name, lambda t: getattr(self._fft, name)(t, s=s, axes=places), (x,), (s, axes))
            return made

        return transform


class _Algebra:
    def __init__(self, library: Any) -> None:
        self._linalg = library.linalg

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *rows: _apply(name, getattr(self._linalg, name), rows)


class Filters:
    """The filters of images of a library, for rows: along the first axis of stacks they do nothing."""

    def __init__(self, filters: Any) -> None:
        self.library = filters

    def maximum_filter(self, x: Row, size: int, **kwargs: Any) -> Row:
        return self._sized("maximum_filter", x, size, kwargs)

    def uniform_filter(self, x: Row, size: int | tuple[int, ...], **kwargs: Any) -> Row:
        return self._sized("uniform_filter", x, size, kwargs)

    def _sized(self, name: str, x: Row, size: int | tuple[int, ...], kwargs: Any) -> Row:
        filter_ = getattr(self.library, name)
        sizes = (1, *(size if isinstance(size, tuple) else (size, size)))
        made: Row = _apply(name, lambda s: filter_(s, size=sizes, **kwargs), (x,), (size, repr(kwargs)))
        return made

    def label(self, x: Row, structure: Any = None) -> tuple[Row, Any]:
        """Number groups of pixels; their number comes as an array of no dimensions of the host."""
        around = np.asarray([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) if structure is None else host_of(structure)
        through = np.zeros((3, 3, 3), np.int32)
        through[1] = around

        def answer(calls: Sequence[Any]) -> list[tuple[Row, int]]:
            stack = gathered([row for (row,) in calls])
            library = array_api_compat.array_namespace(stack)
            device = array_api_compat.device(stack)
            groups, _ = self.library.label(stack, structure=library.asarray(through, device=device))
            # Groups are numbered from image to image.
            last = np.maximum.accumulate(_to_host(library.max(groups, axis=(1, 2))))
            before = np.concatenate([[0], last[:-1]])
            first = library.asarray(before[:, None, None].astype(str(groups.dtype)), device=device)
            own = library.where(groups > 0, groups - first, groups)
            return list(zip(split(own), (last - before).tolist(), strict=True))

        made: tuple[Row, Any] = lockstep.ask(answer, (x,), ("label", kind_of(x), around.tobytes()))
        return made

    def correlate1d(self, x: Row, weights: Row, *, axis: int, **kwargs: Any) -> Row:
        filter_, place = self.library.correlate1d, axis % x.ndim + 1

        def correlate(stack: Array, taps: Array) -> Array:
            return filter_(stack, taps[0, ...], axis=place, **kwargs)

        made: Row = _apply("correlate1d", correlate, (x, weights), (axis, repr(kwargs)))
        return made

    def gaussian_filter(self, x: Row, sigma: float, **kwargs: Any) -> Row:
        widths = (0.0, sigma, sigma)
        made: Row = _apply(
            "gaussian_filter",
            lambda s: self.library.gaussian_filter(s, widths, **kwargs),
            (x,),
            (sigma, repr(kwargs)),
        )
        return made

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Other filters are asked for one row after another."""
        return _one_by_one(getattr(self.library, name))


def _one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        own = [x.alone if isinstance(x, Row) else x for x in args]
        others = {k: x.alone if isinstance(x, Row) else x for k, x in kwargs.items()}
        return _wrapped(function(*own, **others))

    return call


def _wrapped(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_wrapped, x))
    return (
        Row(x[None, ...], 0) if array_api_compat.is_array_api_obj(x) and not isinstance(x, np.ndarray) else x
    )


@functools.cache
def _rows_namespace(library: ModuleType) -> RowsNamespace:
    return RowsNamespace(library)


def namespace_of(stack: Array) -> Any:
    """Return the namespace of rows of a stack."""
    from motifgpu.core import namespace

    return _rows_namespace(namespace.array_namespace(stack))


_operators()


def parts(stack: Array, limits: Sequence[int] | None = None) -> list[Any]:
    """Return the arrays of several tasks: (b, ...) one by one, or (n, ...) between limits (b + 1,)."""
    if limits is None:
        return list(split(stack)) if lockstep.in_step() else [stack[0, ...]]
    pieces = [stack[int(a) : int(b), ...] for a, b in pairwise(limits)]
    if not lockstep.in_step():
        return pieces
    made = [Row(piece[None, ...], 0) for piece in pieces]
    for row, limit in zip(made, pairwise(limits), strict=True):
        row.piece = stack, *limit
    return made


def joined(pieces: Sequence[Any]) -> Array:
    """Return arrays (n, ...) of several tasks, of any numbers of rows, one after another."""
    held = [x.piece if isinstance(x, Row) else None for x in pieces]
    if all(one and two and one[0] is two[0] and one[2] == two[1] for one, two in pairwise(held)) and held[0]:
        base, first, last = held[0][0], held[0][1], held[-1][2]  # type: ignore[index]
        return base[first:last, ...]
    alone = [x.alone if isinstance(x, Row) else x for x in pieces]
    return alone[0] if len(alone) == 1 else array_api_compat.array_namespace(alone[0]).concat(alone)


def piecewise(function: Callable[..., Array], *arrays: Any, key: Any = None) -> Any:
    """Return what a function makes of arrays (n, ...) row by row, the rows of all tasks at once.

    Parameters
    ----------
    function : callable
        Takes the arrays, and returns one whose rows are those of the arguments.
    arrays : (n, ...) array
        Of as many rows each.
    key : object
        What the functions of several tasks must have in common.
    """
    if not isinstance(arrays[0], Row):
        return function(*arrays)

    def answer(calls: Sequence[Any]) -> list[Any]:
        limits = [0, *itertools.accumulate(call[0].shape[0] for call in calls)]
        return parts(function(*(joined(pieces) for pieces in zip(*calls, strict=True))), limits)

    return lockstep.ask(answer, arrays, ("piecewise", key, *((x.shape[1:], str(x.dtype)) for x in arrays)))


def settled(value: Any) -> Any:
    """Return a value with arrays of the library in place of rows, inside dataclasses and tuples too."""
    if isinstance(value, Row):
        return value.alone
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(settled, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        changed = {name: settled(x) for name, x in held.items()}
        if any(changed[name] is not x for name, x in held.items()):
            return dataclasses.replace(value, **changed)
    return value
