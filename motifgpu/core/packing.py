"""Records as named arrays and back: the one way in which dataclasses get into files.

`pack` makes of a value its arrays and an outline that JSON can hold. Each array is named by where it belongs,
``columns.points`` say. In the outline JSON's arrays are tuples, and what JSON has no form for is an object
with one key that says what it is. `unpack` makes the value again, from types that are listed and no others.

A file that holds arrays and no outline is packed with ``plain=True``, which makes arrays of numbers too;
`outline` then follows from the types of the fields.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import array_api_compat
import numpy as np

from motifgpu.core import namespace
from motifgpu.core.errors import StageError


def field_names(kind: type) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass or named tuple."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.init)
    names: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    return names


def pack(
    value: Any, types: Iterable[type], *, stage: str, where: str = "", plain: bool = False
) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the outline of a value and its arrays, on the host.

    Parameters
    ----------
    value : object
        Number, text, None, array of any namespace, one of the types, or mapping, tuple or list of such.
    types : iterable of type
        Dataclasses and named tuples.
    stage : str
        Stage named in the message.
    where : str
        Name of the value, before those of its parts.
    plain : bool
        Make arrays of numbers too, and give every array a name of its own; without, an array that occurs more
        than once is kept once, so that it is one again.

    Returns
    -------
    outline : object
        What JSON can hold.
    arrays : dict of str to ndarray

    Raises
    ------
    StageError
        If there is something else in the value; the message says where.
    """
    packer = _Packer(types, stage, plain)
    return packer.pack(value, where), packer.arrays


class _Packer:
    def __init__(self, types: Iterable[type], stage: str, plain: bool) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._types, self._stage, self._plain = frozenset(types), stage, plain
        self._known: dict[int, tuple[str, Any]] = {}  # keeps what it has seen, so that no id is used again

    def pack(self, value: Any, where: str) -> Any:
        if self._plain and isinstance(value, (int, float)):
            return {"array": self._array(np.array(int(value) if isinstance(value, bool) else value), where)}
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value), where)}
        if array_api_compat.is_array_api_obj(value):
            return {"array": self._array(value, where)}
        kind = type(value)
        if kind in self._types:
            held = {f: self.pack(getattr(value, f), f"{where}.{f}".lstrip(".")) for f in field_names(kind)}
            return {"type": kind.__name__, "fields": held}
        if isinstance(value, Mapping):
            pairs = [
                [self.pack(key, f"{where}.{key}.key"), self.pack(item, f"{where}.{key}")]
                for key, item in value.items()
            ]
            return {"dict": pairs}
        if kind in (tuple, list):
            items = [self.pack(item, f"{where}.{k}") for k, item in enumerate(value)]
            return items if isinstance(value, tuple) else {"list": items}
        raise StageError(self._stage, f"{where} is a {kind.__name__}", "keep numbers, text and arrays there")

    def _array(self, value: Any, where: str) -> str:
        """Keep an array and return its name."""
        if not self._plain and id(value) in self._known:
            return self._known[id(value)][0]
        host = namespace.to_numpy(value)
        if host.dtype.hasobject:
            raise StageError(self._stage, f"{where} is an array of objects", "keep numbers there")
        self._known[id(value)] = where, value
        self.arrays[where] = host
        return where


def unpack(outline: Any, types: Iterable[type], array: Callable[[str], np.ndarray]) -> Any:
    """Return the value of an outline.

    Parameters
    ----------
    outline : object
        As of `pack`.
    types : iterable of type
        That may be made.
    array : callable
        Returns the array of a name; called once for a name that occurs more than once, if it keeps what it
        returned.

    Returns
    -------
    object
        Tuples, lists, numbers and text as they were; mappings as dict; arrays on the host.

    Raises
    ------
    KeyError
        If another type is named.
    TypeError
        If the fields are not those of a type.
    """
    by_name = {kind.__name__: kind for kind in types}

    def made(part: Any) -> Any:
        if isinstance(part, list):
            return tuple(map(made, part))
        if not isinstance(part, dict):
            return part
        if "array" in part:
            return array(part["array"])
        if "scalar" in part:
            return array(part["scalar"])[()]
        if "list" in part:
            return [made(item) for item in part["list"]]
        if "dict" in part:
            return {made(key): made(item) for key, item in part["dict"]}
        return by_name[part["type"]](**{name: made(held) for name, held in part["fields"].items()})

    return made(outline)


def outline(kind: Any, arrays: Mapping[str, np.ndarray], where: str) -> Any:
    """Return the outline of what was packed plainly.

    Parameters
    ----------
    kind : type
        Dataclass or named tuple whose fields are numbers, arrays, others like it, and tuples of those.
    arrays : mapping of str to ndarray
        As of `pack`.
    where : str
        Name that the value had.

    Raises
    ------
    KeyError
        If a number is missing.
    """
    if kind in (bool, int, float):
        return kind(arrays[where][()])
    if typing.get_origin(kind) is tuple:
        inside = [name.removeprefix(f"{where}.") for name in arrays if name.startswith(f"{where}.")]
        number = len({name.partition(".")[0] for name in inside})
        return [outline(typing.get_args(kind)[0], arrays, f"{where}.{k}") for k in range(number)]
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
        hints = typing.get_type_hints(kind)
        held = {name: outline(hints[name], arrays, f"{where}.{name}") for name in field_names(kind)}
        return {"type": kind.__name__, "fields": held}
    return {"array": where}
