"""Checks of arguments, with messages that name the stage, the value and the remedy."""

from __future__ import annotations

import math
import operator
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.given import taken
from motifgpu.core.namespace import Array, array_namespace, to_numpy

NAMED = 8  # rows that a message lists
LEAST_SPREAD = 1e-9  # spread of a row, relative to its size, below which it is called constant


def check_integer(x: Any, stage: str, name: str, low: int, high: int | None = None) -> int:
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


def check_array(
    x: Any, stage: str, name: str, ndim: int | tuple[int, ...], *, finite: bool = True, copy: bool = False
) -> tuple[ModuleType, Array]:
    """Check an input and return it with its namespace, as float64 if it was that and float32 otherwise.

    Parameters
    ----------
    x : array_like
        The input: an array of any library, see `motifgpu.core.given`, or nested sequences of numbers.
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
        dimension but the first, or a value is masked or not finite.
    """
    x = taken(x, stage, name)
    if isinstance(x, np.ma.MaskedArray):
        hidden = int(np.ma.getmaskarray(x).sum())
        if hidden:
            raise StageError(stage, f"{name} has {hidden} masked values", "leave them out, or fill them")
        x = x.data
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
    with np.errstate(over="ignore"):  # what is too large becomes infinity
        x = xp.astype(x, dtype, copy=copy)
    if finite and not bool(xp.all(xp.isfinite(x))):
        bad = int(xp.sum(xp.astype(~xp.isfinite(x), xp.int32)))
        raise StageError(
            stage,
            f"{name} has {bad} of {math.prod(x.shape)} values that are NaN or infinite",
            "replace them first, for instance by the median of their neighbours",
        )
    return xp, x


def check_labels(x: Any, stage: str, number: int) -> np.ndarray:
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


def check_offsets(offsets: Any, number: int, stage: str) -> np.ndarray:
    """Check where each micrograph's rows begin and end, and return it as (m + 1,) int64 on the host.

    Parameters
    ----------
    offsets : (m + 1,) array_like of int or None
        Rising from 0 to `number`; None for one micrograph.
    number : int
        Rows of all micrographs.
    stage : str
        The stage that asks.

    Raises
    ------
    StageError
        If they do not rise from 0 to `number`.
    """
    if offsets is None:
        return np.array([0, number], np.int64)
    limits = np.asarray(to_numpy(offsets))
    if limits.ndim != 1 or limits.size < 1 or limits.dtype.kind not in "iu":
        raise StageError(
            stage, f"offsets have shape {limits.shape} and dtype {limits.dtype}", "give (m + 1,) integers"
        )
    limits = limits.astype(np.int64)
    if limits[0] != 0 or limits[-1] != number:
        raise StageError(
            stage,
            f"offsets go from {limits[0]} to {limits[-1]}",
            f"let them go from 0 to the number of rows, {number}",
        )
    falls = np.flatnonzero(np.diff(limits) < 0)
    if falls.size:
        raise StageError(
            stage, f"offsets fall after number {falls[0]}", "let them rise from 0 to the number of rows"
        )
    return limits


def check_spread(spread: Array, stage: str) -> None:
    """Refuse constant rows, whose correlation with others is undefined.

    Parameters
    ----------
    spread : (n,) array
        Norm of each row after its mean is subtracted, over that before; 0 for a row of zeros.
    stage : str
        The stage that asks.

    Raises
    ------
    StageError
        If the spread of a row is below `LEAST_SPREAD`.
    """
    constant = array_namespace(spread).nonzero(spread < LEAST_SPREAD)[0]
    if constant.shape[0]:
        raise StageError(
            stage,
            f"{listed(to_numpy(constant))} of x are constant, so that no correlation is defined",
            "remove these points: their patches are flat",
        )


def listed(rows: np.ndarray) -> str:
    """Return row numbers (n,) in words for a message, the first of many."""
    words = ("row " if rows.size == 1 else "rows ") + ", ".join(map(str, rows[:NAMED]))
    return words if rows.size <= NAMED else f"{words} and {rows.size - NAMED} more"
