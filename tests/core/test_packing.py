"""Records as arrays: what comes back is what was packed, and nothing else is ever made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from motifgpu import StageError
from motifgpu.core.packing import outline, pack, unpack


class Size(NamedTuple):
    side: float
    odd: bool


@dataclass(frozen=True, eq=False)
class Part:
    weights: np.ndarray
    number: int


@dataclass(frozen=True, eq=False)
class Whole:
    parts: tuple[Part, ...]
    tables: tuple[np.ndarray, ...]
    size: Size
    scale: float


TYPES = Size, Part, Whole


def whole(parts: int = 2, tables: int = 12) -> Whole:
    rng = np.random.default_rng(parts)
    return Whole(
        tuple(Part(rng.normal(size=(3, k)), k) for k in range(parts)),
        tuple(np.arange(k, dtype=np.int32) for k in range(tables)),
        Size(2.5, True),
        np.float64(0.1),  # what a computation leaves in a field for a float
    )


def assert_same(a: Any, b: Any) -> None:
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    elif isinstance(a, (Part, Whole)):
        assert type(a) is type(b)
        assert_same(tuple(vars(a).values()), tuple(vars(b).values()))
    elif isinstance(a, tuple):
        assert type(a) is type(b)
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert a == b


@pytest.mark.parametrize("tables", [0, 1, 12])
@pytest.mark.parametrize("parts", [0, 3])
def test_arrays_and_types_make_the_record_again(parts: int, tables: int) -> None:
    made = whole(parts, tables)
    _, arrays = pack(made, TYPES, stage="test", where="a", plain=True)
    assert {array.dtype.kind for array in arrays.values()} <= set("if")
    copy = unpack(outline(Whole, arrays, "a"), TYPES, arrays.__getitem__)
    assert_same(made, copy)
    assert (type(copy.scale), type(copy.size.odd)) == (float, bool)


def test_an_outline_in_json_makes_it_again() -> None:
    made = {
        "whole": whole(),
        "list": [1, "two", None],
        3: (float("inf"), np.float32(0.1)),
        "nested": {"a": ()},
    }
    described, arrays = pack(made, TYPES, stage="test")
    copy = unpack(json.loads(json.dumps(described)), TYPES, arrays.__getitem__)
    assert_same(made.pop("whole"), copy.pop("whole"))
    assert copy == made
    assert type(copy[3][1]) is np.float32


def test_names_say_where_an_array_belongs() -> None:
    made = whole()
    _, arrays = pack(made, TYPES, stage="test", where="a", plain=True)
    assert arrays["a.parts.1.weights"] is made.parts[1].weights
    assert (arrays["a.parts.1.number"], arrays["a.size.odd"]) == (1, 1)


def test_an_array_that_occurs_twice_is_one_again() -> None:
    part = Part(np.arange(3.0), 1)
    described, arrays = pack((part, part), TYPES, stage="test", where="pair")
    assert list(arrays) == ["pair.0.weights"]
    first, second = unpack(described, TYPES, arrays.__getitem__)
    assert first.weights is second.weights
    _, arrays = pack((part, part), TYPES, stage="test", where="pair", plain=True)
    assert {"pair.0.weights", "pair.1.weights"} <= set(arrays)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Path("x"), "test: a.at is a PosixPath; keep numbers, text and arrays there"),
        (np.array([None]), "test: a.at is an array of objects; keep numbers there"),
        (whole(), "test: a.at is a Whole"),
    ],
)
def test_what_has_no_form_is_refused_and_named(value: Any, message: str) -> None:
    with pytest.raises(StageError, match=message):
        pack({"at": value}, (), stage="test", where="a")


def test_only_listed_types_are_made() -> None:
    described, arrays = pack(whole(), TYPES, stage="test")
    with pytest.raises(KeyError, match="Size"):
        unpack(described, (Whole, Part), arrays.__getitem__)
