from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from motifgpu import build_hierarchy, simulate
from motifgpu.columns.find import find_columns
from motifgpu.columns.smoothing import smooth
from motifgpu.core.errors import StageError
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import zernike_moments
from motifgpu.moire.anchors import induce_anchors, label_by_anchors
from motifgpu.moire.domains import Domains, label_domains
from motifgpu.structure.voronoi import voronoi_tiling

SIDE = 1200


@pytest.fixture(scope="module")
def bilayer() -> tuple[Any, np.ndarray, np.ndarray, Domains]:
    """A twisted bilayer, its columns, their labels by anchors that nobody chose, and domains of those."""
    truth = simulate.bilayer(shape=(SIDE, SIDE), twist=6.0, counts=30.0, seed=0)
    found = find_columns(truth.image, "prominence").points
    patches, inside = extract_patches(smooth(truth.image), found, 35)
    points, moments = found[inside], zernike_moments(patches)
    labels, _ = label_by_anchors(moments, induce_anchors(moments, points))
    return truth, points, labels, label_domains(points, labels)


def test_domains_of_a_twisted_bilayer_are_its_stackings(bilayer: Any) -> None:
    truth, _, _, domains = bilayer
    length = np.linalg.norm(truth.moire, axis=1).min()
    margin = 0.45 * length + 20
    whole = ((truth.domains > margin) & (truth.domains < SIDE - 1 - margin)).all(axis=1)
    centers, labels = domains.centers[domains.complete], domains.labels[domains.complete]
    distance, nearest = cKDTree(centers).query(truth.domains[whole])
    assert len(np.unique(nearest)) == whole.sum() > 30
    assert distance.max() < 0.03 * length
    pairs = np.unique(np.stack([truth.domain_labels[whole], labels[nearest]]), axis=1)
    assert pairs.shape == (2, 3)  # one label a stacking
    assert len(np.unique(pairs[1])) == 3


def test_domains_compose_the_moire_lattice(bilayer: Any) -> None:
    truth, _, _, domains = bilayer
    cells = domains.cells()
    assert cells.lattice is not None
    assert cells.lattice.kind == "hexagonal"
    assert np.hypot(*cells.lattice.u) == pytest.approx(np.linalg.norm(truth.moire, axis=1).min(), rel=0.01)
    assert len(cells.contents) == 1
    assert sorted(cells.contents[0]) == [0, 1, 2]  # each stacking once a cell
    assert build_hierarchy(cells).nodes == ()


def test_a_domain_of_another_kind_is_a_motif_cell(bilayer: Any) -> None:
    truth, points, labels, domains = bilayer
    middle = np.argmin(np.linalg.norm(domains.centers - SIDE / 2, axis=1))
    changed = np.where(domains.domain == middle, 3, labels)
    cells = label_domains(points, changed).cells()
    hierarchy = build_hierarchy(cells)
    assert [(node.level, node.count) for node in hierarchy.nodes] == [(1, 1)]
    length = np.linalg.norm(truth.moire, axis=1).min()
    assert np.linalg.norm(hierarchy.occurrences.positions[0] - domains.centers[middle]) < length


def test_domains_that_touch_are_parted_at_the_neck() -> None:
    rows, cols = np.mgrid[:20, :60].reshape(2, -1).astype(float)
    points = np.stack([rows, cols + 0.5 * (rows % 2)], axis=1)
    discs = [np.hypot(rows - 10, cols - middle) < 9 for middle in (11, 48)]
    bridge = (np.abs(rows - 10) < 2) & (np.abs(cols - 30) < 12)
    labels = (discs[0] | discs[1] | bridge).astype(int)
    whole = label_domains(points, labels, neck=1.0)
    assert (whole.labels == 1).sum() == 1
    parted = label_domains(points, labels)
    assert (parted.labels == 1).sum() == 2
    for disc in discs:
        assert len(np.unique(parted.domain[disc])) == 1


@pytest.mark.parametrize("seed", range(3))
def test_domains_are_those_of_a_flood_fill(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 200, (300, 2))
    labels = rng.integers(-1, 2, 300)
    domains = label_domains(points, labels, neck=1.0, min_size=3)
    around: list[list[int]] = [[] for _ in points]
    for a, b in voronoi_tiling(points).pairs:
        around[a].append(b)
        around[b].append(a)
    seen, expected = set(), []
    for start in range(len(points)):
        if start in seen or labels[start] < 0:
            continue
        members, waiting = {start}, deque([start])
        while waiting:
            for other in around[waiting.popleft()]:
                if labels[other] == labels[start] and other not in members:
                    members.add(other)
                    waiting.append(other)
        seen |= members
        if len(members) >= 3:
            expected.append(sorted(members))
    assert [np.flatnonzero(domains.domain == d).tolist() for d in range(len(domains.labels))] == expected
    for d, members in enumerate(expected):
        assert domains.labels[d] == labels[members[0]]
        assert domains.sizes[d] == len(members)
        np.testing.assert_allclose(domains.centers[d], points[members].mean(axis=0))
    for (a, b), count in zip(domains.pairs, domains.borders, strict=True):
        assert a < b
        assert count == sum(domains.domain[j] == b for i in expected[a] for j in around[i])


@pytest.mark.parametrize(
    ("labels", "options", "says"),
    [
        (np.full(100, -1), {}, "none of the 100 columns has a label"),
        (np.zeros(99, int), {}, "one label per point"),
        (np.zeros(100), {}, "whole numbers"),
        (np.zeros(100, int), {"neck": 1.5}, "neck is 1.5"),
        (np.zeros(100, int), {"min_size": 0}, "min_size"),
        (np.zeros(100, int), {"min_size": 101}, "no region has 101 columns"),
    ],
)
def test_bad_input_is_named(labels: np.ndarray, options: dict[str, Any], says: str) -> None:
    points = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    with pytest.raises(StageError, match=says):
        label_domains(points, labels, **options)
