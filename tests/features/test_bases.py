from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.special import jn_zeros, jv, jvp
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from support.backends import same_home

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import dtype_name, to_numpy
from motifgpu.features import disc, zernike
from motifgpu.features.bases import (
    BASES,
    fourier_bessel_basis,
    fourier_bessel_moments,
    patch_features,
    principal_components,
    pseudo_zernike_basis,
    pseudo_zernike_moments,
    reconstruct_fourier_bessel,
    reconstruct_pseudo_zernike,
)
from motifgpu.features.bases.fourier_bessel import FOURIER_BESSEL, frequency
from motifgpu.features.bases.pseudo_zernike import PSEUDO_ZERNIKE

FIXED = [
    pytest.param(
        PSEUDO_ZERNIKE,
        pseudo_zernike_basis,
        pseudo_zernike_moments,
        reconstruct_pseudo_zernike,
        7,
        id="pseudo-zernike",
    ),
    pytest.param(
        FOURIER_BESSEL,
        fourier_bessel_basis,
        fourier_bessel_moments,
        reconstruct_fourier_bessel,
        10,
        id="fourier-bessel",
    ),
]
FAMILIES = [PSEUDO_ZERNIKE, FOURIER_BESSEL]


def patches_of(n: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, size, size)) + 3.0


def literal_pseudo_zernike(p: int, q: int, rho: Fraction) -> Fraction:
    f = math.factorial
    return sum(
        (
            Fraction((-1) ** s * f(2 * p + 1 - s), f(s) * f(p + q + 1 - s) * f(p - q - s)) * rho ** (p - s)
            for s in range(p - q + 1)
        ),
        Fraction(0),
    )


@pytest.mark.parametrize("order", [3, 12, 25])
def test_pseudo_zernike_is_the_literal_sum(order: int) -> None:
    rho = [Fraction(k, 7) for k in range(8)]
    for q in range(order + 1):
        exact = [float(literal_pseudo_zernike(order, q, r)) for r in rho]
        found = PSEUDO_ZERNIKE.radial(order, q, np.array(rho, float))
        np.testing.assert_allclose(found, exact, atol=1e-11)


def test_frequencies_are_the_zeros_of_the_derivative_in_order() -> None:
    for q in range(12):
        found = [frequency(q + 2 * node, q) for node in range(6)]
        assert (np.abs(jvp(q, found)) < 1e-12).all()
        # One between any two zeros of J_q, the origin counted as one but for q = 0.
        limits = [0.0, *jn_zeros(q, 6)]
        inside = found[1:] if q == 0 else found
        counts, _ = np.histogram(inside, limits)
        assert counts.tolist() == ([0, 1, 1, 1, 1, 1] if q == 0 else [1] * 6)
    assert frequency(0, 0) == 0.0


