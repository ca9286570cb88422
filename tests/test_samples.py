"""The quick part of benchmarks/samples: a few kinds, one small image each, with bounds that hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.samples import table
from benchmarks.samples.labels import agreement, best_f1
from benchmarks.samples.limits import limits, told, told_labels
from benchmarks.samples.measure import Case, false_columns, measure
from motifgpu import simulate

# Least precision, recall and agreement of the labels with identity and domain, at 10 counts.
BOUNDS = {
    "monolayer": (0.99, 0.99, 0.85),
    "mirror_twin": (0.98, 0.99, 0.9),
    "dumbbells": (0.99, 0.99, 0.95),
    "perovskite": (0.99, 0.99, 0.95),
    "layered_oxide": (0.98, 0.99, 0.75),
}


@pytest.mark.parametrize("kind", BOUNDS)
def test_columns_and_labels_of_a_sample_are_right(kind: str) -> None:
    scores, _, analysis = measure(Case(kind, 10.0, "none", seed=0, size=224))
    assert analysis is not None
    got = table.pooled([scores])
    precision, recall, agreement_of_labels = BOUNDS[kind]
    assert got["precision"] >= precision
    assert got["recall"] >= recall
    assert got["ami"] >= agreement_of_labels
    assert got["calibration_columns"] <= 0.01
    assert 0.5 < got["error_of_bound"] < 1.3
    if kind in ("mirror_twin", "dumbbells"):
        assert got["boundary_f1"] >= 0.85


def test_vacancies_of_the_twin_of_a_micrograph_are_a_motif() -> None:
    scores, _, _ = measure(Case("TiWSe2_adf2", 30.0, "none", seed=0, size=256))
    got = table.pooled([scores])
    assert min(got["precision"], got["recall"]) >= 0.99
    assert got["vacancy_f1"] >= 0.9


def test_no_columns_are_found_in_nothing() -> None:
    assert [false_columns(kind, 0, 192) for kind in simulate.NOTHING] == [0] * len(simulate.NOTHING)


def test_an_oracle_knows_nearly_all_of_a_good_image_and_less_of_a_poor_one() -> None:
    right = []
    for counts in (0.1, 30.0):
        truth = simulate.sample("monolayer", (192, 192), counts=counts, seed=0)
        least = limits(truth)
        right.append((told_labels(truth, least) == truth.labels).mean())
        assert (told(truth, least).sum()) == truth.occupied.sum()
    assert right[0] + 0.02 < right[1]
    assert right[1] > 0.98


def test_the_least_error_of_a_column_alone_is_that_of_its_counts() -> None:
    """Without background the Fisher information of a Gaussian's place is its counts over its variance."""
    truth = simulate.sample("monolayer", (96, 96), counts=100.0, seed=0)
    one = int(np.linalg.norm(truth.points - 48, axis=1).argmin())
    rows, cols = np.indices((96, 96))
    square = (rows - truth.points[one, 0]) ** 2 + (cols - truth.points[one, 1]) ** 2
    alone = {name: getattr(truth, name)[one : one + 1] for name in ("points", "heights")}
    clean = 100.0 * np.exp(-0.5 * square / 9)
    made = replace(
        truth, **alone, clean=clean + 1e-6, background=0 * clean, sigma_px=3.0, tail=0.0, spacing_px=10.0
    )
    made.heights[:] = 100
    expected = 2 * 3.0**2 / (100 * 2 * np.pi * 9)
    assert limits(made).position[0] == pytest.approx(expected, rel=0.02)


def test_agreement_and_boundaries_are_scored_as_they_should() -> None:
    truth = np.repeat([0, 1, 2], 20)
    assert agreement(truth, truth + 4) == pytest.approx(1)
    assert agreement(np.zeros(10, int), np.array([3] * 9 + [1])) == 0.9
    assert best_f1(truth == 1, truth) == (1.0, 1.0)
    single, several = best_f1(truth == 1, np.where(truth == 1, np.arange(60) % 2, 5))
    assert single == pytest.approx(2 / 3)
    assert several == 1.0
