"""The launcher and kernels that fit columns, run on the CPU, against the code for the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from host_cuda import device, sanitizers

from motifgpu.cpu import refine as host
from motifgpu.cuda import loader
from motifgpu.cuda import refine as there

pytestmark = pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))

SHAPE = (61, 83)


def case(dtype: type = np.float32, masked: bool = False, n: int = 130, seed: int = 0) -> tuple[Any, ...]:
    """An image and columns that overlap, some at its corners and beyond; with weights, some of them 0."""
    rng = np.random.default_rng(n + seed)
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.cos(row / 1.1) * np.cos(col / 1.3) + 0.3 * rng.normal(size=SHAPE)
    points = (rng.uniform(-1, 1, (n, 2)) * 4 + rng.uniform(0, 1, (n, 2)) * SHAPE).astype(dtype)
    points[: min(n, 2)] = [[0.0, 0.5], [60.0, 82.0]][: min(n, 2)]
    heights = rng.uniform(0.2, 3.0, n).astype(dtype)
    known = (rng.uniform(size=SHAPE) * (rng.uniform(size=SHAPE) > 0.3)).astype(dtype) if masked else None
    if known is not None:
        known[:30] = 1
    return image.astype(dtype), points, heights, np.asarray(1.6, dtype), known


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fits_and_heights_are_those_of_the_cpu(dtype: type, masked: bool) -> None:
    image, *columns, known = case(dtype, masked)
    with loader.running_on(device.HostDevice(schedule=7)):
        mine = [
            *there.fit(image, *columns, known, 1, 0.0),
            *there.fit(image, *columns, known, 3, 0.3),
            *there.measure(image, *columns, known, 4),
            there.draw(image, *columns),
        ]
    wanted = [
        *host.fit(image, *columns, known, 1, 0.0),
        *host.fit(image, *columns, known, 3, 0.3),
        *host.measure(image, *columns, known, 4),
        host.draw(image, *columns),
    ]
    # The host rounds each step to its dtype, and fits of columns upon each other make much of it.
    tolerance = 1e-3 if dtype is np.float32 else 1e-8
    for one, other in zip(mine, wanted, strict=True):
        assert np.shape(one) == np.shape(other)
        assert np.asarray(one).dtype == other.dtype or np.ndim(one) == 0
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * np.abs(other).max())


def test_a_drawing_has_the_same_bits_in_any_order() -> None:
    image, *columns, _ = case()
    drawn = []
    for schedule in (0, 1, 5):
        with loader.running_on(device.HostDevice(schedule=schedule)):
            drawn.append(there.draw(image, *columns).tobytes())
    assert len(set(drawn)) == 1


@pytest.mark.parametrize("heights", [[], [0.0], [-2.0]])
def test_none_dark_and_invisible_columns(heights: list[float]) -> None:
    image, n = np.zeros(SHAPE, np.float32), len(heights)
    points, given = np.full((n, 2), 20.0, np.float32), np.array(heights, np.float32)
    with loader.running_on(device.HostDevice()):
        drawn = there.draw(image, points, given, np.float32(1.5))
        assert there.measure(image, points, given, np.float32(1.5), None, 1)[1].shape == (n,)
        assert there.fit(image, points, given, np.float32(1.5), None, 1, 0.0)[0].shape == (n, 2)
    assert drawn[20, 20] == (heights[0] if heights else 0.0)


def sanitized_case() -> None:
    """Run in a child process by the test below."""
    image, *columns, known = case(masked=True, n=20)
    with loader.running_on(device.HostDevice()):
        there.fit(image, *columns, known, 2, 0.1)
        there.measure(image, *columns, known, 2)
        there.draw(image, *columns)
    print("finished")


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address", "undefined", "thread"])
def test_sanitizers_find_nothing(sanitizer: str) -> None:
    done = sanitizers.run(sanitizer, f"{__file__}:sanitized_case")
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout
