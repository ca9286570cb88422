from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.backends import same_home

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.features.patches import extract_patches
from motifgpu.features.symmetries import mirror_symmetry, mirror_symmetry_map, symmetry, symmetry_map
from motifgpu.features.zernike import rotate_moments, zernike_indices, zernike_moments


def random_moments(n: int, order: int = 10, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, (order + 1) * (order + 2) // 2))


def flower(size: int, folds: int, start: float = 0.0, sigma: float = 0.22) -> np.ndarray:
    """A blob in the centre and one in each of `folds` directions, the first at `start` degrees."""
    x = (2 * np.arange(size) + 1 - size) / size
    angles = np.deg2rad(start + 360 / folds * np.arange(folds))
    places = [(0.0, 0.0), *zip(0.55 * np.cos(angles), 0.55 * np.sin(angles), strict=True)]
    return sum(np.exp(-((x - a) ** 2 + (-x[:, None] - b) ** 2) / (2 * sigma**2)) for a, b in places)


def literal_symmetry(moments: np.ndarray, fold: int) -> list[float]:
    scores = []
    for row in moments:
        kept = total = 0.0
        for (_, q), a in zip(zernike_indices(10).tolist(), row, strict=True):
            if q != 0:
                total += a * a
                kept += a * a if q % fold == 0 else 0
        scores.append(kept / total)
    return scores


def mirrored(moments: np.ndarray, axis: float) -> np.ndarray:
    """Reflect: about +col sines change sign; about any other axis after turning it there."""
    sign = np.where(zernike_indices(10)[:, 1] < 0, -1, 1)
    return rotate_moments(rotate_moments(moments, -axis) * sign, axis)


def literal_mirror(moments: np.ndarray, axis: float) -> np.ndarray:
    angular = zernike_indices(10)[:, 1] != 0
    product = moments * mirrored(moments, axis)
    return product[:, angular].sum(axis=1) / (moments**2)[:, angular].sum(axis=1)


@pytest.mark.parametrize("fold", [1, 2, 3, 4, 6, 11])
def test_score_is_the_share_of_the_energy(xp_array: Callable[[Any], Any], fold: int) -> None:
    moments = random_moments(30).astype("float32")
    there = xp_array(moments)
    score = symmetry(there, fold)
    assert same_home(score, there)
    assert score.shape == (30,)
    np.testing.assert_allclose(to_numpy(score), literal_symmetry(moments, fold), rtol=1e-5)


def test_several_folds_are_columns(xp_array: Callable[[Any], Any]) -> None:
    moments = xp_array(random_moments(4).astype("float32"))
    scores = symmetry(moments, [2, 3, 6])
    assert scores.shape == (4, 3)
    for column, fold in enumerate((2, 3, 6)):
        np.testing.assert_array_equal(to_numpy(scores)[:, column], to_numpy(symmetry(moments, fold)))
    assert symmetry(moments, (5,)).shape == (4, 1)


@pytest.mark.parametrize("folds", [2, 3, 4, 5, 6])
def test_flowers_have_their_folds(folds: int) -> None:
    moments = zernike_moments(flower(48, folds, 13.0)[None])
    scores = {n: float(symmetry(moments, n)[0]) for n in (2, 3, 4, 5, 6)}
    for n, score in scores.items():
        if folds % n == 0:
            assert score > 0.98
        elif math.gcd(n, folds) == 1 and n > 2:
            assert score < 0.1


def test_noise_scores_its_share() -> None:
    score = symmetry(random_moments(2000), [2, 3, 6]).mean(axis=0)
    np.testing.assert_allclose(score, [0.50, 0.27, 0.10], atol=0.01)


def test_patches_without_angular_structure_score_zero(xp_array: Callable[[Any], Any]) -> None:
    constant = np.stack([np.zeros((20, 20)), np.ones((20, 20)), np.full((20, 20), 1234.567)]).astype(
        "float32"
    )
    moments = zernike_moments(xp_array(constant))
    np.testing.assert_array_equal(to_numpy(symmetry(moments, [1, 2, 3])), 0)
    score, axis = mirror_symmetry(moments)
    np.testing.assert_array_equal(to_numpy(score), 0)
    np.testing.assert_array_equal(to_numpy(axis), 0)
    no_angles = xp_array(np.ones((2, 1), "float32"))  # order 0
    assert to_numpy(symmetry(no_angles, 3)).tolist() == [0, 0]
    assert [to_numpy(a).tolist() for a in mirror_symmetry(no_angles)] == [[0, 0], [0, 0]]


@settings(deadline=None, max_examples=30)
@given(degrees=st.floats(-360, 360), scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_scores_stay_under_rotation_and_scale(degrees: float, scale: float, seed: int) -> None:
    moments = random_moments(3, seed=seed)
    turned = scale * rotate_moments(moments, degrees)
    np.testing.assert_allclose(symmetry(turned, [2, 3]), symmetry(moments, [2, 3]), atol=1e-12)
    score, axis = mirror_symmetry(moments)
    turned_score, turned_axis = mirror_symmetry(turned)
    np.testing.assert_allclose(turned_score, score, atol=2e-3)
    for i in range(3):
        best = literal_mirror(turned[i : i + 1], float(axis[i]) + degrees)[0]
        assert best == pytest.approx(score[i], abs=1e-9)
        assert 0 <= turned_axis[i] < 180


def test_best_mirror_is_that_of_an_exhaustive_search(xp_array: Callable[[Any], Any]) -> None:
    moments = random_moments(40)
    every = np.stack([literal_mirror(moments, axis) for axis in np.arange(0, 180, 0.25)], axis=1)
    there = xp_array(moments.astype("float32"))
    score, axis = mirror_symmetry(there)
    assert same_home(score, there)
    assert same_home(axis, there)
    np.testing.assert_allclose(to_numpy(score), every.max(axis=1), atol=1e-3)
    at_axis = [literal_mirror(m[None], float(a))[0] for m, a in zip(moments, to_numpy(axis), strict=True)]
    np.testing.assert_allclose(at_axis, to_numpy(score), atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 25.0, 90.0, 143.0])
def test_mirror_axis_is_found(angle: float) -> None:
    score, axis = mirror_symmetry(zernike_moments(flower(48, 1, angle)[None]))
    assert score[0] > 0.999
    assert abs((axis[0] - angle + 90) % 180 - 90) < 0.2


def test_a_chiral_patch_scores_low() -> None:
    x = (2 * np.arange(60) + 1 - 60) / 60
    theta, rho = np.arctan2(-x[:, None], x), np.hypot(x[:, None], x)
    swirl = np.cos(3 * theta - 6 * rho) * np.exp(-2 * rho**2)
    moments = zernike_moments(swirl[None])
    assert symmetry(moments, 3)[0] > 0.99
    assert mirror_symmetry(moments)[0][0] < 0.5


@pytest.mark.parametrize(
    ("shape", "size"), [((60, 47), 15), ((33, 210), 17.0), ((17, 17), 17), ((300, 140), 31)]
)
def test_maps_are_the_scores_of_every_patch(shape: tuple[int, int], size: int) -> None:
    image = np.random.default_rng(0).normal(size=shape).cumsum(axis=0) + 100.0
    scores = symmetry_map(image, size, [2, 3], order=8)
    mirror, axis = mirror_symmetry_map(image, size, order=8)
    assert scores.shape == (*shape, 2)
    assert mirror.shape == axis.shape == shape
    side = int(size)
    padded = np.pad(image, side // 2, mode="reflect")
    rng = np.random.default_rng(1)
    places = np.stack([rng.integers(0, length, 60) for length in shape], axis=1)
    patches = np.stack([padded[r : r + side, c : c + side] for r, c in places])
    moments = zernike_moments(patches, 8)
    row, col = places.T
    np.testing.assert_allclose(scores[row, col], symmetry(moments, [2, 3]), atol=1e-9)
    wanted, wanted_axis = mirror_symmetry(moments)
    np.testing.assert_allclose(mirror[row, col], wanted, atol=1e-7)
    difference = np.abs((axis[row, col] - wanted_axis + 90) % 180 - 90)
    assert np.median(difference) < 1e-6


def test_a_map_takes_any_diameter() -> None:
    image = np.zeros((50, 50)) + sum(
        np.exp(-((np.arange(50)[:, None] - r) ** 2 + (np.arange(50) - c) ** 2) / 18)
        for r, c in ((25, 33), (25, 17), (17, 25), (33, 25))
    )
    image += 0.1 * np.random.default_rng(2).normal(size=(50, 50)).cumsum(axis=1) / 7
    for size in (22, 22.6, 24.0):
        fine, _ = extract_patches(image, [[25, 25]], 48, side=size)
        wanted = symmetry(zernike_moments(fine, 8), 4)[0]
        assert symmetry_map(image, size, 4, order=8)[25, 25] == pytest.approx(wanted, abs=0.02)


def test_maps_on_every_backend(xp_array: Callable[[Any], Any]) -> None:
    image = np.random.default_rng(3).normal(size=(40, 50)).astype("float32")
    there = xp_array(image)
    score = symmetry_map(there, 15, 3, order=8)
    assert same_home(score, there)
    assert score.dtype == there.dtype
    np.testing.assert_allclose(to_numpy(score), symmetry_map(image.astype(float), 15, 3, order=8), atol=1e-5)
    for found, wanted in zip(
        mirror_symmetry_map(there, 15, 6), mirror_symmetry_map(image.astype(float), 15, 6), strict=True
    ):
        assert same_home(found, there)
        assert np.median(np.abs(to_numpy(found) - wanted)) < 1e-4


def test_vacuum_in_an_image_scores_zero() -> None:
    image = np.full((80, 200), 7.0, dtype="float32")
    image[:, :60] += np.random.default_rng(4).normal(size=(80, 60))
    score = symmetry_map(image, 21, 2)
    assert (score[:, 90:] == 0).all()
    assert (score[:, :60] > 0.1).all()
    assert (symmetry_map(np.full((40, 40), 3.0), 21, 2) == 0).all()


IMAGE = np.random.default_rng(5).normal(size=(40, 40))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: symmetry(np.ones((2, 66)), 0), "symmetry: folds is 0; give a whole number of at least 1"),
        (lambda: symmetry(np.ones((2, 66)), [2, 2.5]), "symmetry: folds is 2.5; give a whole number"),
        (lambda: symmetry(np.ones((2, 66)), []), "symmetry: folds is empty; give at least one"),
        (lambda: symmetry(np.ones((2, 67)), 3), r"zernike: moments have shape \(2, 67\); give all moments"),
        (
            lambda: mirror_symmetry(np.full((2, 66), np.inf)),
            "zernike: moments has 132 of 132 values that are",
        ),
        (
            lambda: symmetry_map(IMAGE, 41, 3),
            "symmetry: the disc is 41 px wide and the image is 40 x 40 px; take",
        ),
        (lambda: symmetry_map(IMAGE, 13, 3), "zernike: order 10 has condition number .* on a disc of 13 px"),
        (lambda: symmetry_map(IMAGE, math.nan, 3), "symmetry: size is nan; give the diameter"),
        (lambda: symmetry_map(IMAGE, "21", 3), "symmetry: size is '21'; give the diameter"),
        (lambda: symmetry_map(IMAGE, 21, 3, order=1.5), "symmetry: order is 1.5; give a whole number"),
        (lambda: mirror_symmetry_map(IMAGE[0], 21), r"symmetry: image has shape \(40,\); give an array of 2"),
        (
            lambda: mirror_symmetry_map(IMAGE * np.nan, 21),
            "symmetry: image has 1600 of 1600 values that are NaN",
        ),
    ],
)
def test_bad_input(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(StageError, match=f"^{message}"):
        call()
