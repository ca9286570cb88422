from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracles
from support.backends import same_home
from support.features import features

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.graph.neighbors import METRICS, nearest_neighbors


@pytest.mark.parametrize("metric", METRICS)
def test_finds_what_sorting_all_distances_finds(metric, xp_array):
    x = features(331)
    given_x = xp_array(x)
    indices, distances = nearest_neighbors(given_x, 9, metric=metric)
    assert same_home(indices, given_x)
    assert same_home(distances, given_x)
    wanted, wanted_distances = oracles.nearest(x, 9, metric)
    np.testing.assert_array_equal(to_numpy(indices), wanted)
    np.testing.assert_allclose(to_numpy(distances), wanted_distances, rtol=1e-4)
    assert to_numpy(indices).dtype == np.int32
    assert to_numpy(distances).dtype == np.float32


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("dimensions", "n", "k"), [(2, 40, 3), (3, 64, 1), (28, 65, 64), (130, 128, 20)])
def test_any_shape(dimensions, n, k, metric):
    x = np.random.default_rng(1).normal(size=(n, dimensions))
    indices, distances = nearest_neighbors(x, k, metric=metric)
    wanted = oracles.DISTANCES[metric](x)
    np.testing.assert_allclose(distances, np.sort(wanted, axis=1)[:, :k], rtol=1e-4, atol=1e-9)
    found = np.take_along_axis(wanted, indices.astype(int), 1)
    np.testing.assert_allclose(found, distances, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(("spread", "least"), [(1e-2, 1.0), (3e-4, 0.999), (3e-5, 0.99)])
def test_neighbours_that_are_nearly_equal(spread, least):
    x = features(600, spread=spread, seed=2)
    indices, distances = nearest_neighbors(x, 9)
    wanted, wanted_distances = oracles.nearest(x, 9)
    shared = (indices[:, :, None] == wanted[:, None, :]).any(axis=2).mean()
    assert shared >= least, f"{shared:.4f} of neighbours at a mean distance of {wanted_distances.mean():.1e}"


@pytest.mark.parametrize("metric", METRICS)
def test_equal_rows_are_listed_by_index(metric):
    x = np.repeat(features(5, seed=3), 8, axis=0)
    indices, distances = nearest_neighbors(x, 7, metric=metric)
    group = np.arange(40) // 8 * 8
    wanted = [[j for j in range(g, g + 8) if j != i] for i, g in enumerate(group)]
    np.testing.assert_array_equal(indices, wanted)
    assert (distances == 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 90), st.integers(2, 9), st.integers(0, 10**6), st.booleans())
def test_rows_are_distinct_and_exclude_the_point(n, dimensions, seed, coarse):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dimensions)).astype(np.float32)
    if coarse:  # many ties
        x = np.round(x) + np.arange(dimensions) % 3
        x[x.std(axis=1) == 0, 0] += 1
    k = int(rng.integers(1, n))
    indices, distances = nearest_neighbors(x, k)
    assert all(len(set(row)) == k for row in indices.tolist())
    assert not (indices == np.arange(n)[:, None]).any()
    assert (np.diff(distances, axis=1) >= 0).all()
    assert indices.min() >= 0
    assert indices.max() < n


@pytest.mark.parametrize("metric", METRICS)
def test_same_bits_alone_in_a_batch_and_for_any_number_of_threads(metric, monkeypatch):
    sizes = [10, 300, 64, 700, 1]
    parts = [features(n, seed=n) for n in sizes[:-1]]
    offsets = np.cumsum([0, *sizes[:-1]])
    results = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("MOTIFGPU_THREADS", threads)
        results.append(nearest_neighbors(np.concatenate(parts), 9, offsets, metric))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].indices, other.indices)
        np.testing.assert_array_equal(results[0].distances, other.distances)
    for part, a, b in zip(parts, offsets, offsets[1:], strict=False):
        alone = nearest_neighbors(part, 9, metric=metric)
        np.testing.assert_array_equal(alone.indices + a, results[0].indices[a:b])
        np.testing.assert_array_equal(alone.distances, results[0].distances[a:b])


