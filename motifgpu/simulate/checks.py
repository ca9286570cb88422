"""Checks of arguments, with the messages of this stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError


def problem(what: str, remedy: str) -> StageError:
    """Return the exception for `what` is wrong."""
    return StageError("simulate", what, remedy)


def positive(value: float, name: str) -> float:
    """Return `value` if it is finite and above 0."""
    if not 0 < value < np.inf:
        raise problem(f"{name} is {value}", "give a positive number")
    return float(value)


def not_negative(value: float, name: str) -> float:
    """Return `value` if it is finite and at least 0."""
    if not 0 <= value < np.inf:
        raise problem(f"{name} is {value}", "give 0 or a positive number")
    return float(value)


def fraction(value: float, name: str) -> float:
    """Return `value` if it lies between 0 and 1."""
    if not 0 <= value <= 1:
        raise problem(f"{name} is {value}", "give a fraction between 0 and 1")
    return float(value)


def image_shape(shape: Sequence[int], name: str = "shape") -> tuple[int, int]:
    """Return `shape` as two whole numbers of at least 1."""
    if len(shape) != 2:
        raise problem(f"{name} is {shape}", "give the numbers of rows and of columns")
    rows, cols = (check_integer(length, "simulate", f"an entry of {name}", 1) for length in shape)
    return rows, cols


def choice(value: str, name: str, known: Sequence[str]) -> str:
    """Return `value` if it is one of `known`."""
    if value not in known:
        raise problem(f"the {name} {value!r} is not known", f"choose one of {', '.join(known)}")
    return value


def vector(value: Sequence[float], name: str) -> np.ndarray:
    """Return `value` as two finite numbers."""
    array = np.asarray(value, float)
    if array.shape != (2,) or not np.isfinite(array).all():
        raise problem(f"{name} is {value}", "give two finite numbers")
    return array
