from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree
from support.backends import same_home

from motifgpu import simulate
from motifgpu.columns.find import find_columns
from motifgpu.columns.smoothing import smooth
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import rotate_moments, rotation_invariants, zernike_moments
from motifgpu.moire.anchors import given_anchors, induce_anchors, label_by_anchors
from motifgpu.simulate import BilayerSimulation


@pytest.fixture(scope="module")
def bilayer() -> tuple[BilayerSimulation, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A twisted bilayer, its columns and their moments, domains and distances from the middle of those."""
    truth = simulate.bilayer(twist=3.15, counts=30.0, seed=0)
    found = find_columns(truth.image, "prominence").points
    patches, inside = extract_patches(smooth(truth.image), found, 35)
    points = found[inside]
    distance, nearest = cKDTree(truth.domains).query(points)
    return truth, zernike_moments(patches), points, truth.domain_labels[nearest], distance


def test_induced_anchors_are_the_three_stackings(bilayer: Any) -> None:
    truth, moments, points, domain, distance = bilayer
    anchors = induce_anchors(moments, points)
    length = np.linalg.norm(truth.moire, axis=1).min()
    stands_for = np.array([np.bincount(domain[anchors.rows[anchors.labels == c]]).argmax() for c in range(3)])
    assert sorted(stands_for.tolist()) == [0, 1, 2]
    assert np.median(distance[anchors.rows]) < 0.15 * length
    labels, _ = label_by_anchors(moments, anchors)
    right = stands_for[labels] == domain
    assert right[distance < 0.25 * length].mean() > 0.75
    assert right.mean() > 0.6


def test_given_anchors_label_their_domains(bilayer: Any) -> None:
    truth, moments, points, domain, distance = bilayer
    length = np.linalg.norm(truth.moire, axis=1).min()
    middle = np.array([511.5, 511.5])
    rows: list[int] = []
    for kind in range(3):
        centres = truth.domains[truth.domain_labels == kind]
        centre = centres[np.linalg.norm(centres - middle, axis=1).argmin()]
        rows += np.flatnonzero(np.linalg.norm(points - centre, axis=1) < 25).tolist()
    anchors = given_anchors(moments, rows, domain[rows])
    labels, away = label_by_anchors(moments, anchors)
    np.testing.assert_array_equal(labels[rows], domain[rows])
    np.testing.assert_allclose(away[rows], 0, atol=1e-3)
    assert (labels == domain)[distance < 0.25 * length].mean() > 0.9


def test_nearest_anchor_is_the_nearest(xp_array: Callable[[Any], Any]) -> None:
    moments = np.random.default_rng(0).normal(size=(40, 66)).astype("float32")
    there = xp_array(moments)
    anchors = given_anchors(there, [3, 7, 11], [5, 2, 5])
    assert same_home(anchors.features, there)
    labels, distance = label_by_anchors(there, anchors)
    assert same_home(labels, there)
    features = rotation_invariants(moments.astype(float))
    expected = np.linalg.norm(features[:, None] - features[[3, 7, 11]], axis=2)
    np.testing.assert_allclose(to_numpy(distance), expected.min(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(to_numpy(labels), np.array([5, 2, 5])[expected.argmin(axis=1)])
    turned, _ = label_by_anchors(rotate_moments(there, 40.0), anchors)
    np.testing.assert_array_equal(to_numpy(turned), to_numpy(labels))


def test_induced_anchors_stay_home(xp_array: Callable[[Any], Any]) -> None:
    rng = np.random.default_rng(1)
    moments = np.repeat(rng.normal(size=(3, 66)), 60, axis=0) + 0.05 * rng.normal(size=(180, 66))
    points = np.repeat([[0.0, 0], [100, 0], [0, 100]], 60, axis=0) + rng.normal(size=(180, 2))
    there = xp_array(moments)
    anchors = induce_anchors(there, xp_array(points), neighbors=20, count=2)
    assert same_home(anchors.features, there)
    assert set(anchors.labels.tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: given_anchors(m, []), "rows are \\[\\]"),
        (lambda m: given_anchors(m, [0, 99]), "rows reach from 0 to 99 and there are 40 columns"),
        (lambda m: given_anchors(m, [0, 1], [1]), "labels are \\[1\\] for 2 anchors"),
        (lambda m: given_anchors(m, [0, 1], [1, -1]), "labels are"),
        (lambda m: induce_anchors(m, np.zeros((40, 2))), "there are 40 columns and density .* over 40"),
        (lambda m: induce_anchors(m, np.zeros((9, 2))), "points have shape \\(9, 2\\) for 40 columns"),
        (lambda m: induce_anchors(m, np.zeros((40, 2)), 0), "count is 0"),
        (
            lambda m: induce_anchors(0 * m, np.zeros((40, 2)), neighbors=5),
            "features of all patches are equal",
        ),
        (
            lambda m: label_by_anchors(m[:, :28], given_anchors(m, [0])),
            "16 features per column and 36 per anchor",
        ),
    ],
)
def test_bad_input_is_named(call: Callable[[np.ndarray], Any], message: str) -> None:
    moments = np.random.default_rng(0).normal(size=(40, 66))
    with pytest.raises(StageError, match=f"^anchors: .*{message}"):
        call(moments)
