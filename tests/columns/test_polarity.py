from __future__ import annotations

import numpy as np
import pytest

from motifgpu import analyze, find_columns, simulate
from motifgpu.columns.find import DARK, Columns
from motifgpu.columns.matching import Detection, score_detection


def scored(made: simulate.SampleSimulation, columns: Columns) -> Detection:
    """Score against the atoms of a sample."""
    atoms = made.points[made.occupied]
    found = columns.points[columns.occupied]
    every = np.ones(len(atoms), bool)
    return score_detection(found, atoms, every, made.image.shape, made.spacing_px / 3, 0.5 * made.spacing_px)


@pytest.mark.parametrize("seed", [1, 3])
def test_dark_columns_are_recognised(seed: int) -> None:
    made = simulate.sample("dark_perovskite", (224, 224), counts=10, seed=seed)
    columns = find_columns(made.image)
    assert columns.notes == (DARK,)
    score = scored(made, columns)
    assert min(score.precision, score.recall) >= 0.97
    assert np.median(columns.prominence[columns.occupied]) > 0


@pytest.mark.parametrize("kind", ["honeycomb", "monolayer", "step"])
def test_bright_columns_are_left_and_their_negatives_inverted(kind: str) -> None:
    image = simulate.sample(kind, (160, 160), counts=10, seed=2).image
    columns, negative = find_columns(image), find_columns(-image)
    assert DARK not in columns.notes
    assert DARK in negative.notes
    assert np.allclose(negative.points, columns.points, atol=0.05)


@pytest.mark.parametrize("width", [0.35, 0.45])
def test_a_honeycomb_whose_columns_run_into_each_other_is_bright(width: float) -> None:
    u, v = 18.0 * np.array([0.98, 0.2]), 18.0 * np.array([0.317, 0.949])
    i, j = (k.ravel()[:, None] for k in np.mgrid[-30:30, -30:30])
    points = np.concatenate([i * u + j * v, i * u + j * v + (u + v) / 3]) + 112
    pixels, sigma = np.arange(224), width * 18 / np.sqrt(3)
    rows, cols = (np.exp(-0.5 * ((pixels[:, None] - points[:, axis]) / sigma) ** 2) for axis in (0, 1))
    clean = rows @ cols.T
    image = np.random.default_rng(0).poisson(10 * clean / clean.max())
    assert DARK not in find_columns(image).notes


def test_a_choice_is_kept() -> None:
    made = simulate.sample("dark_perovskite", (160, 160), counts=10, seed=1)
    chosen, decided = find_columns(made.image, invert=True), find_columns(made.image)
    assert chosen.notes == ()
    assert np.array_equal(chosen.points, decided.points)
    between = find_columns(made.image, invert=False)
    assert scored(made, between).recall < 0.2


def test_patches_of_dark_columns_are_dark() -> None:
    made = simulate.sample("dark_perovskite", (192, 192), counts=30, seed=1)
    analysis = analyze(made.image, structure=False)
    assert DARK in analysis.warnings
    average = np.asarray(analysis.averages.patches[0])
    middle = average.shape[0] // 2
    assert average[middle, middle] < average.mean()
