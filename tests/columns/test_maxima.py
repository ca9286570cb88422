from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from motifgpu.columns.maxima import local_maxima, peak_positions, prominent
from motifgpu.core.namespace import to_numpy


def topographic(image: np.ndarray) -> dict[tuple[int, int], float]:
    """Prominence of every maximum by flooding from the top with a union-find; infinite for the highest."""
    order = np.argsort(-image, axis=None)
    parent: dict[int, int] = {}
    top: dict[int, int] = {}
    prominence = {}

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    width = image.shape[1]
    for i in order.tolist():
        r, c = divmod(i, width)
        around = {
            root(j)
            for dr in (-1, 0, 1)
            for dc in (-1, 0, 1)
            if 0 <= r + dr < image.shape[0]
            and 0 <= c + dc < width
            and (j := (r + dr) * width + c + dc) in parent
        }
        parent[i], top[i] = i, i
        if around:
            highest = max(around, key=lambda j: image.flat[top[j]])
            parent[i] = highest
            for j in around - {highest}:
                prominence[divmod(top[j], width)] = float(image.flat[top[j]] - image.flat[i])
                parent[j] = highest
    prominence[divmod(top[root(int(order[0]))], width)] = float("inf")
    return prominence


def test_prominent_maxima_against_union_find(xp_array: Callable[[Any], Any]) -> None:
    image = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(40, 50)), 2).astype(np.float32)
    oracle = topographic(image)
    x = xp_array(image)
    maxima = to_numpy(local_maxima(x))
    assert set(zip(*(i.tolist() for i in np.nonzero(maxima)), strict=True)) == set(oracle)
    for height in (0.02, 0.1, 0.2):
        found = maxima & to_numpy(prominent(x, height, reach=60))
        wanted = {place for place, value in oracle.items() if value >= height}
        assert set(zip(*(i.tolist() for i in np.nonzero(found)), strict=True)) == wanted


def test_far_ground_does_not_make_a_ripple_prominent() -> None:
    row, col = np.mgrid[:60, :200]
    tower = 10 * np.exp(-((row - 30) ** 2 + (col - 20) ** 2) / 18) + 0.1 * np.cos(col) * np.cos(row)
    found = local_maxima(tower) & prominent(tower, 1.0, reach=12)
    assert np.argwhere(found).tolist() == [[30, 20]]
    assert local_maxima(tower).sum() > 100


@pytest.mark.parametrize("radius", [1.5, 2.0, 2.5, 3.7])
def test_maxima_equal_the_grey_dilation(xp_array: Callable[[Any], Any], radius: float) -> None:
    image = -1 - np.random.default_rng(3).random((17, 23)).astype(np.float32)
    reach = int(radius)
    row, col = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.hypot(row, col) <= radius
    wanted = ndimage.grey_dilation(image, footprint=disc, mode="constant", cval=-np.inf)
    assert np.array_equal(to_numpy(local_maxima(xp_array(image), radius)), image == wanted)


def test_plateaus_are_one_peak_each(xp_array: Callable[[Any], Any]) -> None:
    row, col = np.mgrid[:40, :60]
    image = np.zeros((40, 60), np.float32)
    for r, c in ((10, 12), (10.5, 40), (30, 25.5)):
        image = np.maximum(image, np.minimum(8 - np.hypot(row - r, col - c), 5.0)).astype(np.float32)
    x = xp_array(image)
    peaks = to_numpy(peak_positions(x, xp_array(to_numpy(local_maxima(x)) & (image > 1))))
    assert np.allclose(peaks, [[10, 12], [10.5, 40], [30, 25.5]], atol=1e-4)