@pytest.mark.parametrize("apart", [0.0, 1.0, 30.0])
def test_clusters_of_any_size_and_width_in_any_order(apart, monkeypatch):
    rng = np.random.default_rng(4)
    sizes, widths = (1500, 700, 190, 9, 1), (1.0, 0.2, 3.0, 1e-3, 0.0)
    parts = [
        apart * rng.normal(size=12) + width * rng.normal(size=(size, 12))
        for size, width in zip(sizes, widths, strict=True)
    ]
    x = np.concatenate([*parts, parts[1][:40]]).astype(np.float32)  # 40 rows stand twice
    monkeypatch.setenv("MOTIFGPU_THREADS", "3")
    indices, distances = nearest_neighbors(x, 9, metric="euclidean")
    wanted = oracles.DISTANCES["euclidean"](x)
    np.testing.assert_allclose(distances, np.sort(wanted, axis=1)[:, :9], rtol=1e-4, atol=1e-5 * (1 + apart))
    mixed = rng.permutation(len(x))
    again = nearest_neighbors(x[mixed], 9, metric="euclidean")
    np.testing.assert_array_equal(again.distances, distances[mixed])
    alone = np.ones(len(x), bool)
    alone[[*range(1500, 1540), *range(2400, 2440)]] = False
    told = alone[mixed] & alone[indices].all(axis=1)[mixed]  # equal rows are told apart by their place
    np.testing.assert_array_equal(mixed[again.indices[told]], indices[mixed][told])


def test_scale_and_offset_of_a_row_do_not_matter():
    x = features(120)
    other = x.astype(np.float64) * np.linspace(0.1, 1e3, 120)[:, None] + np.linspace(-50, 50, 120)[:, None]
    np.testing.assert_array_equal(nearest_neighbors(x, 5).indices, nearest_neighbors(other, 5).indices)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_euclidean_distance_is_in_the_unit_of_the_features(scale):
    x = features(120).astype(np.float64)
    one, other = (
        nearest_neighbors(x, 5, metric="euclidean"),
        nearest_neighbors(x * scale, 5, metric="euclidean"),
    )
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_allclose(other.distances, one.distances * scale, rtol=1e-5)


def test_constant_rows_have_euclidean_neighbours():
    x = np.array([[0.0, 0, 0], [0, 0, 0], [2, 2, 2], [2, 2, 3]])
    indices, distances = nearest_neighbors(x, 1, metric="euclidean")
    np.testing.assert_array_equal(indices[:, 0], [1, 0, 3, 2])
    np.testing.assert_allclose(distances[:, 0], [0, 0, 1, 1], rtol=1e-6)
    assert (nearest_neighbors(np.zeros((5, 3)), 2, metric="euclidean").distances == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 12}, r"neighbors: k is 12 and there are 12 points; give k of at most 11"),
        ({"k": 0}, r"neighbors: k is 0; give a whole number of at least 1"),
        ({"k": 2.5}, r"k is 2.5"),
        ({"offsets": [0, 3, 12]}, r"k is 3 and micrograph 0 has 3 points; give k of at most 2, or leave"),
        ({"offsets": [0, 5, 11]}, r"offsets go from 0 to 11; let them go from 0 to the number of rows, 12"),
        ({"offsets": [0, 8, 4, 12]}, r"offsets fall after number 1"),
        ({"offsets": [0.0, 12.0]}, r"dtype float64; give \(m \+ 1,\) integers"),
        ({"nan": [4, 7]}, r"neighbors: rows 4, 7 of x have values that are NaN or infinite; remove"),
        ({"flat": [2]}, r"neighbors: row 2 of x are constant.*remove these points"),
        ({"flat": range(10)}, r"rows 0, 1, 2, 3, 4, 5, 6, 7 and 2 more of x are constant"),
        ({"shape": (12,)}, r"x has shape \(12,\)"),
        ({"metric": "cosine"}, r"neighbors: metric is 'cosine'; give one of correlation, euclidean"),
    ],
)
def test_bad_input(change, message, xp_array):
    x = features(12)
    for row in change.get("nan", ()):
        x[row, 5] = np.nan
    for row in change.get("flat", ()):
        x[row] = 0.1 * row
    offsets = change.get("offsets")
    with pytest.raises(StageError, match=message):
        nearest_neighbors(
            xp_array(x[:, 0] if "shape" in change else x),
            change.get("k", 3),
            None if offsets is None else np.array(offsets),
            change.get("metric", "correlation"),
        )
