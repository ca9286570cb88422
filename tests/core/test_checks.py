from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.backends import same_home

from motifgpu.core.checks import check_array, check_offsets, check_spread
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import array_namespace, to_numpy


def test_an_array_stays_in_its_namespace(xp_array: Callable[[Any], Any]) -> None:
    x = xp_array(np.ones((2, 3), np.float32))
    xp, y = check_array(x, "stage", "x", 2)
    assert same_home(y, x)
    assert xp is array_namespace(x)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.bool_, np.float32])
def test_numbers_become_float32(xp_array: Callable[[Any], Any], dtype: type) -> None:
    x = xp_array(np.ones((2, 3), dtype))
    xp, y = check_array(x, "stage", "x", 2)
    assert y.dtype == xp.float32
    np.testing.assert_array_equal(to_numpy(y), 1)


def test_float64_stays() -> None:
    assert check_array(np.ones(3), "stage", "x", 1)[1].dtype == np.float64
    assert check_array([1.5, 2], "stage", "x", 1)[1].dtype == np.float64


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((2, 2), complex), "a: x has dtype complex128; give real numbers"),
        (np.array([["a"]]), "a: x has dtype <U1; give real numbers"),
        (np.zeros((2, 2, 2)), r"a: x has shape \(2, 2, 2\); give an array of 2 dimensions"),
        ([[1, 2], [3]], "a: x is not a rectangular array .*; give rows of one length"),
        (np.zeros((2, 0)), r"a: x has shape \(2, 0\); give an array that is not empty"),
        (
            np.array([[1, np.nan], [np.inf, 0]]),
            "a: x has 2 of 4 values that are NaN or infinite; replace them",
        ),
    ],
)
def test_bad_input_is_named(value: Any, message: str) -> None:
    with pytest.raises(StageError, match=message):
        check_array(value, "a", "x", 2)


def test_offsets_are_whole_numbers_on_the_host(xp_array: Callable[[Any], Any]) -> None:
    for given in (xp_array(np.array([0, 2, 2, 5], np.int32)), [0, 2, 2, 5]):
        limits = check_offsets(given, 5, "a")
        assert limits.dtype == np.int64
        assert limits.tolist() == [0, 2, 2, 5]
    assert check_offsets(None, 5, "a").tolist() == [0, 5]
    assert check_offsets([0], 0, "a").tolist() == [0]


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 3], "a: offsets go from 0 to 3; let them go from 0 to the number of rows, 5"),
        ([1, 5], "a: offsets go from 1 to 5"),
        ([0, 4, 2, 5], "a: offsets fall after number 1; let them rise"),
        ([0.0, 5.0], r"a: offsets have shape \(2,\) and dtype float64; give \(m \+ 1,\) integers"),
        ([[0, 5]], r"a: offsets have shape \(1, 2\)"),
        (np.empty(0, int), r"a: offsets have shape \(0,\)"),
    ],
)
def test_offsets_that_do_not_fit_are_named(offsets: Any, message: str) -> None:
    with pytest.raises(StageError, match=message):
        check_offsets(offsets, 5, "a")


def test_constant_rows_are_named(xp_array: Callable[[Any], Any]) -> None:
    spread = np.ones(30, np.float32)
    check_spread(xp_array(spread), "a")
    spread[[3, 29]] = 0, 1e-10
    with pytest.raises(StageError, match=r"a: rows 3, 29 of x are constant, .*; remove these points"):
        check_spread(xp_array(spread), "a")
    spread[:] = 0
    with pytest.raises(StageError, match="rows 0, 1, 2, 3, 4, 5, 6, 7 and 22 more of x are constant"):
        check_spread(xp_array(spread), "a")
