from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.backends import same_home

from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.motifs.kmeans import _Points, kmeans


def blobs(k: int, n: int, d: int, spread: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(k, d))[rng.integers(0, k, n)] + spread * rng.normal(size=(n, d))


def literal_inertia(x: np.ndarray, centres: np.ndarray) -> float:
    return float(((x[:, None, :] - centres[None]) ** 2).sum(2).min(1).sum())


DATA = {
    "islands in the plane": (blobs(5, 600, 2, 0.1), 5),
    "overlapping, many dimensions": (blobs(12, 900, 66, 0.8), 12),
    "no clusters": (np.random.default_rng(1).random((1500, 2)), 30),
    "a strip": (np.random.default_rng(2).normal(size=(800, 3)) * [30, 1, 0.1], 8),
    "unlike sizes": (
        np.concatenate([blobs(1, 900, 4, 0.2), blobs(1, 20, 4, 0.1, 5) + 9, blobs(1, 3, 4, 0.1, 6) - 9]),
        3,
    ),
    "far from the origin": (blobs(4, 500, 3, 0.05) + 300.0, 4),
}


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float32") for name in DATA), ("no clusters", "float64")]
)
def test_inertia_is_at_most_that_of_scikit_learn(name: str, dtype: str) -> None:
    from sklearn.cluster import KMeans

    x, k = DATA[name]
    x = x.astype(dtype)
    found = kmeans(x, k, starts=5)
    reference = KMeans(k, n_init=5, random_state=0).fit(x.astype(np.float64))
    reached = literal_inertia(x.astype(np.float64), found.centres.astype(np.float64))
    assert reached <= 1.01 * literal_inertia(x.astype(np.float64), reference.cluster_centers_)
    assert found.inertia == pytest.approx(reached, rel=1e-3)


def test_what_comes_out_is_a_fixed_point_on_every_backend(xp_array: Callable[[Any], Any]) -> None:
    x = blobs(6, 400, 5, 0.1).astype(np.float32)
    on_device = xp_array(x)
    found = kmeans(on_device, 6)
    assert same_home(found.labels, on_device)
    assert same_home(found.centres, on_device)
    labels, centres = to_numpy(found.labels), to_numpy(found.centres)
    np.testing.assert_array_equal(labels, ((x[:, None] - centres) ** 2).sum(2).argmin(1))
    for cluster in range(6):
        np.testing.assert_allclose(centres[cluster], x[labels == cluster].mean(0), atol=1e-5)


def test_the_same_seed_gives_the_same_bits_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = blobs(4, 500, 3, 0.1)
    first, again = kmeans(x, 4, seed=3), kmeans(x, 4, seed=3)
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.centres, again.centres)
    monkeypatch.setattr(namespace, "block_size", lambda xp: 64)
    np.testing.assert_array_equal(kmeans(x, 4, seed=3).labels, first.labels)


def test_a_cluster_that_runs_empty_starts_again_where_points_are_far_from_centres() -> None:
    x = blobs(4, 200, 2, 0.02)
    wanted = kmeans(x, 4)
    start = wanted.centres.copy()
    start[2] = 50.0  # where no point is nearest
    found = _Points(x).descend(start)
    assert found.inertia == pytest.approx(wanted.inertia, rel=1e-6)
    np.testing.assert_array_equal(found.labels, wanted.labels)


def test_fewer_points_that_differ_than_clusters() -> None:
    x = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], 5, axis=0)
    found = kmeans(x, 6)
    assert found.inertia < 1e-12
    assert np.isfinite(found.centres).all()
    assert np.unique(found.labels).size == 3


def test_as_many_clusters_as_points_and_one() -> None:
    x = blobs(3, 9, 2, 1.0)
    assert np.unique(kmeans(x, 9).labels).size == 9
    one = kmeans(x, 1)
    np.testing.assert_allclose(one.centres[0], x.mean(0))
    assert not one.labels.any()


def test_no_points_leave_the_device() -> None:
    import array_api_strict

    x = array_api_strict.asarray(blobs(4, 300, 8, 0.1), device=array_api_strict.Device("device1"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(namespace, "to_numpy", lambda x: pytest.fail("an array left the device"))
        kmeans(x, 4)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.zeros((0, 2)), {"n_clusters": 1}, "there are 0 points"),
        (np.zeros(4), {"n_clusters": 1}, r"x has shape \(4,\)"),
        (np.full((4, 2), np.nan), {"n_clusters": 1}, "8 of 8 values that are NaN"),
        (np.zeros((4, 2)), {"n_clusters": 5}, "n_clusters is 5; give a whole number from 1 to 4"),
        (np.zeros((4, 2)), {"n_clusters": 0}, "n_clusters is 0"),
        (np.zeros((4, 2)), {"n_clusters": 2, "starts": 0}, "starts is 0"),
        (np.zeros((4, 2)), {"n_clusters": 2, "seed": -1}, "seed is -1"),
    ],
)
def test_bad_input_is_named(x: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(StageError, match=message):
        kmeans(x, **options)