def test_fourier_bessel_is_the_formula() -> None:
    size, p, q = 9, 5, -3
    place = [tuple(pair) for pair in FOURIER_BESSEL.indices(6).tolist()].index((p, q))
    function = fourier_bessel_basis(6, size)[place]
    z = frequency(p, 3)
    scale = math.sqrt(2 / (1 - 9 / z**2)) / float(jv(3, z))
    for row, col in ((4, 8), (0, 4), (2, 3), (0, 0)):
        x, y = (2 * col + 1 - size) / size, -(2 * row + 1 - size) / size
        rho, theta = math.hypot(x, y), math.atan2(y, x)
        wanted = scale * float(jv(3, z * rho)) * math.sin(3 * theta) if rho <= 1 else 0.0
        assert function[row, col] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_orthonormal_by_quadrature(family: Any) -> None:
    """Under the mean over the disc: Gauss-Legendre along the radius, even steps around."""
    order = 9
    nodes, weights = np.polynomial.legendre.leggauss(60)
    rho, weights = (nodes + 1) / 2, weights / 2
    theta = 2 * np.pi * np.arange(40) / 40
    functions = []
    for p, q in family.indices(order).tolist():
        radial = family.radial(p, abs(q), rho)
        radial = radial / math.sqrt(family.mean_square(p, abs(q)) / (1 if q == 0 else 2))
        around = np.cos(q * theta) if q >= 0 else np.sin(-q * theta)
        functions.append(radial[:, None] * around)
    flat = np.array(functions)
    gram = np.einsum("aij,bij,i->ab", flat, flat, weights * 2 * rho) / theta.size
    np.testing.assert_allclose(gram, np.eye(len(flat)), atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_order_and_convention(family: Any) -> None:
    pairs = family.indices(6)
    assert len(pairs) == family.count(6) == len({tuple(pair) for pair in pairs.tolist()})
    assert family.indices(4).tolist() == pairs[: family.count(4)].tolist()
    basis = family.basis(6, 33)
    rows, cols = disc.pixels(33, 33)
    np.testing.assert_allclose(basis[0][rows, cols], 1.0)
    fine = family.values(6, 257)
    np.testing.assert_allclose(fine @ fine.T / fine.shape[1], np.eye(len(fine)), atol=0.01)
    outside = np.ones((33, 33), bool)
    outside[rows, cols] = False
    assert not basis[:, outside].any()
    # x along +col, y along -row, as Zernike functions: the first cosine and sine rise to the right and up.
    names = [tuple(pair) for pair in pairs.tolist()]
    cosine, sine = basis[names.index((1, 1))], basis[names.index((1, -1))]
    assert cosine[16, 30] > 1 > -1 > cosine[16, 2]
    assert sine[2, 16] > 1 > -1 > sine[30, 16]


@pytest.mark.parametrize(("family", "basis", "moments", "rebuild", "order"), FIXED)
def test_moments_are_the_least_squares_fit(
    family: Any, basis: Any, moments: Any, rebuild: Any, order: int
) -> None:
    patches = patches_of(5, 32)
    rows, cols = disc.pixels(32, 32)
    functions = basis(order, 32)[:, rows, cols]
    wanted = np.linalg.lstsq(functions.T, patches[:, rows, cols].T, rcond=None)[0].T
    np.testing.assert_allclose(moments(patches, order), wanted, atol=1e-11)


@pytest.mark.parametrize(("family", "basis", "moments", "rebuild", "order"), FIXED)
def test_there_and_back(
    family: Any,
    basis: Any,
    moments: Any,
    rebuild: Any,
    order: int,
    xp_array: Callable[[Any], Any],
) -> None:
    truth = np.random.default_rng(1).normal(size=(300, family.count(order)))
    given = xp_array(truth)
    patches = rebuild(given, 24)
    assert patches.shape == (300, 24, 24)
    found = moments(patches, order)
    assert same_home(patches, given)
    assert same_home(found, given)
    assert found.dtype == given.dtype
    tolerance = 1e-11 if dtype_name(given) == "float64" else 1e-4
    np.testing.assert_allclose(to_numpy(found), truth, atol=tolerance)
    np.testing.assert_allclose(
        to_numpy(patches), np.einsum("nk,kij->nij", truth, basis(order, 24)), atol=tolerance * 10
    )


@pytest.mark.parametrize(("family", "basis", "moments", "rebuild", "order"), FIXED)
def test_a_large_mean_costs_the_other_moments_nothing(
    family: Any, basis: Any, moments: Any, rebuild: Any, order: int
) -> None:
    patches = patches_of(4, 24).astype(np.float32)
    exact = moments(patches.astype(np.float64), order)
    lifted = moments(patches + np.float32(1000.0), order)
    np.testing.assert_allclose(lifted[:, 1:], exact[:, 1:], atol=1e-3)
    np.testing.assert_allclose(lifted[:, 0], exact[:, 0] + 1000, rtol=1e-6)


def test_fourier_bessel_moments_turn_as_zernike_moments_do() -> None:
    patches = patches_of(6, 40)
    found = fourier_bessel_moments(patches)
    turned = fourier_bessel_moments(np.rot90(patches, axes=(1, 2)))
    np.testing.assert_allclose(zernike.rotate_moments(found, 90.0), turned, atol=1e-12)
    np.testing.assert_allclose(
        zernike.rotation_invariants(found), zernike.rotation_invariants(turned), atol=1e-12
    )


def test_principal_components_are_those_of_the_covariance(xp_array: Callable[[Any], Any]) -> None:
    patches = patches_of(80, 8)
    given = xp_array(patches)
    found = principal_components(given, 5)
    assert same_home(found, given)
    rows = patches.reshape(80, -1) - patches.reshape(80, -1).mean(axis=0)
    values, vectors = np.linalg.eigh(rows.T @ rows)
    wanted = rows @ vectors[:, ::-1][:, :5]
    np.testing.assert_allclose(np.abs(to_numpy(found)), np.abs(wanted), atol=1e-3)


def test_kernel_components_are_those_of_the_centred_kernel() -> None:
    rows = patches_of(40, 6).reshape(40, -1)
    squared = ((rows[:, None] - rows) ** 2).sum(axis=2)
    kernel = np.exp(-squared / (36 * rows.var()))
    centre = np.eye(40) - 1 / 40
    values, vectors = np.linalg.eigh(centre @ kernel @ centre)
    wanted = vectors[:, ::-1][:, :4] * np.sqrt(values[::-1][:4])
    found = principal_components(rows.reshape(40, 6, 6), 4, kernel=True)
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=1e-8)


