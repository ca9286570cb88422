from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from motifgpu import find_columns, simulate
from motifgpu.columns.matching import score_detection
from motifgpu.columns.standard_image import StandardImage

SIDE = 192


def draw(points: np.ndarray, heights: np.ndarray, width: float, side: int = SIDE) -> np.ndarray:
    """Return Gaussian columns of a width."""
    pixels = np.arange(side)
    rows, cols = (np.exp(-0.5 * ((pixels[:, None] - points[:, axis]) / width) ** 2) for axis in (0, 1))
    return (rows * heights) @ cols.T


def lattice(u: tuple[float, float], v: tuple[float, float], side: int = SIDE) -> np.ndarray:
    """Return the points of a lattice in an image."""
    i, j = (k.ravel() for k in np.mgrid[-side:side, -side:side])
    points = np.array([7.3, 5.1]) + i[:, None] * np.array(u) + j[:, None] * np.array(v)
    return points[((points > -8) & (points < side + 8)).all(1)]


def lines(rng: np.random.Generator) -> np.ndarray:
    """Return noise of a scan: correlated along its lines, with an offset for each."""
    along = gaussian_filter1d(rng.normal(size=(SIDE, SIDE)), rng.uniform(0.5, 3), axis=1)
    return along / along.std() + rng.uniform(0.5, 3) * rng.normal(size=(SIDE, 1))


def interference(rng: np.random.Generator) -> np.ndarray:
    """Return a hum with two harmonics, sampled by a scan whose lines begin after a pause."""
    time = np.arange(SIDE**2).reshape(SIDE, SIDE) + rng.uniform(0, 60) * np.arange(SIDE)[:, None]
    frequency = rng.uniform(0.01, 0.3)
    hum = sum(np.sin(2 * np.pi * frequency * k * time + rng.uniform(0, 6)) / k for k in (1, 2, 3))
    return hum + rng.normal(size=(SIDE, SIDE))


def speckle(rng: np.random.Generator) -> np.ndarray:
    """Return noise of one grain size, as an amorphous film has it: a ring in the power spectrum."""
    noise, size = rng.normal(size=(SIDE, SIDE)), rng.uniform(1, 4)
    return gaussian_filter(noise, size) - gaussian_filter(noise, 1.3 * size)


def gradient(rng: np.random.Generator) -> np.ndarray:
    """Return a slope and a step with a little noise."""
    row, col = np.mgrid[:SIDE, :SIDE] / SIDE
    slope = rng.normal() * row + rng.normal() * col + rng.normal() * row * col
    return slope + (row + col > rng.uniform(0.5, 1.5)) + 0.02 * rng.normal(size=(SIDE, SIDE))


def fringes(rng: np.random.Generator) -> np.ndarray:
    """Return a lattice of one dimension."""
    row, col = np.mgrid[:SIDE, :SIDE]
    phase = 2 * np.pi * (row * np.cos(0.7) + col * np.sin(0.7)) / rng.uniform(6, 20)
    return np.sin(phase) + 0.4 * np.sin(2 * phase) + rng.normal(size=(SIDE, SIDE))


@pytest.mark.parametrize("kind", [lines, interference, speckle, gradient, fringes])
def test_what_is_no_lattice_has_no_bragg_peaks(kind: Callable[[np.random.Generator], np.ndarray]) -> None:
    for seed in range(20):
        image = StandardImage.of(kind(np.random.default_rng(seed)), "columns")
        assert len(image.spectrum.bragg) == 0
        assert image.ring is None


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda x, rng: x + 3 * x.std() * rng.normal(size=(x.shape[0], 1)),
        lambda x, rng: x + 2 * x.std() * np.sin(2 * np.pi * (0.061 * np.arange(x.size)).reshape(x.shape)),
        lambda x, rng: x + 4 * x.std() * gradient(rng),
    ],
)
def test_a_lattice_under_noise_of_the_scan(
    spoilt: Callable[[np.ndarray, np.random.Generator], np.ndarray],
) -> None:
    truth = simulate.monolayer(
        shape=(SIDE, SIDE), counts=10, angle=17, lattice_constant=14.0, gaussian=0.1, seed=1
    )
    image = spoilt(truth.image.astype(np.float64), np.random.default_rng(0))
    standard = StandardImage.of(image, "columns")
    assert standard.ring is not None
    assert standard.ring.frequency == pytest.approx(2 / np.sqrt(3) / 14, rel=0.05)


def test_bragg_peaks_index() -> None:
    truth = simulate.monolayer(shape=(256, 256), counts=30, angle=9, lattice_constant=16.0, seed=2)
    bragg = StandardImage.of(truth.image, "columns").spectrum.bragg
    first = bragg.frequency[np.argsort(bragg.radius)[:2]]
    index = np.rint(bragg.frequency @ np.linalg.inv(first))
    assert len(bragg) >= 9
    basis = np.linalg.lstsq(index, bragg.frequency)[0]
    assert np.abs(bragg.frequency - index @ basis).max() < 0.6 / 256


@pytest.mark.parametrize(("width", "height"), [(4.6, 0.4), (3.2, 0.4), (5.2, 1.0)])
def test_rings_far_beyond_the_width_of_the_columns(width: float, height: float) -> None:
    # Columns with sharp tips have rings as far as the pixels go, at a thousandth of the power.
    bright = lattice((0.0, 42.0), (30.0, 0.0))
    points = np.concatenate([bright, bright + np.array([0.0, 21.0])])
    heights = np.repeat([1.0, height], len(bright))
    image = draw(points, heights, width) + 0.03 * draw(points, heights, 0.9)
    image += 0.005 * np.random.default_rng(0).normal(size=image.shape)
    found = find_columns(image)
    inside = ((points > 0) & (points < SIDE - 1)).all(1)
    score = score_detection(
        found.points[found.occupied], points[inside], np.ones(inside.sum(), bool), image.shape, 3, 8
    )
    assert min(score.precision, score.recall) == 1
    assert found.sigma_px == pytest.approx(width, rel=0.15)


def test_columns_close_together_in_a_long_cell() -> None:
    cell = lattice((32.0, 0.0), (0.0, 12.0))
    points = np.concatenate([cell, cell + np.array([9.0, 0.0]), cell + np.array([18.0, 0.0])])
    image = np.random.default_rng(0).poisson(20 * draw(points, np.ones(len(points)), 2.0))
    found = find_columns(image)
    inside = ((points > 0) & (points < SIDE - 1)).all(1)
    score = score_detection(found.points, points[inside], np.ones(inside.sum(), bool), image.shape, 3, 5)
    assert min(score.precision, score.recall) >= 0.99


def test_backends_agree(xp_array: Callable[[Any], Any]) -> None:
    image = simulate.monolayer(shape=(140, 181), counts=5, angle=11, lattice_constant=12.0, seed=2).image
    found = StandardImage.of(xp_array(image), "columns").single.spectrum.bragg
    wanted = StandardImage.of(image, "columns").single.spectrum.bragg
    assert np.array_equal(found.frequency, wanted.frequency)
    assert np.allclose(found.clearness, wanted.clearness, rtol=1e-3)
