"""Moments of patches that are cut, and motifs of the columns they are around."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from motifgpu import extract_patches, simulate, zernike_moments
from motifgpu.core.namespace import to_numpy
from motifgpu.features.cut_patches import Modes, Seen, seen_of
from motifgpu.features.patches import PatchGrid

SIDE = 32
TRUTH = simulate.monolayer("MoSe2", (220, 220), counts=100, lattice_constant=18.0, vacancies=0.08, seed=4)
PATCHES, INSIDE = extract_patches(TRUTH.image, TRUTH.points, SIDE)
MOMENTS = zernike_moments(PATCHES)
MODES = Modes.of(PATCHES, MOMENTS, float(SIDE))


def cut(present: np.ndarray) -> Seen:
    """Forget what is not present (s, s) of whole patches."""
    every = np.broadcast_to(present, PATCHES.shape)
    spoiled = np.where(every, PATCHES, 1e3)
    return seen_of(spoiled, every, MODES)


ALL = np.ones((SIDE, SIDE), bool)
HALF = np.arange(SIDE)[:, None] + np.zeros(SIDE) >= SIDE // 2
CORNER = HALF & HALF.T


@pytest.mark.parametrize(("present", "left"), [(ALL, 0.01), (HALF, 0.15), (CORNER, 0.4)])
def test_moments_come_from_what_is_there(present: np.ndarray, left: float) -> None:
    found = cut(present).moments()
    spread = ((MOMENTS - MOMENTS.mean(axis=0)) ** 2).sum()
    kept = MODES.directions.T @ MODES.directions  # noise is in no mode
    assert (((found - MOMENTS) @ kept) ** 2).sum() < left * spread


def test_nothing_seen_is_the_mean_and_nothing_blows_up() -> None:
    seen = cut(~ALL)
    np.testing.assert_allclose(seen.moments(), np.broadcast_to(MODES.mean, MOMENTS.shape))
    one = ~ALL
    one[15, 15] = True
    assert np.abs(cut(one).moments() - MODES.mean).max() < 5 * np.abs(MOMENTS - MODES.mean).max()


def test_few_whole_patches_are_enough() -> None:
    modes = Modes.of(PATCHES[:1], MOMENTS[:1], float(SIDE))
    assert len(modes.variance) == 0
    seen = seen_of(PATCHES[1:3], np.broadcast_to(HALF, (2, SIDE, SIDE)), modes)
    np.testing.assert_allclose(seen.moments(), np.broadcast_to(MOMENTS[0], (2, 66)), rtol=1e-6)
    assert seen.log_likelihood(np.zeros((2, 0)), np.zeros((0, 0))).shape == (2, 2)


def test_every_device_sums_up_the_same(xp_array: Callable[[Any], Any]) -> None:
    present = np.broadcast_to(HALF, PATCHES.shape)
    given = [xp_array(x) for x in (PATCHES, present)]
    modes = Modes.of(given[0], xp_array(MOMENTS), float(SIDE))
    assert modes.noise == pytest.approx(MODES.noise, rel=1e-3)
    np.testing.assert_allclose(modes.variance, MODES.variance, rtol=1e-3)
    found = to_numpy(seen_of(*given, MODES).moments())
    np.testing.assert_allclose(found, seen_of(PATCHES, present, MODES).moments(), atol=1e-3)


def test_how_much_is_missing(xp_array: Callable[[Any], Any]) -> None:
    points = np.array([[0.0, 50.0], [0.0, 0.0], [50.0, 50.0], [60.0, 61.0], [5.0, 50.0]], np.float32)
    valid = np.ones((100, 100), bool)
    valid[60:, :] = False
    image = xp_array(np.zeros((100, 100), np.float32))
    grid = PatchGrid(image, xp_array(points), 20, 20.0, xp_array(valid))
    missing = to_numpy(grid.missing)
    np.testing.assert_allclose(missing, [0.468, 0.71, 0.02, 0.532, 0.168], atol=0.04)
    assert to_numpy(grid.whole).tolist() == [False, False, True, False, False]
    free = PatchGrid(image, xp_array(points), 20, 20.0, None)
    assert to_numpy(free.whole).tolist() == [False, False, True, True, False]


def test_a_few_pixels_do_not_matter() -> None:
    valid = np.ones(TRUTH.image.shape, bool)
    valid[100, :] = False
    valid[40:44, 40:44] = False
    _, inside = extract_patches(TRUTH.image, TRUTH.points, 40, valid=valid)
    _, every = extract_patches(TRUTH.image, TRUTH.points, 40)
    assert np.array_equal(inside, every)
    valid[:, 90:] = False
    _, inside = extract_patches(TRUTH.image, TRUTH.points, 40, valid=valid)
    assert TRUTH.points[inside, 1].max() < 74
