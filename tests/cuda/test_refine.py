"""The launcher and kernels that fit columns, run on the CPU, against the code for the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from host_cuda import device, sanitizers

from motifgpu.cpu.refine import HostFit
from motifgpu.cuda import loader
from motifgpu.cuda.refine import DeviceFit

pytestmark = pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))

REACH, SHAPE = 3, (61, 83)


def case(dtype: type = np.float32, masked: bool = False, n: int = 130):
    """An image and columns that overlap, some at its corners and beyond; with weights, some of them 0."""
    rng = np.random.default_rng(n)
    image = rng.normal(size=SHAPE).astype(dtype)
    points = (rng.uniform(-1, 1, (n, 2)) * 4 + rng.uniform(0, 1, (n, 2)) * SHAPE).astype(dtype)
    points[: min(n, 2)] = [[0.0, 0.5], [60.0, 82.0]][: min(n, 2)]
    heights = rng.uniform(-0.2, 3.0, n).astype(dtype)
    known = (rng.uniform(size=SHAPE) * (rng.uniform(size=SHAPE) > 0.3)).astype(dtype) if masked else None
    if known is not None:
        known[:30] = 1
    return image, points, heights, np.asarray(1.6, dtype), known


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_and_steps_are_those_of_the_cpu(dtype: type, masked: bool) -> None:
    image, points, heights, sigma, known = case(dtype, masked)
    host = HostFit(image, points, heights, float(sigma), known, REACH)
    away = np.random.default_rng(1).normal(size=points.shape).astype(dtype)
    with loader.running_on(device.HostDevice(schedule=7)):
        there = DeviceFit(image, points, heights, sigma, known, REACH)
        drawn = there.model(heights)
        results = (
            there.height_and_level(),
            there.project_heights(image),
            *there.step(image, 1e-6, 0.0, away),
            *there.step(image, 1e-4, 0.3, away),
        )
    assert drawn.dtype == dtype
    np.testing.assert_allclose(drawn, host.model(heights), atol=1e-6 if dtype is np.float32 else 1e-14)
    wanted = (
        host.height_and_level(),
        host.project_heights(image),
        *host.step(image, 1e-6, 0.0, away),
        *host.step(image, 1e-4, 0.3, away),
    )
    for mine, other in zip(results, wanted, strict=True):
        tolerance = 1e-6 if dtype is np.float32 else 1e-10  # the host rounds a weighted pixel to its dtype
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance * np.abs(other).max())


def test_a_drawing_has_the_same_bits_in_any_order() -> None:
    image, points, heights, sigma, known = case()
    drawn = []
    for schedule in (0, 1, 5):
        with loader.running_on(device.HostDevice(schedule=schedule)):
            drawn.append(DeviceFit(image, points, heights, sigma, known, REACH).model(heights).tobytes())
    assert len(set(drawn)) == 1


@pytest.mark.parametrize("heights", [[], [0.0], [-2.0]])
def test_none_dark_and_invisible_columns(heights: list[float]) -> None:
    image, n = np.zeros(SHAPE, np.float32), len(heights)
    points, given = np.full((n, 2), 20.0, np.float32), np.array(heights, np.float32)
    with loader.running_on(device.HostDevice()):
        there = DeviceFit(image, points, given, np.float32(1.5), None, REACH)
        drawn = there.model(given)
        assert there.height_and_level().shape == (4, n)
        assert there.step(image, 1e-6, 0.0, points)[0].shape == (n, 4)
    assert drawn[20, 20] == (heights[0] if heights else 0.0)


def sanitized_case() -> None:
    """Run in a child process by the test below."""
    image, points, heights, sigma, known = case(masked=True, n=20)
    with loader.running_on(device.HostDevice()):
        fit = DeviceFit(image, points, heights, sigma, known, REACH)
        fit.step(image - fit.model(heights), 1e-4, 0.1, points)
        fit.project_heights(image), fit.height_and_level()
    print("finished")


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address", "undefined", "thread"])
def test_sanitizers_find_nothing(sanitizer: str) -> None:
    done = sanitizers.run(sanitizer, f"{__file__}:sanitized_case")
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout
