from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from support.backends import same_home

from motifgpu import StageError, find_columns, simulate
from motifgpu.columns.matching import score_detection
from motifgpu.core.namespace import to_numpy


@pytest.mark.parametrize("kind", simulate.NOTHING)
def test_no_columns_where_there_are_none(kind: str) -> None:
    for seed in range(17):
        with pytest.raises(StageError, match=r"columns: the (image (has no lattice|shows no str)|maxima)"):
            find_columns(simulate.nothing(kind, (192, 192), seed=seed))


@pytest.mark.parametrize("counts", [3.0, 10.0])
def test_a_particle_on_a_support(counts: float) -> None:
    made = simulate.sample("particle", (256, 256), counts=counts, seed=1)
    columns = find_columns(made.image)
    atoms = made.points[made.occupied]
    away = cKDTree(atoms).query(columns.points)[0]
    assert (cKDTree(columns.points).query(atoms)[0] < made.spacing_px / 3).mean() >= 0.98
    assert (away > 2.5 * made.spacing_px).sum() == 0
    [note] = [text for text in columns.notes if "shows no lattice" in text]
    share = float(note.split("%")[0]) / 100
    hull = cKDTree(atoms).query(np.argwhere(made.valid))[0] < made.spacing_px
    assert share == pytest.approx(1 - hull.mean(), abs=0.12)


def test_grains_that_are_lost_in_the_whole_keep_their_columns() -> None:
    truth = simulate.monolayer(shape=(384, 384), counts=10, grains=(0, 25, 12, 40), seed=8)
    columns = find_columns(truth.image)
    assert not [text for text in columns.notes if "lattice" in text]
    assert len(columns) >= 0.96 * len(truth.points)


@pytest.mark.parametrize("kind", ["monolayer", "grains", "tilt", "honeycomb", "phases", "layered_oxide"])
def test_no_lattice_is_lost_at_low_dose(kind: str) -> None:
    made = simulate.sample(kind, (256, 256), counts=3, seed=1)
    columns = find_columns(made.image)
    assert len(columns) >= 0.95 * made.occupied.sum()
    assert not columns.notes


def support(seed: int, counts: float = 10.0) -> tuple[np.ndarray, np.ndarray, float]:
    """Return single atoms on a speckled support, where they are and how wide."""
    rng = np.random.default_rng(seed)
    width = rng.uniform(1.6, 3.0)
    points = rng.uniform(4, 251, (70, 2))
    close = cKDTree(points).query_pairs(3.5 * width, output_type="ndarray")
    points = np.delete(points, np.unique(close[:, 1]), axis=0)
    pixels = np.arange(256)
    rows, cols = (np.exp(-0.5 * ((pixels[:, None] - points[:, axis]) / width) ** 2) for axis in (0, 1))
    film = gaussian_filter(rng.normal(size=(256, 256)), rng.uniform(0.7, 1.6) * width)
    film = 0.4 + 0.1 * film / film.std()
    heights = rng.normal(1, 0.12, len(points))
    return rng.poisson(counts * np.clip((rows * heights) @ cols.T + film, 0, None)), points, width


def test_single_atoms_on_a_support() -> None:
    right = claimed = number = 0
    for seed in range(6):
        image, points, width = support(seed)
        with pytest.raises(StageError, match="the image has no lattice"):
            find_columns(image)
        columns = find_columns(image, lattice="none")
        assert columns.occupied.all()
        assert columns.sigma_px == pytest.approx(width, rel=0.3)
        every = np.ones(len(points), bool)
        score = score_detection(columns.points, points, every, image.shape, 1.5 * width, 4)
        right += round(score.recall * len(points))
        claimed += len(columns)
        number += len(points)
    assert 2 * right / (claimed + number) >= 0.85


def test_noise_has_no_atoms() -> None:
    for seed in range(5):
        noise = gaussian_filter(np.random.default_rng(seed).normal(size=(192, 192)), 2.0)
        with pytest.raises(StageError, match="no blob in the image is above its noise"):
            find_columns(noise, lattice="none")


def test_backends_agree(xp_array: Callable[[Any], Any]) -> None:
    particle = simulate.sample("particle", (160, 160), counts=10, seed=1).image
    dark = simulate.sample("dark_perovskite", (128, 128), counts=10, seed=1).image
    atoms = support(1)[0].astype(np.float32)
    for image, lattice in ((particle, "auto"), (dark, "auto"), (atoms, "none")):
        given = xp_array(image)
        found, wanted = (find_columns(x, lattice=lattice) for x in (given, image))
        assert same_home(found.points, given)
        assert found.notes == wanted.notes
        assert np.allclose(to_numpy(found.points), wanted.points, atol=2e-3)