@pytest.mark.parametrize("basis", BASES)
def test_every_basis_tells_classes_apart(basis: str, xp_array: Callable[[Any], Any]) -> None:
    """Three patterns in noise: the nearest class mean is right for nearly all."""
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 240)
    patterns = zernike.reconstruct_patches(rng.normal(size=(3, 28)), 24)
    patches = patterns[truth] + 2.0 * rng.normal(size=(240, 24, 24))
    given = xp_array(patches)
    found = patch_features(given, basis, 40)
    assert same_home(found, given)
    count = {"zernike": 36, "fourier-bessel": 36, "pseudo-zernike": 36}.get(basis, 40)
    assert found.shape == (240, count)
    features = to_numpy(found).astype(float)
    means = np.array([features[truth == k].mean(axis=0) for k in range(3)])
    nearest = ((features[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == truth).mean() > 0.98


def test_as_a_step_of_a_pipeline() -> None:
    patches = patches_of(30, 24)
    step = FunctionTransformer(patch_features, kw_args={"basis": "fourier-bessel"})
    found = make_pipeline(step, StandardScaler(), PCA(3)).fit_transform(patches)
    assert found.shape == (30, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: patch_features(patches_of(9, 24), "wavelets"), r"there is no basis 'wavelets'; choose one"),
        (lambda: patch_features(patches_of(9, 24), "zernike", 0), r"n_features is 0"),
        (lambda: patch_features(patches_of(9, 24), "pca"), r"66 components.*\(9, 24, 24\) have 9; give 9"),
        (lambda: patch_features(patches_of(9, 2), "pca", 5), r"5 components.* have 4"),
        (lambda: patch_features(np.ones((9, 4, 4)), "kernel-pca", 3), r"all 9 patches are equal"),
        (lambda: patch_features(np.ones((0, 4, 4)), "pca", 3), r"3 components.* have 0"),
        (lambda: patch_features(np.full((9, 4, 4), np.nan), "pca", 3), r"144 of 144 values that are NaN"),
        (
            lambda: pseudo_zernike_moments(patches_of(3, 14), 10),
            r"condition number 410.*take order 7 or less",
        ),
        (lambda: pseudo_zernike_moments(patches_of(3, 3), 10), r"condition number inf.*take order 2 or less"),
        (lambda: fourier_bessel_moments(np.ones((3, 4, 5))), r"shape \(3, 4, 5\); give square ones"),
        (lambda: fourier_bessel_moments(np.full((1, 30, 30), np.inf)), r"NaN or infinite"),
        (lambda: fourier_bessel_moments(patches_of(1, 30), -1), r"order is -1"),
        (lambda: reconstruct_fourier_bessel(np.ones((2, 65)), 24), r"no whole order.* 55 or 66"),
        (lambda: reconstruct_pseudo_zernike(np.ones((2, 64)), 0), r"size is 0"),
        (lambda: pseudo_zernike_basis(2.5, 24), r"order is 2\.5"),
    ],
)
def test_bad_input(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(StageError, match=rf"bases: .*{message}"):
        call()
    assert fourier_bessel_moments(np.ones((0, 30, 30))).shape == (0, 66)
