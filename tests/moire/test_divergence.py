from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from motifgpu.core.errors import StageError
from motifgpu.moire.divergence import domain_divergence


def domains(
    n: int = 400, shift: float = 0.0, features: int = 8, number: int = 3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of `number` domains of n points, those of the last one moved by `shift` deviations."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(number * n, features))
    values[-n:] += shift
    centers = 100.0 * np.stack([np.arange(number), np.zeros(number)], axis=1)
    points = np.repeat(centers, n, axis=0) + rng.uniform(-10, 10, (number * n, 2))
    return values, points, centers


def literal(values: np.ndarray, first: np.ndarray, second: np.ndarray, bins: int) -> float:
    divergences = []
    for feature in values.T:
        edges = np.linspace(feature.min(), feature.max(), bins + 1)
        p, q = (np.histogram(feature[rows], edges)[0] + 0.5 for rows in (first, second))
        p, q = p / p.sum(), q / q.sum()
        divergences.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    return float(np.mean(divergences))


def test_divergence_is_the_literal_one(xp_array: Callable[[Any], Any]) -> None:
    values, points, centers = (a.astype("float32") for a in domains(60, 0.5))
    found = domain_divergence(xp_array(values), xp_array(points), xp_array(centers), 20.0, permutations=3)
    rows = np.arange(180).reshape(3, 60)
    for a in range(3):
        for b in range(3):
            assert found.matrix[a, b] == pytest.approx(literal(values, rows[a], rows[b], 20), abs=0.02)
    off = ~np.eye(3, dtype=bool)
    assert found.mean == pytest.approx(found.matrix[off].mean())
    assert (np.diag(found.matrix) == 0).all()
    assert (found.matrix[off] > 0).all()


def test_equal_domains_lie_within_their_null() -> None:
    found = domain_divergence(*domains(500), 20.0)
    assert abs(found.mean - found.null_mean) < 4 * found.null_deviation
    assert found.null_mean == pytest.approx(found.expected, rel=0.35)
    assert found.p_values.min() > 0.005
    np.testing.assert_array_equal(found.counts, [500, 500, 500])


@pytest.mark.parametrize("n", [50, 2000])
def test_null_shrinks_with_the_sample(n: int) -> None:
    found = domain_divergence(*domains(n), 20.0, permutations=40)
    assert found.expected == pytest.approx(19 / n)
    assert found.null_mean == pytest.approx(19 / n, rel=0.6)


def test_a_different_domain_stands_out() -> None:
    found = domain_divergence(*domains(400, 1.0), 20.0)
    assert found.p_values[0, 1] > 0.01
    assert found.p_values[0, 2] == found.p_values[2, 1] == pytest.approx(1 / 201)
    assert found.matrix[0, 2] > found.null[0, 2] + 10 * found.null_deviation


def test_domains_with_few_points_are_left_out() -> None:
    values, points, centers = domains(100)
    found = domain_divergence(values, points, np.vstack([centers, [[500.0, 500.0]]]), 20.0, permutations=2)
    np.testing.assert_array_equal(found.domains, [0, 1, 2])
    constant = domain_divergence(np.ones_like(values), points, centers, 20.0, permutations=2)
    assert constant.mean == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radius": 0}, "radius is 0"),
        ({"radius": math.nan}, "radius is nan"),
        ({"bins": 1}, "bins is 1"),
        ({"permutations": 0}, "permutations is 0"),
        ({"points": np.zeros((4, 2))}, "points \\(4, 2\\)"),
        ({"centers": np.zeros((1, 2))}, "1 of 1 domains have 20 points within 20 px"),
        ({"centers": np.full((3, 2), 1e6)}, "0 of 3 domains"),
        ({"features": np.full((300, 8), np.nan)}, "2400 of 2400 values that are NaN"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    values, points, centers = domains(100)
    arguments = {"features": values, "points": points, "centers": centers, "radius": 20.0} | change
    with pytest.raises(StageError, match=f"^divergence: .*{message}"):
        domain_divergence(**arguments)
