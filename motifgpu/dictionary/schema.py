"""How the file of a dictionary, schema 1, names the fields of its records, and which of them share an array.

Names and bytes of the arrays are part of a dictionary's digest, so they stay as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

# Fields that have another name in the file.
_NAMES = {"own_sublattices": "own_sites"}


class _Row(NamedTuple):
    """What a field is in the file: an array, or a row of one that several fields share."""

    field: str
    shape: tuple[int, ...] | None = None  # in memory, if not that of the row
    dtype: type | None = None

    def of(self, row: np.ndarray) -> np.ndarray:
        row = row if self.shape is None else row.reshape(self.shape)
        return row if self.dtype is None else row.astype(self.dtype)


# How the file names what tuples of a record hold, {} being the place in the tuple, and which fields share an
# array. Tuples of one length are in one group. Mixtures are of numbers, so each of their fields is a row; the
# mixtures of the environments have no components.
_ITEMS: tuple[dict[str, tuple[_Row, ...]], ...] = (
    {
        "split{}": tuple(
            _Row(f"splits.{{}}.{name}", ()) for name in ("sublattice", "other", "border", "above", "of_unit")
        ),
        "split{}_weights": (_Row("splits.{}.weights"),),
    },
    {
        "weights{}": (_Row("weights.{}"),),
        "mixture{}": (
            _Row("mixtures.{}.weights"),
            _Row("mixtures.{}.means", (-1, 1)),
            _Row("mixtures.{}.covariances", (-1, 1, 1)),
            _Row("components.{}", None, np.int64),
        ),
        "mixture{}_criterion": (_Row("mixtures.{}.criterion"),),
    },
    {"ring{}": (_Row("rings.{}"),)},
)


def joined(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what `motifgpu.core.packing` gave under the names of the file, in the order of the file."""
    found = {_NAMES.get(name, name): array for name, array in arrays.items() if "." not in name}
    for group in _ITEMS:
        for k in itertools.count():
            before = len(found)
            for name, rows in group.items():
                held = [arrays[row.field.format(k)] for row in rows if row.field.format(k) in arrays]
                if len(rows) > 1:
                    held = [np.stack([array.reshape(array.shape[:1]) for array in held])] if held else []
                found |= {name.format(k): array for array in held}
            if len(found) == before:
                break
    return found | _within(arrays, joined)


def apart(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of a file as `motifgpu.core.packing` has them."""
    fields = {name: field for field, name in _NAMES.items()}
    found = {fields.get(name, name): array for name, array in arrays.items() if "." not in name}
    for group in _ITEMS:
        for k in itertools.count():
            held = {name: found.pop(name.format(k)) for name in group if name.format(k) in found}
            if not held:
                break
            for name, array in held.items():
                rows = group[name]
                for row, part in zip(rows, [array] if len(rows) == 1 else array, strict=False):
                    found[row.field.format(k)] = row.of(part)
    return found | _within(arrays, apart)


def _within(
    arrays: Mapping[str, np.ndarray], change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the arrays of the records in a record, the names within each changed."""
    split = [name.split(".") for name in arrays]
    records = dict.fromkeys(first for first, *rest in split if rest and not rest[0].isdigit())
    found: dict[str, np.ndarray] = {}
    for record in records:
        start = f"{record}."
        held = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        found |= {start + name: array for name, array in change(held).items()}
    return found
