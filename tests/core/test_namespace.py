from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from support.backends import same_home

from motifgpu.core import namespace


def test_namespace_of_lists_and_arrays(xp_array: Callable[[Any], Any]) -> None:
    x = xp_array(np.ones((2, 3), np.float32))
    assert namespace.array_namespace(x, 3.0) is namespace.array_namespace(x)
    assert namespace.array_namespace([1, 2]).__name__ == "array_api_compat.numpy"


def test_round_trip_over_the_host(xp_array: Callable[[Any], Any]) -> None:
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    x = xp_array(a)
    np.testing.assert_array_equal(namespace.to_numpy(x), a)
    back = namespace.from_numpy(a, x)
    assert same_home(back, x)


def test_twins_agree_with_scipy(xp_array: Callable[[Any], Any]) -> None:
    from scipy import ndimage

    a = np.random.default_rng(0).normal(size=(12, 9)).astype(np.float32)
    x = xp_array(a)
    xp = namespace.array_namespace(x)
    blurred = namespace.ndimage(xp).gaussian_filter(x, 1.5)
    assert same_home(blurred, x)
    np.testing.assert_allclose(
        namespace.to_numpy(blurred), ndimage.gaussian_filter(a, 1.5), rtol=1e-5, atol=1e-6
    )
    labels, count = namespace.ndimage(xp).label(x > 0)
    assert same_home(labels, x)
    assert int(count) == ndimage.label(a > 0)[1]
    wide = namespace.skimage(xp, "filters").gaussian(x, sigma=1.5)
    assert same_home(wide, x)


def test_rows_are_taken_and_the_upper_of_two_middles(xp_array: Callable[[Any], Any]) -> None:
    x = xp_array(np.array([4.0, 1.0, 3.0, 2.0], np.float32))
    assert float(namespace.upper_median(x)) == 3
    assert float(namespace.upper_median(x, x < 3.5)) == 2
    assert float(namespace.upper_median(x, x < 2.5)) == 2
    taken = namespace.take_rows(x, x > 1.5)
    assert same_home(taken, x)
    np.testing.assert_array_equal(namespace.to_numpy(taken), [4, 3, 2])
