from __future__ import annotations

import numpy as np
import pytest

from motifgpu import simulate
from motifgpu.features.patches import extract_patches
from motifgpu.features.windows import gaps, neighbor_positions, turned_correlation, window
from motifgpu.features.zernike import reconstruct_patches, rotate_moments, zernike_moments

A = 22.0
SIZE = 38


def test_gaps_are_the_darkest_fifth():
    truth = simulate.monolayer("MoSe2", shape=(160, 160), counts=None)
    patches, _ = extract_patches(truth.clean + 7.0, truth.points, SIZE)
    mean = zernike_moments(patches).mean(axis=0).astype(float)
    patch = reconstruct_patches(mean[None], 64)[0]
    inside = patch[patch != 0]
    darkest = np.sort(inside)[: inside.size // 5].mean()
    assert mean @ gaps(mean, 10) == pytest.approx(darkest, abs=0.01)
    assert mean @ gaps(mean, 10) == pytest.approx(7.0, abs=0.15)


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.5, 0.1), (-0.3, 0.7)])
def test_window_is_the_weighted_mean_of_pixels(place):
    moments = np.random.default_rng(0).normal(size=(1, 66))
    size = 200
    patch = reconstruct_patches(moments, size)[0]
    offset = (2 * np.arange(size) + 1 - size) / size
    x, y = np.meshgrid(offset, -offset)
    weight = np.maximum(1 - ((x - place[0]) ** 2 + (y - place[1]) ** 2) / 0.4**2, 0)
    weight *= np.hypot(x, y) <= 1
    expected = (patch * weight).sum() / weight.sum()
    scale = np.abs(patch).max()
    assert float(moments[0] @ window(10, *place)) == pytest.approx(expected, abs=0.02 * scale)
    constant = np.zeros(66)
    constant[0] = 3.0
    assert constant @ window(10, *place) == pytest.approx(3.0)


@pytest.mark.parametrize("angle", [0.0, 17.0])
def test_neighbours_are_where_the_lattice_has_them(angle):
    truth = simulate.monolayer("WS2", shape=(256, 256), counts=30, angle=angle, vacancies=0.05)
    patches, inside = extract_patches(truth.image, truth.points, SIZE)
    moments = zernike_moments(patches)
    for sublattice in (0, 1):
        found = neighbor_positions(
            moments[truth.sublattice[inside] == sublattice].mean(axis=0).astype(float), 10
        )
        to_other = (truth.u * 2 + truth.v) / 3 * (1 if sublattice == 0 else -1)
        first = np.arctan2(-to_other[0], to_other[1])
        expected = np.sort((first + 2 * np.pi / 3 * np.arange(3)) % (2 * np.pi))
        assert np.hypot(*found.T) * SIZE / 2 == pytest.approx(A / np.sqrt(3), abs=0.8)
        at = np.arctan2(found[:, 1], found[:, 0]) % (2 * np.pi)
        assert len(at) == 3
        assert np.abs(np.exp(1j * at) - np.exp(1j * expected)).max() < 0.07


def test_a_lone_column_has_no_neighbours():
    blob = simulate.patches((1,), folds=3, centers=(1.0,), distance=200.0, size=64).patches
    assert neighbor_positions(zernike_moments(blob)[0].astype(float), 10).shape == (0, 2)


def test_turned_correlation_is_the_best_over_angles():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 66))
    turned = rotate_moments(np.repeat(b[None], 360, axis=0), np.arange(360.0))
    brute = turned[:, 1:] @ a[1:] / np.linalg.norm(a[1:]) / np.linalg.norm(b[1:])
    assert turned_correlation(a, b, 10) == pytest.approx(brute.max(), abs=1e-9)
    assert turned_correlation(a, rotate_moments(a[None], 123.0)[0], 10) == pytest.approx(1.0)
    assert turned_correlation(a, np.zeros(66), 10) == 0.0
