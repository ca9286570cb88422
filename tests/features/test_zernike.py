from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from support.backends import same_home

from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.features import disc
from motifgpu.features.zernike import (
    reconstruct_patches,
    rotate_moments,
    rotation_invariants,
    usable_order,
    zernike_basis,
    zernike_indices,
    zernike_moments,
)


def factorial_coefficients(p: int, q: int) -> list[int]:
    f = math.factorial
    return [
        (-1) ** k * f(p - k) // (f(k) * f((p + q) // 2 - k) * f((p - q) // 2 - k))
        for k in range((p - q) // 2 + 1)
    ]


def exact_function(p: int, q: int, x: int, y: int, unit: int) -> float:
    """Zernike function at (x, y) / unit, in whole numbers but for its norm."""
    rho2, a = x * x + y * y, abs(q)
    if rho2 > unit * unit:
        return 0.0
    re, im = 1, 0
    for _ in range(a):
        re, im = re * x - im * y, re * y + im * x
    radial, power = 0, 1
    for coefficient in factorial_coefficients(p, a):
        radial = radial * rho2 + coefficient * power
        power *= unit * unit
    scale = unit**p  # of rho^|q|, and of the radial part, whose highest power of rho^2 is (p - |q|) / 2
    return math.sqrt(2 * (p + 1) / (1 + (q == 0))) * (radial * (re if q >= 0 else im) / scale)


def random_moments(n: int, order: int = 10, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, (order + 1) * (order + 2) // 2))


def blobs(size: int, n: int, seed: int = 0, sigma: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = (2 * np.arange(size) + 1 - size) / size
    centres = rng.uniform(-0.6, 0.6, (n, 4, 2, 1, 1))
    heights = rng.uniform(0.3, 1, (n, 4, 1, 1))
    d2 = (x[:, None] - centres[:, :, 0]) ** 2 + (x - centres[:, :, 1]) ** 2
    return (heights * np.exp(-d2 / (2 * sigma**2))).sum(axis=1)


def test_indices_are_in_the_order_of_j() -> None:
    pq = zernike_indices(10)
    assert pq.shape == (66, 2)
    p, q = pq.T
    np.testing.assert_array_equal((p * (p + 2) + q) // 2, np.arange(66))
    assert (np.abs(q) <= p).all()
    assert ((p - q) % 2 == 0).all()
    assert zernike_indices(0).tolist() == [[0, 0]]


@pytest.mark.parametrize("size", [1, 4, 7])
def test_basis_is_the_factorial_formula(size: int) -> None:
    basis = zernike_basis(6, size)
    for (p, q), function in zip(zernike_indices(6).tolist(), basis, strict=True):
        for row in range(size):
            for col in range(size):
                x, y = 2 * col + 1 - size, -(2 * row + 1 - size)
                assert function[row, col] == pytest.approx(exact_function(p, q, x, y, size), abs=1e-14)


@pytest.mark.parametrize(("order", "tolerance"), [(60, 1e-10), (100, 1e-9)])
def test_high_orders_keep_their_digits(order: int, tolerance: float) -> None:
    size = 40
    basis = zernike_basis(order, size)
    pixels = [(0, 14), (1, 12), (5, 6), (11, 30), (19, 19), (20, 39), (27, 9), (38, 21)]
    worst = 0.0
    for (p, q), function in list(zip(zernike_indices(order).tolist(), basis, strict=True))[
        :: 1 if order == 60 else 7
    ]:
        for row, col in pixels:
            x, y = 2 * col + 1 - size, -(2 * row + 1 - size)
            worst = max(worst, abs(function[row, col] - exact_function(p, q, x, y, size)))
    assert worst < tolerance


def test_basis_is_orthonormal_under_the_mean_over_the_disc() -> None:
    basis = zernike_basis(6, 400).reshape(28, -1)
    gram = basis @ basis.T / len(disc.pixels(400, 400)[0])
    np.testing.assert_allclose(gram, np.eye(28), atol=0.01)


def test_angles_run_counter_clockwise_on_the_displayed_image() -> None:
    basis = dict(zip(map(tuple, zernike_indices(2).tolist()), zernike_basis(2, 9), strict=True))
    assert basis[1, 1][4, 7] > 0 > basis[1, 1][4, 1]  # cosine: along +col
    assert basis[1, -1][1, 4] > 0 > basis[1, -1][7, 4]  # sine: upwards, along -row
    assert basis[2, -2][2, 6] > 0  # sin 2 theta is positive up and to the right


@pytest.mark.parametrize("size", [16, 17, 24, 39, 64])
def test_band_limited_patches_give_their_moments(xp_array: Callable[[Any], Any], size: int) -> None:
    wanted = random_moments(50, seed=size)
    basis = zernike_basis(10, size)
    patches = xp_array(np.einsum("nj,jrc->nrc", wanted, basis).astype("float32"))
    moments = zernike_moments(patches)
    assert moments.shape == (50, 66)
    assert moments.dtype == patches.dtype
    assert same_home(moments, patches)
    np.testing.assert_allclose(to_numpy(moments), wanted, atol=1e-5)
    np.testing.assert_allclose(zernike_moments(np.einsum("nj,jrc->nrc", wanted, basis)), wanted, atol=2e-14)


@pytest.mark.parametrize(("order", "size"), [(0, 1), (3, 5), (10, 23), (14, 40)])
def test_moments_are_the_least_squares_fit(order: int, size: int) -> None:
    patches = np.random.default_rng(0).normal(size=(20, size, size)) + 5
    inside = zernike_basis(0, size)[0] == 1
    fit, *_ = np.linalg.lstsq(zernike_basis(order, size)[:, inside].T, patches[:, inside].T, rcond=None)
    wanted = fit.T
    mean = patches[:, inside].mean(axis=1)
    centred = np.linalg.lstsq(
        zernike_basis(order, size)[:, inside].T, (patches[:, inside] - mean[:, None]).T, rcond=None
    )[0].T
    np.testing.assert_allclose(zernike_moments(patches, order), wanted, atol=1e-12)
    np.testing.assert_allclose(zernike_moments(patches, order)[:, 0] - mean, centred[:, 0], atol=1e-12)


def test_pixels_outside_the_disc_have_no_effect(xp_array: Callable[[Any], Any]) -> None:
    patches = np.random.default_rng(1).normal(size=(20, 21, 21)).astype("float32")
    elsewhere = np.where(zernike_basis(0, 21)[0] == 1, patches, 1e6).astype("float32")
    moments, same = zernike_moments(xp_array(patches)), zernike_moments(xp_array(elsewhere))
    np.testing.assert_array_equal(to_numpy(moments), to_numpy(same))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("order", "size"), [(10, 16), (10, 38), (10, 64), (7, 25)])
def test_a_patch_has_the_same_bits_alone_and_in_any_batch(dtype: str, order: int, size: int) -> None:
    rng = np.random.default_rng(2)
    patches = rng.normal(size=(300, size, size)).astype(dtype)
    together = zernike_moments(patches, order)
    shuffled = rng.permutation(300)
    np.testing.assert_array_equal(zernike_moments(patches[shuffled], order), together[shuffled])
    np.testing.assert_array_equal(zernike_moments(patches[5:298], order), together[5:298])
    for i in (*range(17), 100, 299):
        np.testing.assert_array_equal(zernike_moments(patches[i : i + 1], order)[0], together[i])


def test_a_large_mean_costs_the_other_moments_nothing() -> None:
    patches = np.random.default_rng(3).integers(-8, 8, (30, 24, 24)).astype("float32")
    moments, lifted = zernike_moments(patches), zernike_moments(patches + 4096)  # the pixels stay exact
    np.testing.assert_allclose(lifted[:, 1:], moments[:, 1:], atol=1e-4)
    np.testing.assert_allclose(lifted[:, 0], moments[:, 0] + 4096, rtol=1e-6)


@pytest.mark.parametrize("size", [20, 21])
def test_parity_is_exact(size: int) -> None:
    patches = np.random.default_rng(4).normal(size=(5, size, size)).astype("float32")
    sine = zernike_indices(10)[:, 1] < 0
    assert not zernike_moments(patches + patches[:, ::-1])[:, sine].any()
    assert not zernike_moments(patches - patches[:, ::-1])[:, ~sine].any()


@settings(deadline=None, max_examples=20)
@given(a=st.floats(-10, 10), b=st.floats(-10, 10), seed=st.integers(0, 99))
def test_moments_are_linear(a: float, b: float, seed: int) -> None:
    f, g = np.random.default_rng(seed).normal(size=(2, 3, 18, 18))
    combined = zernike_moments(a * f + b * g)
    np.testing.assert_allclose(combined, a * zernike_moments(f) + b * zernike_moments(g), atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99), order=st.integers(0, 6))
def test_energy_is_the_mean_square_over_the_disc(seed: int, order: int) -> None:
    moments = random_moments(4, order, seed)
    patches = reconstruct_patches(moments, 101)
    energy = (patches**2).sum(axis=(1, 2)) / len(disc.pixels(101, 101)[0])
    np.testing.assert_allclose(energy, (moments**2).sum(axis=1), rtol=0.05)


def test_no_patches_and_other_dtypes(xp_array: Callable[[Any], Any]) -> None:
    empty = xp_array(np.zeros((0, 20, 20), "float32"))
    assert zernike_moments(empty).shape == (0, 66)
    assert same_home(zernike_moments(empty), empty)
    assert rotation_invariants(zernike_moments(empty)).shape == (0, 36)
    assert reconstruct_patches(zernike_moments(empty), 5).shape == (0, 5, 5)
    assert rotate_moments(zernike_moments(empty), 30.0).shape == (0, 66)
    whole = np.random.default_rng(5).integers(0, 255, (3, 20, 20)).astype("uint8")
    moments = zernike_moments(xp_array(whole))
    np.testing.assert_allclose(to_numpy(moments), zernike_moments(whole.astype("float64")), atol=1e-3)
    assert zernike_moments(whole.tolist(), order=3).dtype == np.float32


def test_strides_do_not_matter() -> None:
    patches = np.random.default_rng(6).normal(size=(20, 20, 40))
    for view in (
        patches[:, :, ::2],
        patches[:, :, :20].transpose(2, 0, 1),
        np.asfortranarray(patches[:, :, :20]),
    ):
        np.testing.assert_array_equal(zernike_moments(view), zernike_moments(np.ascontiguousarray(view)))


def test_reconstruction(xp_array: Callable[[Any], Any]) -> None:
    moments = random_moments(7).astype("float32")
    there = xp_array(moments)
    patches = reconstruct_patches(there, 30)
    assert same_home(patches, there)
    wanted = sum(moments[:, j, None, None] * z for j, z in enumerate(zernike_basis(10, 30)))
    np.testing.assert_allclose(to_numpy(patches), wanted, atol=1e-4)
    np.testing.assert_allclose(to_numpy(zernike_moments(patches)), moments, atol=1e-5)


def test_quarter_turns_are_those_of_the_pixels(xp_array: Callable[[Any], Any]) -> None:
    patches = np.random.default_rng(7).normal(size=(9, 25, 25)).astype("float32")
    moments = zernike_moments(xp_array(patches))
    for quarter in (1, 2, 3, -1):
        turned = zernike_moments(np.rot90(patches, quarter, axes=(1, 2)))
        rotated = rotate_moments(moments, 90.0 * quarter)
        assert same_home(rotated, moments)
        np.testing.assert_allclose(to_numpy(rotated), turned, atol=1e-5)
        np.testing.assert_allclose(
            rotation_invariants(turned), to_numpy(rotation_invariants(moments)), atol=1e-5
        )


@pytest.mark.parametrize("degrees", [17.0, 60.0, 200.0])
def test_turning_moments_turns_the_content(degrees: float) -> None:
    patches = blobs(81, 6)
    turned = ndimage.rotate(patches, degrees, axes=(2, 1), reshape=False, order=5)  # also counter-clockwise
    np.testing.assert_allclose(
        rotate_moments(zernike_moments(patches), degrees), zernike_moments(turned), atol=2e-3
    )


@settings(deadline=None, max_examples=30)
@given(a=st.floats(-400, 400), b=st.floats(-400, 400), seed=st.integers(0, 99))
def test_rotations_compose_and_keep_the_invariants(a: float, b: float, seed: int) -> None:
    moments = random_moments(3, 8, seed)
    turned = rotate_moments(rotate_moments(moments, a), b)
    np.testing.assert_allclose(turned, rotate_moments(moments, a + b), atol=1e-11)
    np.testing.assert_allclose(rotation_invariants(turned), rotation_invariants(moments), atol=1e-12)


def test_an_angle_for_each_patch(xp_array: Callable[[Any], Any]) -> None:
    moments, angles = random_moments(4).astype("float32"), np.array([0, 30, -45, 110], "float32")
    rotated = rotate_moments(xp_array(moments), xp_array(angles))
    for row, wanted, angle in zip(to_numpy(rotated), moments, angles, strict=True):
        np.testing.assert_allclose(row, rotate_moments(wanted[None], float(angle))[0], atol=1e-5)
    np.testing.assert_allclose(
        to_numpy(rotate_moments(xp_array(moments), angles.tolist())), to_numpy(rotated)
    )


def test_invariants_are_lengths(xp_array: Callable[[Any], Any]) -> None:
    moments = random_moments(5).astype("float32")
    by_name = {pq: moments[:, j] for j, pq in enumerate(map(tuple, zernike_indices(10).tolist()))}
    wanted = [
        np.abs(by_name[p, 0]) if q == 0 else np.hypot(by_name[p, q], by_name[p, -q])
        for p, q in by_name
        if q >= 0
    ]
    invariants = rotation_invariants(xp_array(moments))
    assert invariants.shape == (5, 36)
    np.testing.assert_allclose(to_numpy(invariants), np.stack(wanted, axis=1), rtol=1e-6)


def test_usable_order_is_the_last_that_is_accepted() -> None:
    assert [usable_order(size) for size in (1, 3, 14, 15, 16, 38)] == [0, 2, 9, 10, 10, 10]
    for size in (5, 9, 14, 23):
        order = usable_order(size, 30)
        assert np.isfinite(zernike_moments(np.ones((1, size, size)), order)).all()
        with pytest.raises(StageError, match=f"take order {order} or less"):
            zernike_moments(np.ones((1, size, size)), order + 1)


@pytest.mark.parametrize("order", [1, 5, 10, 14, 20, 31])
def test_the_size_that_the_message_names_will_do(order: int) -> None:
    size = disc.sufficient_size(order)
    assert disc.condition_number(order, size, size) <= disc.MAX_CONDITION


def test_condition_numbers_are_those_of_the_basis() -> None:
    for order, size in ((10, 14), (10, 16), (10, 24), (10, 38), (5, 7)):
        inside = zernike_basis(0, size)[0] == 1
        wanted = np.linalg.cond(zernike_basis(order, size)[:, inside])
        assert disc.condition_number(order, size, size) == pytest.approx(wanted, rel=1e-6)
    assert disc.condition_number(10, 8, 8) == math.inf


SQUARE = np.ones((4, 20, 20))


@pytest.mark.parametrize(
    ("patches", "order", "message"),
    [
        (np.ones((2, 14, 14)), 10, "order 10 has condition number 10.7 .* take order 9 .* to 16 px"),
        (np.ones((2, 3, 3)), 10, "order 10 has condition number inf .* take order 2 or less"),
        (np.ones((2, 20, 21)), 10, r"patches have shape \(2, 20, 21\); give square ones, \(n, s, s\)"),
        (np.ones((20, 20)), 10, r"patches has shape \(20, 20\); give an array of 3 dimensions"),
        (np.ones((2, 0, 0)), 10, r"patches has shape \(2, 0, 0\); give an array that is not empty"),
        (SQUARE * 1j, 10, "patches has dtype complex128; give real numbers"),
        (SQUARE * np.nan, 10, "patch 0 has values that are NaN or infinite; replace them first"),
        (SQUARE * np.inf, 10, "patch 0 has values that are NaN or infinite; replace them first"),
        (SQUARE, -1, "order is -1; give a whole number from 0 to 100"),
        (SQUARE, 101, "order is 101; give a whole number from 0 to 100"),
        (SQUARE, 2.0, "order is 2.0; give a whole number from 0 to 100"),
    ],
)  # fmt: skip
def test_bad_patches(patches: np.ndarray, order: Any, message: str) -> None:
    with pytest.raises(StageError, match=f"^zernike: {message}"):
        zernike_moments(patches, order)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("pixel", [(0, 0), (19, 0), (10, 10), (9, 19)])  # two of them beyond the disc
@pytest.mark.parametrize("size", [20, 21])
def test_a_bad_pixel_anywhere_is_refused(size: int, pixel: tuple[int, int], value: float) -> None:
    patches = np.ones((40, size, size), np.float32)
    patches[33][pixel] = patches[38][pixel] = value
    with pytest.raises(StageError, match=r"^zernike: patch 33 has values that are NaN or infinite"):
        zernike_moments(patches)


def test_values_too_large_to_sum_are_named_as_such() -> None:
    patches = np.ones((20, 16, 16), np.float32)
    patches[7] = 3e38
    with pytest.raises(
        StageError, match=r"patch 7 has values up to 3.0e\+38, whose sums float32 does not hold"
    ):
        zernike_moments(patches)
    assert np.isfinite(zernike_moments(patches.astype(np.float64))).all()


@pytest.mark.parametrize("size", [20, 21])
def test_the_tiles_of_a_gpu_give_the_same_moments(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    patches = np.random.default_rng(0).random((75, size, size)).astype(np.float32)
    wanted = zernike_moments(patches)
    monkeypatch.setattr(namespace, "is_cupy", lambda xp: True)
    monkeypatch.setattr(namespace, "block_size", lambda xp: 32 * size**2)
    shapes: list[tuple[int, ...]] = []
    original = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b: shapes.append(b.shape) or original(a, b))
    found = zernike_moments(patches)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    rows = size * ((size + 1) // 2)
    # one product of one shape after another, whatever the number of patches
    assert set(shapes) == {(rows, 32)}
    np.testing.assert_array_equal(zernike_moments(patches[:20]), found[:20])


def test_one_bad_patch_among_many_is_refused() -> None:
    patches = np.ones((3000, 20, 20), "float32")
    patches[2500, 10, 10] = np.nan
    with pytest.raises(StageError, match=r"^zernike: patch 2500 has values that are NaN"):
        zernike_moments(patches)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: reconstruct_patches(np.ones((2, 65)), 20),
            r"moments have shape \(2, 65\); give all moments",
        ),
        (
            lambda: reconstruct_patches(np.ones(66), 20),
            r"moments has shape \(66,\); give an array of 2 dimensions",
        ),
        (lambda: reconstruct_patches(np.ones((2, 66)), 0), "size is 0; give a whole number of at least 1"),
        (lambda: rotation_invariants(np.full((2, 66), np.nan)), "moments has 132 of 132 values that are NaN"),
        (
            lambda: rotate_moments(np.ones((2, 66)), [1.0, 2.0, 3.0]),
            "there are 3 angles for 2 patches; give one",
        ),
        (lambda: rotate_moments(np.ones((2, 66)), math.nan), "degrees has 1 of 1 values that are NaN"),
        (lambda: zernike_basis(4, -2), "size is -2; give a whole number of at least 1"),
        (lambda: zernike_indices("10"), "order is '10'; give a whole number from 0 to 100"),
        (lambda: usable_order(12.5), "size is 12.5; give a whole number of at least 1"),
    ],
)
def test_bad_input(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(StageError, match=f"^zernike: {message}"):
        call()
