from __future__ import annotations

import numpy as np
import pytest

from motifgpu import StageError
from motifgpu.columns.matching import match_points, score_detection


def test_pairs_are_mutual_and_near() -> None:
    reference = np.array([[10.0, 10], [10, 20], [30, 30]])
    found = np.array([[10.0, 19], [11, 10], [10.5, 10.2], [30, 36]])
    match = match_points(found, reference, 5)
    assert list(zip(match.found.tolist(), match.reference.tolist(), strict=True)) == [(0, 1), (2, 0)]
    assert match.rms == pytest.approx(np.sqrt((1 + 0.25 + 0.04) / 2))


def test_nothing_to_match() -> None:
    match = match_points(np.zeros((0, 2)), np.ones((3, 2)), 1)
    assert len(match.found) == 0
    assert np.isnan(match.rms)
    with pytest.raises(StageError, match="matching: radius is 0; give a positive length"):
        match_points(np.zeros((1, 2)), np.zeros((1, 2)), 0)


def test_empty_sites_and_border_do_not_count() -> None:
    sites = np.array([[10.0, 10], [10, 20], [10, 30], [1, 1]])
    occupied = np.array([True, True, False, True])
    found = np.array([[10.0, 10], [10, 30], [25, 25], [1, 39]])
    score = score_detection(found, sites, occupied, (40, 41), radius=3, margin=4)
    assert score.precision == pytest.approx(
        1 / 2
    )  # the point at the empty site and the one at the border are out
    assert score.recall == pytest.approx(1 / 2)
    assert score.rms == 0
