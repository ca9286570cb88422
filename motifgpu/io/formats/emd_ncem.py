"""EMD as NCEM in Berkeley has it: an array, and for each of its dimensions a vector with name and unit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.core.axis_names import axis_letter
from motifgpu.io.formats.pages import Contents, refusal
from motifgpu.io.formats.units import even_step_nm, square

_TYPE = "emd_group_type"
# What of a group is its array; the later names are those of py4DSTEM.
_ARRAYS = ("data", "counted_datacube", "datacube", "diffractionslice", "realslice")
_HYPERSPY = "signals"  # the group that HyperSpy writes into, and the first axis it writes is x
_ENERGY = ("eV", "keV", "meV")


def is_ncem(file: Any) -> bool:
    """Say whether an open HDF5 file has groups as NCEM marks them, and is none of Velox."""
    return "Version" not in file and next(_groups(file), None) is not None


def contents(path: Path, opened: ExitStack, name: str) -> Contents:
    """Return the images of all groups; which dimension is which is said by its name."""
    import h5py

    file = opened.enter_context(h5py.File(path, "r"))
    images, found = [], Contents()
    for group in _groups(file):
        for key in _ARRAYS:
            if isinstance(group.get(key), h5py.Dataset):
                title = group.name.rpartition("/")[2] or name
                data = group[key]
                order = _order(group, data.ndim) if data.ndim > 1 else []
                why = _refusal(group, data, order)
                if why:
                    found.refuse(title, why)
                else:
                    images.append((title, group, data, order))
    for title, group, data, order in images:
        found.add(
            title,
            _shape(data, order),
            square(*(_step(_dimension(group, axis)) for axis in order[-2:])),
            _loader(data, order),
            alone=len(images) == 1,
            itemsize=data.dtype.itemsize,
            file_bytes=path.stat().st_size,
        )
    return found


def _groups(file: Any) -> Iterator[Any]:
    """Yield the groups that hold an array, by name."""
    import h5py

    waiting, seen = [file], set()
    while waiting:
        group = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:  # groups may lie in each other
            continue
        seen.add(address)
        if _TYPE in group.attrs and any(name in group for name in _ARRAYS):
            yield group
        inside = [group.get(name) for name in sorted(group, reverse=True) if _is_hard(group, name)]
        waiting += [item for item in inside if isinstance(item, h5py.Group)]


def _is_hard(group: Any, name: str) -> bool:
    import h5py

    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def _shape(data: Any, order: list[int]) -> tuple[int, ...]:
    """Return the shape in an order of the axes; of those before the last two only the long ones."""
    return tuple(data.shape[axis] for axis in order if data.shape[axis] != 1 or axis in order[-2:])


def _refusal(group: Any, data: Any, order: list[int]) -> str:
    units = [_text(_dimension(group, axis), "units").strip("[]").replace("_", "") for axis in order[:-2]]
    if len(units) == 1 and units[0] in _ENERGY:
        return "it is a spectrum image and no stack of images; make an image of it first"
    return refusal(_shape(data, order) or data.shape, data.dtype)


def _order(group: Any, ndim: int) -> list[int]:
    """Return the dimensions of an array in the order others, y, x."""
    from_0 = "dim0" in group
    names = [_letter(_text(_dimension(group, axis), "name"), from_0) for axis in range(ndim)]
    if _HYPERSPY in group.name.split("/") and not from_0 and not {"x", "y"} & {*names}:
        return list(range(ndim))[::-1]
    x, y = (names.index(letter) if names.count(letter) == 1 else None for letter in "xy")
    free = [axis for axis in range(ndim) if axis not in (x, y)]
    x = free.pop() if x is None else x
    y = free.pop() if y is None else y
    return [*free, y, x]


def _letter(name: str, from_0: bool) -> str:
    """Return x, y, another letter, or nothing where a name does not tell."""
    # What counts its dimensions from 0 is written by py4DSTEM, where R_x and Q_x run along the first one.
    return "" if from_0 and re.match(r"\s*[rqk][_ -]?[xyz]", name.lower()) else axis_letter(name)


def _dimension(group: Any, axis: int) -> Any:
    return group.get(f"dim{axis}" if "dim0" in group else f"dim{axis + 1}")


def _text(item: Any, name: str) -> str:
    value = np.asarray(item.attrs.get(name, "") if item is not None else "").ravel()
    first = value[0] if value.size else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def _step(vector: Any) -> float | None:
    return None if vector is None else even_step_nm(vector, _text(vector, "units"))


def _loader(data: Any, order: list[int]) -> Callable[[int], np.ndarray]:
    def load(index: int) -> np.ndarray:
        at: list[Any] = [slice(None)] * data.ndim
        for axis in order[:-2]:
            at[axis] = index if data.shape[axis] != 1 else 0
        page = np.asarray(data[tuple(at)])
        return page.T if order[-1] < order[-2] else page

    return load
