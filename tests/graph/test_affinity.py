from __future__ import annotations

import math

import numpy as np
import pytest
from support import oracles
from support.backends import same_home
from support.features import features

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.graph.affinity import affinity_graph
from motifgpu.graph.neighbors import nearest_neighbors


def dense(graph) -> np.ndarray:
    indptr, indices, weights = map(to_numpy, (graph.indptr, graph.indices, graph.weights))
    result = np.zeros((indptr.size - 1, indptr.size - 1))
    result[np.repeat(np.arange(indptr.size - 1), np.diff(indptr)), indices] = weights
    return result


@pytest.mark.parametrize("combine", ["union", "sum"])
def test_weights_are_those_of_the_definition(xp_array, combine):
    x = features(150)
    indices, distances = oracles.nearest(x, 9)
    given_distances = xp_array(distances)
    graph = affinity_graph((xp_array(indices.astype(np.int32)), given_distances), combine=combine)
    for part in (graph.indptr, graph.indices, graph.weights, graph.sigma, graph.tied):
        assert same_home(part, given_distances)
    wanted, sigma = oracles.affinities(indices, distances, math.log2(10), combine == "union")
    np.testing.assert_allclose(dense(graph), wanted, atol=2e-4)
    np.testing.assert_allclose(to_numpy(graph.sigma), sigma, rtol=1e-3)
    assert not to_numpy(graph.tied).any()
    assert to_numpy(graph.weights).dtype == np.float32


def test_rows_are_sorted_and_the_graph_is_symmetric():
    graph = affinity_graph(nearest_neighbors(features(700), 9))
    weights = dense(graph)
    np.testing.assert_array_equal(weights, weights.T)
    for a, b in zip(graph.indptr, graph.indptr[1:], strict=False):
        assert (np.diff(graph.indices[a:b]) > 0).all()
    assert (np.diff(graph.indptr) >= 9).all()


@pytest.mark.parametrize("n_neighbors", [3, 5, 10, None])
def test_own_weights_sum_to_the_logarithm(n_neighbors):
    x = features(80, seed=4)
    indices, distances = nearest_neighbors(x, 9)
    graph = affinity_graph((indices, distances), n_neighbors=n_neighbors)
    excess = distances - distances[:, :1]
    sums = np.exp(-excess / graph.sigma[:, None]).sum(axis=1)
    np.testing.assert_allclose(sums, math.log2(n_neighbors or 10), atol=1e-4)


def test_ties_are_flagged_and_harmless():
    x = np.concatenate([np.repeat(features(2, seed=5), 10, axis=0), features(40, seed=6)])
    indices, distances = nearest_neighbors(x, 9)
    graph = affinity_graph((indices, distances))
    np.testing.assert_array_equal(graph.tied, np.arange(60) < 20)
    assert np.isfinite(graph.sigma).all()
    assert np.isfinite(graph.weights).all()
    assert (dense(graph)[:10, :10] == 1 - np.eye(10)).all()


def test_the_floor_of_sigma_is_relative_to_the_mean_distance():
    distances = np.tile(np.array([0.1, 0.1, 0.1, 0.1, 0.4], np.float32), (12, 1))
    indices = (np.arange(12)[:, None] + np.arange(1, 6)) % 12
    graph = affinity_graph((indices.astype(np.int32), distances))
    assert graph.tied.all()
    np.testing.assert_allclose(graph.sigma, 1e-3 * 0.16, rtol=1e-5)
    assert affinity_graph(nearest_neighbors(features(20), 1)).tied.all()


def test_same_bits_alone_and_in_a_batch():
    parts = [features(n, seed=n) for n in (11, 400, 64)]
    offsets = np.cumsum([0] + [len(part) for part in parts])
    batch = affinity_graph(nearest_neighbors(np.concatenate(parts), 9, offsets), offsets=offsets)
    np.testing.assert_array_equal(batch.offsets, offsets)
    for part, a, b in zip(parts, offsets, offsets[1:], strict=False):
        alone = affinity_graph(nearest_neighbors(part, 9))
        edges = slice(batch.indptr[a], batch.indptr[b])
        np.testing.assert_array_equal(alone.indptr, batch.indptr[a : b + 1] - batch.indptr[a])
        np.testing.assert_array_equal(alone.indices, batch.indices[edges] - a)
        np.testing.assert_array_equal(alone.weights, batch.weights[edges])
        np.testing.assert_array_equal(alone.sigma, batch.sigma[a:b])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"combine": "product"}, r"affinity: there is no combination 'product'; choose union or sum"),
        ({"n_neighbors": 1}, r"n_neighbors is 1; give a whole number from 2 to 6"),
        ({"n_neighbors": 7}, r"n_neighbors is 7; give a whole number from 2 to 6"),
        ({"nan": True}, r"distances in row 3 are NaN or infinite; compute them with nearest_neighbors"),
        ({"offsets": [0, 10, 20]}, r"of indices point outside their micrograph; give the same offsets"),
        ({"far": True}, r"row 2 of indices point outside their micrograph"),
        ({"short": True}, r"indices have shape \(19, 5\) and distances \(20, 5\)"),
    ],
)
def test_bad_input(change, message, xp_array):
    indices, distances = nearest_neighbors(features(20), 5)
    if "nan" in change:
        distances[3, 1] = np.nan
    if "far" in change:
        indices[2, 4] = 20
    options = {key: change[key] for key in ("combine", "n_neighbors") if key in change}
    if "offsets" in change:
        options["offsets"] = np.array(change["offsets"])
    with pytest.raises(StageError, match=message):
        affinity_graph(
            (xp_array(indices[1:] if "short" in change else indices), xp_array(distances)), **options
        )
