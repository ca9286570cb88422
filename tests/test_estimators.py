from __future__ import annotations

import numpy as np
import pytest
from conftest import same_home
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_neighbors import features

from motifgpu.affinity import affinity_graph
from motifgpu.backend import to_numpy
from motifgpu.errors import StageError
from motifgpu.estimators import ForceRelaxation
from motifgpu.metrics import neighbor_preservation
from motifgpu.neighbors import nearest_neighbors
from motifgpu.relaxation import STAGES, pca_start, relax

SHORT = tuple(stage._replace(sweeps=4) for stage in STAGES)


def test_joins_the_stages(xp_array):
    x = features(90)
    given_x = xp_array(x)
    estimator = ForceRelaxation(6, random_state=3, stages=SHORT)
    layout = estimator.fit_transform(given_x)
    assert same_home(layout, given_x)
    wanted = relax(affinity_graph(nearest_neighbors(x, 5)), pca_start(x), stages=SHORT, seed=3)
    np.testing.assert_allclose(to_numpy(layout), wanted, atol=1e-3)
    assert layout is estimator.layout_
    assert estimator.n_features_in_ == 66
    assert [sweep for sweep, _ in estimator.history_] == [0, 12]


def test_random_state():
    x = features(60)
    layouts = [
        ForceRelaxation(random_state=state, stages=SHORT).fit_transform(x)
        for state in (0, 0, np.random.RandomState(1), np.random.RandomState(1), 1, None)
    ]
    np.testing.assert_array_equal(layouts[0], layouts[1])
    np.testing.assert_array_equal(layouts[2], layouts[3])
    assert not np.array_equal(layouts[0], layouts[4])
    assert not np.array_equal(layouts[0], layouts[5])


def test_history():
    x = features(60)
    estimator = ForceRelaxation(random_state=0, stages=SHORT, history_every=5).fit(x)
    assert [sweep for sweep, _ in estimator.history_] == [0, 5, 10, 12]
    np.testing.assert_array_equal(estimator.history_[0][1], pca_start(x))
    np.testing.assert_array_equal(estimator.history_[-1][1], estimator.layout_)


def test_is_a_scikit_learn_estimator():
    estimator = ForceRelaxation(8, random_state=2, stages=SHORT)
    assert clone(estimator).get_params() == estimator.get_params()
    layout = make_pipeline(StandardScaler(), estimator).fit_transform(features(50).tolist())
    assert layout.shape == (50, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_neighbors": 1}, r"estimators: n_neighbors is 1; give a whole number of at least 2"),
        ({"n_neighbors": 21}, r"neighbors: k is 20 and there are 20 points; give k of at most 19"),
        ({"combine": "mean"}, r"affinity: there is no combination 'mean'"),
        ({"history_every": 0}, r"relaxation: callback_every is 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(StageError, match=message):
        ForceRelaxation(**options).fit(features(20))


def test_neighbor_preservation_of_known_layouts():
    x = features(100)
    corner = np.random.default_rng(0).normal(size=(100, 2))
    assert neighbor_preservation(x, corner) == pytest.approx(9 / 99, abs=0.05)
    line = np.linspace(0, 1, 40)
    curve = np.stack([np.sin(line), np.cos(line), 2 * np.ones(40)], axis=1)  # neighbours as on the line
    assert neighbor_preservation(curve, np.stack([line, line], axis=1), 2) > 0.9
    with pytest.raises(StageError, match="there are 100 features and 40 positions"):
        neighbor_preservation(x, np.zeros((40, 2)))
