from __future__ import annotations

import numpy as np
import pytest

from motifgpu.core.errors import StageError
from motifgpu.motifs.layout_clusters import layout_regions


def islands(sizes=(400, 150, 40), seed=0):
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [9.0, 1.0], [3.0, -8.0], [-9.0, 3.0]])
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return centres[truth] + rng.normal(0, 0.5, (truth.size, 2)), truth


@pytest.mark.parametrize("method", ["regions", "hdbscan"])
def test_islands_are_found_and_counted(method):
    layout, truth = islands()
    labels = layout_regions(layout, method)
    inside = labels >= 0
    assert labels.max() == 2
    assert inside.mean() > 0.9
    assert np.unique(np.stack([labels, truth])[:, inside], axis=1).shape[1] == 3


def test_kmeans_makes_as_many_as_it_is_told():
    layout, truth = islands()
    labels = layout_regions(layout, "kmeans", 3)
    assert np.unique(np.stack([labels, truth]), axis=1).shape[1] == 3
    assert layout_regions(layout, "kmeans", 5).max() == 4


@pytest.mark.parametrize("seed", range(3))
def test_one_island_is_not_split(seed):
    layout = np.random.default_rng(seed).normal(size=(1000, 2))
    assert not layout_regions(layout).any()


def test_scale_and_place_of_the_layout_do_not_matter():
    layout, _ = islands()
    assert layout_regions(layout).tolist() == layout_regions(1e3 * layout + 7e4).tolist()


@pytest.mark.parametrize("method", ["regions", "hdbscan"])
@pytest.mark.parametrize("n", [1, 10, 200])
def test_points_in_one_place_are_one_region(method, n):
    assert not np.any(layout_regions(np.ones((n, 2)), method))


def test_a_point_far_away_leaves_the_others_their_regions():
    layout, truth = islands()
    labels = layout_regions(np.vstack([layout, [[1e3, 0.0]]]))[:-1]
    for k in range(3):
        assert np.bincount(labels[truth == k]).max() > 0.95 * (truth == k).sum()


@pytest.mark.parametrize(
    ("method", "n_regions", "text"),
    [
        ("dbscan", None, "there is no method 'dbscan'; choose one of regions, hdbscan, kmeans"),
        ("kmeans", None, "kmeans needs to be told the number of clusters; give n_regions"),
        ("regions", 3, "regions finds, and cannot be told, the number of clusters; give n_regions"),
        ("kmeans", 0, "n_regions is 0; give a whole number from 1"),
    ],
)
def test_bad_input_says_what_to_do(method, n_regions, text):
    with pytest.raises(StageError, match=r"^regions: ") as caught:
        layout_regions(np.random.default_rng(0).normal(size=(40, 2)), method, n_regions)
    assert text in str(caught.value)
