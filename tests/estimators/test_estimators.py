from __future__ import annotations

import csv
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.backends import same_home
from support.features import features

from motifgpu import Analysis, analyze, cli, simulate
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import from_numpy, to_numpy
from motifgpu.estimators import ForceRelaxation, MotifClusterer, ZernikeFeatures
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import rotation_invariants, zernike_moments
from motifgpu.graph.affinity import affinity_graph
from motifgpu.graph.metrics import neighbor_preservation
from motifgpu.graph.neighbors import nearest_neighbors
from motifgpu.graph.relaxation import STAGES, Stage, pca_start, relax

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


@pytest.mark.parametrize(
    "names",
    [
        ["ForceRelaxation", "ZernikeFeatures", "AnyWidth"],
        pytest.param(["MotifClusterer"], marks=pytest.mark.slow),
    ],
)
def test_clean_under_all_checks_of_scikit_learn(names: list[str]) -> None:
    program = Path(__file__).with_name("estimator_checks.py")
    done = subprocess.run(
        [sys.executable, str(program), *names],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert list(found) == names
    for name, results in found.items():
        # A transformer that keeps no array has none that could be of another namespace.
        expected = ["check_array_api_same_namespace"] if name == "AnyWidth" else []
        assert results["failed"] == expected, name
        assert all("is not installed" in reason for reason in results["skipped"]), results["skipped"]
        if name != "ZernikeFeatures":  # of images scikit-learn checks no more than that they can be cloned
            assert len(results["passed"]) > 40
            assert results["passed"].count("check_array_api_input") >= 2


SCAN = simulate.monolayer(
    "MoSe2", (224, 240), counts=30, angle=7, vacancies=0.06, dopants={"W": 0.03}, seed=3
)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(SCAN.image, seed=2, backend="numpy")


def patches_of(analysis: Analysis) -> np.ndarray:
    parameters = analysis.parameters
    patches, _ = extract_patches(
        analysis.micrograph.image,
        analysis.columns.points,
        parameters["patch_samples"],
        side=parameters["patch_size_px"],
    )
    return patches


def test_function_estimator_and_command_give_the_same_labels(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches = patches_of(analysis)
    steps = make_pipeline(
        ZernikeFeatures(analysis.parameters["order"]),
        MotifClusterer(n_neighbors=analysis.parameters["n_neighbors"], random_state=2),
    )
    whole = analysis.whole  # patches that are cut are described by `analyze` alone
    np.testing.assert_array_equal(steps.fit_predict(patches), analysis.motifs.labels[whole])
    clusterer = steps[-1]
    np.testing.assert_array_equal(clusterer.environments_, analysis.motifs.environments[whole])
    np.testing.assert_array_equal(clusterer.layout_, analysis.layout[whole])
    np.testing.assert_allclose(clusterer.confidence_, analysis.motifs.confidence[whole])
    np.testing.assert_allclose(clusterer.means_, analysis.motifs.means)

    np.save(tmp_path / "scan.npy", SCAN.image)
    monkeypatch.setattr(Analysis, "figures", lambda *args, **more: {})  # they take most of the time
    monkeypatch.setattr("motifgpu.report.folder.render", lambda *args, **more: "")
    assert cli.main(["analyze", "-q", str(tmp_path / "scan.npy"), "-o", str(tmp_path), "--seed", "2"]) == 0
    with open(tmp_path / "scan" / "columns.csv", newline="") as file:
        written = [int(row["motif"]) for row in csv.DictReader(file) if row["motif"]]
    np.testing.assert_array_equal(written, analysis.motifs.labels)
    assert len(set(written)) >= 3


def test_rotation_invariant_clusterer_is_the_rotation_invariant_analysis(analysis: Analysis) -> None:
    other = analyze(SCAN.image, rotation_invariant=True, structure=False)
    clusterer = MotifClusterer(rotation_invariant=True, random_state=0).fit(other.moments[other.whole])
    np.testing.assert_array_equal(clusterer.layout_, other.layout[other.whole])
    np.testing.assert_array_equal(clusterer.labels_, other.motifs.labels[other.whole])
    assert not np.array_equal(clusterer.layout_, analysis.layout[analysis.whole])


def test_moments_as_a_transformer(xp_array: Callable[[Any], Any]) -> None:
    patches = np.random.default_rng(0).normal(size=(20, 24, 24)).astype(np.float32)
    given = xp_array(patches)
    rows = (
        given.__array_namespace__().reshape(given, (20, 576))
        if hasattr(given, "__array_namespace__")
        else given.reshape(20, 576)
    )
    for X in (given, rows):
        found = ZernikeFeatures(8).fit_transform(X)
        assert same_home(found, given)
        np.testing.assert_allclose(to_numpy(found), zernike_moments(patches, 8), atol=1e-5)
        lengths = ZernikeFeatures(8, rotation_invariant=True).transform(X)
        np.testing.assert_allclose(
            to_numpy(lengths), rotation_invariants(zernike_moments(patches, 8)), atol=1e-5
        )


def test_clusterer_stays_at_home(xp_array: Callable[[Any], Any], analysis: Analysis) -> None:
    given = xp_array(analysis.moments[analysis.whole])
    clusterer = MotifClusterer(random_state=2).fit(given)
    for result in (clusterer.labels_, clusterer.environments_, clusterer.layout_, clusterer.means_):
        assert same_home(result, given)
    np.testing.assert_array_equal(to_numpy(clusterer.labels_), analysis.motifs.labels[analysis.whole])
    assert same_home(clusterer.fit_predict(given), given)


def test_names_of_features() -> None:
    names = ZernikeFeatures(10).get_feature_names_out()
    assert names.shape == (66,)
    assert names[:4].tolist() == ["A_0,0", "A_1,-1", "A_1,1", "A_2,-2"]
    assert names[-1] == "A_10,10"
    lengths = ZernikeFeatures(10, rotation_invariant=True).get_feature_names_out()
    assert lengths.shape == (36,)
    assert lengths[:3].tolist() == ["|A_0,0|", "|A_1,1|", "|A_2,0|"]


def test_data_frames_out() -> None:
    pandas = pytest.importorskip("pandas")
    patches = np.random.default_rng(0).normal(size=(30, 16, 16))
    moments = ZernikeFeatures(4).set_output(transform="pandas").fit_transform(patches)
    assert isinstance(moments, pandas.DataFrame)
    assert moments.columns[:2].tolist() == ["A_0,0", "A_1,-1"]
    layout = ForceRelaxation(random_state=0, stages=SHORT).set_output(transform="pandas")
    placed = layout.fit_transform(moments)
    assert placed.columns.tolist() == ["layout_x", "layout_y"]
    assert layout.feature_names_in_.tolist() == moments.columns.tolist()
    np.testing.assert_array_equal(placed.to_numpy(), layout.layout_)


def test_size_of_the_fitted_patches_is_kept() -> None:
    patches = np.random.default_rng(0).normal(size=(5, 16, 16))
    estimator = ZernikeFeatures(4).fit(patches)
    assert estimator.n_features_in_ == 256
    estimator.transform(patches.reshape(5, 256))
    with pytest.raises(ValueError, match="X has 289 features, but ZernikeFeatures is expecting 256"):
        estimator.transform(np.ones((2, 17, 17)))


@pytest.mark.parametrize("estimator", [ZernikeFeatures(4), ForceRelaxation(), MotifClusterer()])
def test_copies(estimator: Any) -> None:
    assert clone(estimator).get_params() == estimator.get_params()
    assert pickle.loads(pickle.dumps(estimator)).get_params() == estimator.get_params()


def test_features_that_are_no_moments_are_clustered_too() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [60, 40, 20])
    centres = 3 * rng.normal(size=(3, 7))
    x = centres[truth] + 0.3 * rng.normal(size=(120, 7))
    for method in ("auto", "mixture", "regions"):
        clusterer = MotifClusterer(method=method, random_state=0).fit(x)
        np.testing.assert_array_equal(clusterer.labels_, truth)
    three = MotifClusterer(3, method="kmeans", random_state=0).fit_predict(x)
    np.testing.assert_array_equal(three, truth)


def test_flat_rows_are_placed_and_said() -> None:
    x = features(60)
    x[[4, 9]] = 2.5
    estimator = ForceRelaxation(random_state=0, stages=SHORT)
    with pytest.warns(UserWarning, match="2 of 60 rows of X are constant"):
        estimator.fit(x)
    assert np.isfinite(estimator.layout_).all()
    with pytest.raises(StageError, match=r"rows .* are constant"):
        estimator.fit(np.ones((20, 5)))


@pytest.mark.parametrize("stage", [Stage.largevis(sweeps=6), Stage.umap(sweeps=6)])
def test_other_force_laws_are_stages(stage: Stage) -> None:
    layouts = [
        ForceRelaxation(random_state=0, stages=stages).fit_transform(features(80))
        for stages in ([stage], SHORT)
    ]
    assert np.isfinite(layouts[0]).all()
    assert not np.allclose(*layouts)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ZernikeFeatures().fit(np.ones((3, 100))),
            r"order 10 has condition number .* on a disc of 10",
        ),
        (lambda: ZernikeFeatures(2).fit(np.ones((3, 99))), r"99 features, which are no square patch"),
        (lambda: ZernikeFeatures(2).fit(np.ones((3, 9, 8))), r"shape \(3, 9, 8\); give square ones"),
        (lambda: ZernikeFeatures(-1).transform(np.ones((3, 64))), r"order is -1"),
        (lambda: ZernikeFeatures(2).fit(np.full((3, 8, 8), np.nan)), r"contains NaN"),
        (lambda: ZernikeFeatures(2).fit(np.ones((0, 8, 8))), r"0 sample"),
        (lambda: ZernikeFeatures(2).fit(np.ones((2, 3, 4, 4))), r"dim 4"),
        (lambda: MotifClusterer(method="best").fit(features(30)), r"method is 'best'; choose one of auto"),
        (lambda: MotifClusterer(environments="x").fit(features(30)), r"environments is 'x'"),
        (lambda: MotifClusterer(n_neighbors=1).fit(features(30)), r"n_neighbors is 1"),
        (lambda: MotifClusterer(method="columns").fit(features(30)[:, :50]), r"motifs: .* no whole order"),
        (lambda: MotifClusterer(31).fit(features(30)), r"n_motifs is 31 and there are 30 columns"),
    ],
)
def test_bad_input(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_input_on_a_device() -> None:
    import array_api_strict

    like = array_api_strict.asarray([1.0], device=array_api_strict.Device("device1"))
    for x, message in (
        (np.ones((1, 5)), r"shape \(1, 5\)"),
        (np.full((5, 5), np.inf), r"NaN or infinite"),
        (np.ones((5, 1)), r"shape \(5, 1\)"),
    ):
        with pytest.raises(StageError, match=message):
            MotifClusterer().fit(from_numpy(x, like))
