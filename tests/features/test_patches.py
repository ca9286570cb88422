from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from support.backends import same_home

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import zernike_moments


def literal_patch(image: np.ndarray, centre: np.ndarray, size: int, side: float) -> np.ndarray:
    patch = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            row = centre[0] + (i - (size - 1) / 2) * side / size
            col = centre[1] + (j - (size - 1) / 2) * side / size
            patch[i, j] = ndimage.map_coordinates(
                image, [[row], [col]], order=5, mode="mirror", prefilter=False
            )[0]
    return patch


def columns(shape: tuple[int, int], centres: np.ndarray, sigma: float) -> np.ndarray:
    rows, cols = np.arange(shape[0])[:, None], np.arange(shape[1])
    return sum(np.exp(-((rows - r) ** 2 + (cols - c) ** 2) / (2 * sigma**2)) for r, c in centres)


@pytest.mark.parametrize(("size", "side"), [(5, None), (8, None), (9, 5.25), (6, 9.0), (1, None), (7, 7.0)])
def test_samples_are_where_they_should_be(
    xp_array: Callable[[Any], Any], size: int, side: float | None
) -> None:
    rng = np.random.default_rng(size)
    image = rng.normal(size=(31, 24)).astype("float32")
    points = rng.uniform(0, 24, (40, 2)).astype("float32")
    on_device = xp_array(image)
    patches, inside = extract_patches(on_device, xp_array(points), size, side=side)
    assert same_home(patches, on_device)
    assert same_home(inside, on_device)
    assert patches.dtype == on_device.dtype
    half = (size - 1) / 2 * (side or size) / size
    fits = ((points - half >= 0) & (points + half <= [30, 23])).all(axis=1)
    np.testing.assert_array_equal(to_numpy(inside), fits)
    assert 5 < fits.sum() < 40
    coefficients = ndimage.spline_filter(image.astype(float), 5)
    wanted = [literal_patch(coefficients, point, size, side or size) for point in points[fits]]
    np.testing.assert_allclose(to_numpy(patches), wanted, atol=1e-5)


def test_centres_on_pixels_give_the_pixels() -> None:
    image = np.random.default_rng(0).normal(size=(20, 30))
    patches, inside = extract_patches(image, [[2, 2], [17, 27], [9, 1], [1.99, 5]], 5)
    assert inside.tolist() == [True, True, False, False]
    np.testing.assert_allclose(patches[0], image[:5, :5], atol=1e-12)
    np.testing.assert_allclose(patches[1], image[15:, 25:], atol=1e-12)


@pytest.mark.parametrize(
    ("lattice", "size", "side", "tolerance"), [(22, 38, 38, 1e-6), (12, 20, 20, 1e-4), (8, 24, 14, 4e-3)]
)
def test_moments_follow_a_shifted_column(lattice: int, size: int, side: int, tolerance: float) -> None:
    directions = np.deg2rad(np.arange(0, 360, 60) + 10)
    ring = np.stack([np.sin(directions), np.cos(directions)], axis=1) * lattice / np.sqrt(3)
    here = np.array([40.0, 40.0])
    for shift in ([0.5, 0.0], [0.5, 0.5], [0.25, 0.4]):
        centre = here + shift
        image = columns((81, 81), centre + np.concatenate([[[0, 0]], ring]), 0.137 * lattice)
        scale = side / size
        shifted = columns(
            (size, size), (size - 1) / 2 + np.concatenate([[[0, 0]], ring]) / scale, 0.137 * lattice / scale
        )
        patches, _ = extract_patches(image, [centre], size, side=side)
        moments, wanted = zernike_moments(patches), zernike_moments(shifted[None])
        assert np.abs(moments - wanted).max() < tolerance * np.linalg.norm(wanted[:, 1:])


@settings(deadline=None, max_examples=30)
@given(
    row=st.floats(25, 35), col=st.floats(25, 45), size=st.integers(1, 12), side=st.floats(0.5, 14.0),
    slope=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
)  # fmt: skip
def test_planes_are_reproduced(
    row: float, col: float, size: int, side: float, slope: tuple[float, float]
) -> None:
    rows, cols = np.mgrid[:60, :70].astype(float)
    patches, inside = extract_patches(3.0 + slope[0] * rows + slope[1] * cols, [[row, col]], size, side=side)
    assert inside.all()
    offset = (np.arange(size) - (size - 1) / 2) * side / size
    plane = 3.0 + slope[0] * (row + offset)[:, None] + slope[1] * (col + offset)
    np.testing.assert_allclose(patches[0], plane, atol=1e-4)


