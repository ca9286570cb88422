"""The launcher and kernel that sample patches, run on the CPU, against the array code and an oracle."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from host_cuda import device, faults, sanitizers
from scipy import ndimage

from motifgpu import extract_patches
from motifgpu.core import namespace
from motifgpu.core.sampling import Sampling
from motifgpu.cpu import patches as cpu
from motifgpu.cuda import loader
from motifgpu.cuda import patches as cuda

pytestmark = pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))

SAMPLINGS = [  # size, side: one sample, one group, beyond a group, finer, coarser, taps that do not overlap
    *((1, 1.0), (4, 4.0), (5, 5.0), (38, 38.0), (24, 14.3), (11, 40.0), (5, 62.0)),
    *((64, 64.0), (67, 70.2)),  # as large as a tile, and beyond
]


def case(size: int, side: float, n: int = 5, dtype: type = np.float32, shape: tuple[int, int] = (83, 91)):
    """Coefficients, and where the patches begin; also outside the image, which public points never do."""
    rng = np.random.default_rng(size)
    # with memory before it, which threads that run ahead of a missing barrier read
    coefficients = rng.normal(size=(shape[0] + 100, shape[1])).astype(dtype)[100:]
    pixel = rng.integers(-3, 20, (n, 2))
    fraction = rng.random((n, 2)).astype(dtype)
    fraction[0], fraction[1 % n] = 0.0, 1.0
    return coefficients, pixel, fraction, Sampling(size, side / size)


def sampled(coefficients, pixel, fraction, sampling, **options) -> np.ndarray:
    with loader.running_on(device.HostDevice(**options)):
        return cuda.sample(coefficients, pixel, fraction, sampling)


@pytest.mark.parametrize("schedule", [0, 1, 7])
@pytest.mark.parametrize(("size", "side"), SAMPLINGS)
def test_patches_are_those_of_the_array_code(size: int, side: float, schedule: int) -> None:
    given = case(size, side)
    wanted = cpu.sample(*given)
    found = sampled(*given, schedule=schedule)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=2e-6 * np.abs(given[0]).max())


def test_float64_keeps_its_digits() -> None:
    given = case(9, 7.7, dtype=np.float64)
    coefficients, pixel, fraction, _ = given
    found = sampled(*given)
    steps = np.arange(9) * (7.7 / 9)
    for patch, start in zip(found, pixel + fraction, strict=True):
        where = np.meshgrid(start[0] + steps, start[1] + steps, indexing="ij")
        wanted = ndimage.map_coordinates(coefficients, where, order=5, mode="mirror", prefilter=False)
        np.testing.assert_allclose(patch, wanted, atol=1e-8)  # phases are rounded to nine digits


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_images_of_few_pixels_are_mirrored_many_times(shape: tuple[int, int]) -> None:
    given = case(1, 1.0, shape=shape)
    wanted = cpu.sample(*given)
    np.testing.assert_allclose(sampled(*given), wanted, atol=1e-5)


def test_bits_do_not_depend_on_company_order_or_width(monkeypatch: pytest.MonkeyPatch) -> None:
    coefficients, pixel, fraction, sampling = case(38, 36.1, n=7)
    together = sampled(coefficients, pixel, fraction, sampling)
    order = np.random.default_rng(0).permutation(7)
    np.testing.assert_array_equal(
        sampled(coefficients, pixel[order], fraction[order], sampling), together[order]
    )
    np.testing.assert_array_equal(sampled(coefficients, pixel[3:4], fraction[3:4], sampling), together[3:4])
    monkeypatch.setattr(loader, "_WIDE", 1)
    np.testing.assert_array_equal(sampled(coefficients, pixel, fraction, sampling), together)


def test_a_gpu_of_little_shared_memory_takes_smaller_tiles() -> None:
    given = case(38, 38.0)
    host = device.HostDevice(shared_bytes=16 * 1024)
    with loader.running_on(host):
        found = cuda.sample(*given)
    assert host.launches == ["sample_patches"]
    np.testing.assert_array_equal(found, sampled(*given))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(83, 91), (1, 30), (3, 200), (2, 2)])
def test_coefficients_by_the_impulse_response_are_those_of_the_recursion(
    shape: tuple[int, int], dtype: str
) -> None:
    image = 5 + np.random.default_rng(0).normal(size=shape).astype(dtype)
    wanted = cpu.coefficients(image.astype(np.float64))
    found = cuda.coefficients(image)
    assert found.dtype == image.dtype
    np.testing.assert_allclose(
        found, wanted, atol=(2e-6 if dtype == "float32" else 1e-13) * np.abs(wanted).max()
    )


def test_no_patch_needs_no_launch() -> None:
    coefficients, pixel, fraction, sampling = case(8, 8.0)
    host = device.HostDevice()
    with loader.running_on(host):
        empty = cuda.sample(coefficients, pixel[:0], fraction[:0], sampling)
    assert empty.shape == (0, 8, 8)
    assert not host.launches


def test_the_public_function_launches_and_stays_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).normal(size=(60, 70)).astype(np.float32)
    points = np.random.default_rng(1).uniform(0, 60, (20, 2)).astype(np.float32)
    wanted, inside = extract_patches(image, points, 12, side=10.5)
    there = array_api_strict.Device("device1")
    monkeypatch.setattr(namespace, "is_cupy", lambda xp: xp is array_api_strict)
    monkeypatch.setattr(namespace, "ndimage", lambda xp: namespace._on_host(ndimage))
    host = device.HostDevice()
    with loader.running_on(host):
        found, seen = extract_patches(
            *(array_api_strict.asarray(a, device=there) for a in (image, points)), 12, side=10.5
        )
    assert host.launches == ["sample_patches"]
    assert found.device == there
    np.testing.assert_array_equal(seen._array, inside)
    np.testing.assert_allclose(found._array, wanted, atol=2e-5)


def sanitized_case() -> None:
    """Run in a child process."""
    for size, side in ((5, 5.0), (38, 36.1), (67, 70.2), (5, 62.0)):
        sampled(*case(size, side))
    print("finished")


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address", "undefined", "thread"])
def test_nothing_for_the_sanitizers(sanitizer: str) -> None:
    done = sanitizers.run(sanitizer, f"{__file__}:sanitized_case")
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout


def case_without_barrier(number: str) -> None:
    """Run in a child process."""
    with faults.without_barrier("patches", int(number)):
        sampled(*case(38, 36.1))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_every_barrier_is_missed(number: int) -> None:
    assert len(faults.barriers("patches")) == 3
    done = sanitizers.run("thread", f"{__file__}:case_without_barrier", str(number))
    assert done.returncode == sanitizers.FOUND, done.stderr
    assert "data race" in done.stderr
