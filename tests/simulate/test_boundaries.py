from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from support.simulations import at, interior

from motifgpu import simulate


@pytest.mark.parametrize(("angle", "opening"), [(0, 0.2), (25, 0.0)])
def test_a_twin_is_the_mirror_image_and_shares_a_row(angle, opening):
    made = simulate.twin_boundary(shape=(400, 400), angle=angle, opening=opening, counts=None, seed=1)
    along = np.array([-np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))])
    up = np.array([-along[1], along[0]])
    row = made.points[made.grain == 2]
    line = (row @ up).mean()
    assert np.ptp(row @ up) < 1e-3
    assert abs(line - np.array([199.5, 199.5]) @ up) <= 11.001
    for grain, side in ((0, -1), (1, 1)):
        assert (side * (made.points[made.grain == grain] @ up - line) > 0).all()
    mirrored = made.points - 2 * (made.points @ up - line)[:, None] * up
    seen = interior(mirrored, (400, 400), 1)
    distance, near = cKDTree(made.points).query(mirrored[seen])
    assert distance.max() < 1e-3
    assert np.array_equal(made.labels[near], made.labels[seen])

    tree = cKDTree(made.points)
    inside = interior(made.points, (400, 400), 25)
    bond = np.hypot(0.5, 1 / np.sqrt(12) + opening / 2) * 22 + 0.1
    for site in np.flatnonzero(inside & (made.grain == 2)):
        near = [n for n in tree.query_ball_point(made.points[site], bond) if n != site]
        assert made.names[made.labels[site]] == "Se2"
        assert [made.names[made.labels[n]] for n in near] == ["Mo"] * 4
    bulk = inside & (np.abs(made.points @ up - line) > 25)
    distance, near = tree.query(made.points[bulk], k=4)
    assert distance[:, 1:] == pytest.approx(22 / np.sqrt(3), abs=1e-3)
    assert (made.labels[near[:, 1:]] != made.labels[bulk][:, None]).all()
    assert len(np.unique(made.environments[inside])) == 7


def test_a_stacking_boundary_has_a_honeycomb_on_one_side_and_three_columns_on_the_other():
    made = simulate.stacking_boundary(shape=(500, 500), angle=10, counts=50, seed=2)
    assert made.names == ("Mo+Se2", "Mo", "Se2")
    assert set(made.labels[made.grain == 0]) == {0}
    third = np.bincount(made.labels[made.grain == 1]) / np.sum(made.grain == 1)
    assert third == pytest.approx([1 / 3] * 3, abs=0.03)
    molybdenum, selenium = 42**1.7, 34**1.7
    expected = 50 * np.array([1, molybdenum / (molybdenum + 2 * selenium), 0])
    expected[2] = 50 - expected[1]
    inside = interior(made.points, (500, 500), 8)
    assert np.abs(at(made.clean, made.points) - expected[made.labels])[inside].max() < 0.5
    distance, _ = cKDTree(made.points).query(made.points[inside], k=2)
    assert distance[:, 1] == pytest.approx(22 / np.sqrt(3), abs=1e-3)
    row = made.points[made.grain == 2]
    assert set(made.labels[made.grain == 2]) == {0}
    assert np.ptp(row @ np.array([np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))])) < 1e-3