def test_far_from_the_origin_positions_keep_their_digits() -> None:
    image = np.tile(np.random.default_rng(1).normal(size=(1, 64)).cumsum(), (40, 100)).astype("float32")
    near, _ = extract_patches(image, np.array([[20, 64 + 20.4375]], "float32"), 10, side=7.3)
    far, _ = extract_patches(image, np.array([[20, 64 * 98 + 20.4375]], "float32"), 10, side=7.3)
    np.testing.assert_array_equal(near, far)


def test_a_patch_has_the_same_bits_alone_and_in_a_batch() -> None:
    rng = np.random.default_rng(2)
    image = rng.normal(size=(100, 90)).astype("float32")
    points = rng.uniform(10, 80, (700, 2)).astype("float32")
    together, _ = extract_patches(image, points, 20, side=15.0)
    for i in (0, 1, 333, 699):
        alone, _ = extract_patches(image, points[i : i + 1], 20, side=15.0)
        np.testing.assert_array_equal(alone[0], together[i])


def test_inputs_of_other_kinds() -> None:
    image = np.random.default_rng(3).integers(0, 255, (30, 30)).astype("uint8")
    patches, _ = extract_patches(image, [[10, 10], [12, 12]], 7)
    assert patches.dtype == np.float32
    np.testing.assert_allclose(patches[0], image[7:14, 7:14], atol=1e-3)
    assert extract_patches(image.astype("float64"), [[10, 10]], np.int64(7))[0].dtype == np.float64
    turned, _ = extract_patches(image.T, [[12, 12]], 7)
    np.testing.assert_allclose(turned[0], patches[1].T, atol=1e-3)


def test_points_on_the_host_serve_any_device(xp_array: Callable[[Any], Any]) -> None:
    image = xp_array(np.random.default_rng(4).normal(size=(30, 30)).astype("float32"))
    patches, inside = extract_patches(image, [[10, 10], [28, 10]], 7)
    assert to_numpy(inside).tolist() == [True, False]
    assert same_home(patches, image)


def test_no_point_fits(xp_array: Callable[[Any], Any]) -> None:
    image = xp_array(np.ones((30, 30), "float32"))
    for points in (np.zeros((0, 2)), [[-50, 1e6], [2.9, 15], [15, 26.1]]):
        patches, inside = extract_patches(image, xp_array(np.array(points, "float32")), 7)
        assert patches.shape == (0, 7, 7)
        assert inside.shape == (len(points),)
        assert not to_numpy(inside).any()


def test_a_patch_as_large_as_the_image() -> None:
    image = np.random.default_rng(5).normal(size=(9, 9))
    patches, inside = extract_patches(image, [[4, 4], [4, 4.1]], 9)
    assert inside.tolist() == [True, False]
    np.testing.assert_allclose(patches[0], image, atol=1e-12)


GOOD = np.ones((20, 20), "float32")


@pytest.mark.parametrize(
    ("image", "points", "size", "side", "message"),
    [
        (np.ones((20, 15)), [[5, 5]], 16, None, "a patch of 16 samples spans 16 px .* 20 x 15 px; .* 15 px"),
        (GOOD, [[5, 5]], 10, 40.0, "a patch of 10 samples spans 37 px .* at most 20 px"),
        (np.ones((20, 20, 3)), [[5, 5]], 5, None, r"image has shape \(20, 20, 3\); give an array of 2"),
        (GOOD, [5, 5], 5, None, r"points has shape \(2,\); give an array of 2 dimensions"),
        (GOOD, [[5, 5, 5]], 5, None, r"points have shape \(1, 3\); give \(row, col\) for each"),
        (GOOD, [[5, np.nan]], 5, None, "points has 1 of 2 values that are NaN or infinite"),
        (GOOD * np.inf, [[5, 5]], 5, None, "image has 400 of 400 values that are NaN or infinite"),
        (GOOD * 1j, [[5, 5]], 5, None, "image has dtype complex.*; give real numbers"),
        (GOOD, [[5, 5]], 5.5, None, "size is 5.5; give a whole number of at least 1"),
        (GOOD, [[5, 5]], 0, None, "size is 0; give a whole number of at least 1"),
        (GOOD, [[5, 5]], True, None, "size is True; give a whole number of at least 1"),
        (GOOD, [[5, 5]], 5, 0.0, "side is 0.0; give the patch's side in pixels"),
        (GOOD, [[5, 5]], 5, np.nan, "side is nan; give the patch's side in pixels"),
    ],
)  # fmt: skip
def test_bad_input(image: Any, points: Any, size: Any, side: Any, message: str) -> None:
    with pytest.raises(StageError, match=f"^patches: {message}"):
        extract_patches(image, points, size, side=side)
