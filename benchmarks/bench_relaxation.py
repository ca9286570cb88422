"""Force relaxation against the paper's sequential method: equal quality, and the time it takes.

Quality: adjusted mutual information of clusters of the layout with the truth, by k-means with the true count
and by HDBSCAN, and the share of neighbours kept. Speed: CPU time against the authors' package and umap-learn
on one thread, in the same run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import adjusted_mutual_info_score
from threadpoolctl import threadpool_limits

from benchmarks.results import record
from motifgpu import (
    ForceRelaxation,
    affinity_graph,
    extract_patches,
    nearest_neighbors,
    pca_start,
    read,
    relax,
    simulate,
    zernike_moments,
)
from motifgpu.graph.metrics import neighbor_preservation
from motifgpu.graph.relaxation import STAGES
from tests.support import oracles

SEEDS = 10
MANY = 40
# Where clusters of the layout scatter so much that ten seeds say nothing: standard error 0.04 to 0.05.
SCATTERED = ("966/181/48/12, 2 counts", "950/50, 2 counts")
SMALLEST = 15  # cluster of HDBSCAN
FOUR = (1.0, 0.8, 0.6, 0.4)
CASES: dict[str, tuple[tuple[int, ...], tuple[float, ...], float]] = {
    "500/500, 2 counts": ((500, 500), (1.0, 0.8), 2),
    "950/50, 2 counts": ((950, 50), (1.0, 0.8), 2),
    "950/50, 4 counts": ((950, 50), (1.0, 0.8), 4),
    "990/10, 4 counts": ((990, 10), (1.0, 0.8), 4),
    "990/10, 10 counts": ((990, 10), (1.0, 0.8), 10),
    "966/181/48/12, 2 counts": ((966, 181, 48, 12), FOUR, 2),
    "4000/750/200/50, 2 counts": ((4000, 750, 200, 50), FOUR, 2),
}


def features(sizes: tuple[int, ...], centers: tuple[float, ...], counts: float, seed: int) -> Any:
    made = simulate.patches(sizes, centers=centers, counts=counts, seed=seed)
    return zernike_moments(made.patches), made.labels


def prepared(x: np.ndarray) -> tuple[Any, np.ndarray]:
    return affinity_graph(nearest_neighbors(x, 9)), pca_start(x)


def quality(x: np.ndarray, layout: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    by_count = KMeans(int(truth.max()) + 1, n_init=10, random_state=0).fit_predict(layout)
    by_density = HDBSCAN(SMALLEST, copy=True).fit_predict(layout)
    return {
        "ami_kmeans": float(adjusted_mutual_info_score(truth, by_count)),
        "ami_hdbscan": float(adjusted_mutual_info_score(truth, by_density)),
        "clusters": int(by_density.max()) + 1,
        "neighbors_kept": neighbor_preservation(x, layout),
    }


def cpu_seconds(work: Callable[[], Any], rounds: int) -> float:
    def once() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return statistics.median(once() for _ in range(rounds))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MOTIFGPU_THREADS", "1")
    with threadpool_limits(1):
        yield


def compared(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Means over seeds, and the mean difference with its standard error."""
    result = {}
    for name in ours[0]:
        differences = [o[name] - t[name] for o, t in zip(ours, theirs, strict=True)]
        result[name] = {
            "motifgpu": statistics.mean(o[name] for o in ours),
            "sequential": statistics.mean(t[name] for t in theirs),
            "difference": statistics.mean(differences),
            "standard_error": statistics.stdev(differences) / len(differences) ** 0.5,
            "seeds": len(differences),
        }
    return result


@pytest.mark.parametrize("case", CASES)
def test_relaxation_quality(case: str) -> None:
    """No worse than the sequential method by 0.02 in AMI and 0.03 in neighbours, over ten seeds or more.

    Against the sequential method with k' = 10, the authors' default. The paper's 5 is recorded beside:
    that finds the clumps of a rare class a little better and keeps a fifth fewer neighbours.
    """
    ours: list[dict[str, float]] = []
    theirs: dict[int, list[dict[str, float]]] = {5: [], 10: []}
    for seed in range(MANY if case in SCATTERED else SEEDS):
        x, truth = features(*CASES[case], seed=1000 + seed)
        graph, start = prepared(x)
        ours.append(quality(x, relax(graph, start, seed=seed), truth))
        for n_repulsions, scores in theirs.items():
            layout = oracles.sequential_relaxation(graph, start, n_repulsions=n_repulsions, seed=seed)
            scores.append(quality(x, layout, truth))
    figures = {f"k' = {key}": compared(ours, scores) for key, scores in theirs.items()}
    for key, scores in figures.items():
        print(case, key, {name: {k: round(v, 3) for k, v in value.items()} for name, value in scores.items()})
    record(f"relaxation_quality {case}", figures)
    scores = figures["k' = 10"]
    assert scores["ami_kmeans"]["difference"] >= -0.02
    assert scores["neighbors_kept"]["difference"] >= -0.03
    # A class of ten is less than the smallest cluster that HDBSCAN looks for.
    if len(CASES[case][0]) > 2 or min(CASES[case][0]) >= SMALLEST:
        assert scores["ami_hdbscan"]["difference"] >= -0.02


def monolayers(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Moments and environments of the columns of as many simulated micrographs as n columns take."""
    moments: list[np.ndarray] = []
    truth: list[np.ndarray] = []
    while sum(map(len, moments)) < n:
        made = simulate.monolayer(
            counts=10, vacancies=0.05, divacancies=0.015, dopants={"W": 0.03}, seed=len(moments)
        )
        patches, inside = extract_patches(made.image, made.points, 38)
        moments.append(zernike_moments(patches))
        truth.append(made.environments[inside])
    return np.concatenate(moments)[:n], np.concatenate(truth)[:n]


@pytest.mark.parametrize(("kind", "n"), [("monolayer", 1000), ("monolayer", 10_000), ("patches", 20_000)])
def test_relaxation_sweeps(kind: str, n: int) -> None:
    """As many sweeps as `Stage` says are enough: twice as many find the same clusters."""
    if kind == "patches":
        made = [features((4000, 750, 200, 50), FOUR, 2, seed) for seed in range(n // 5000)]
        x, truth = (np.concatenate(part) for part in zip(*made, strict=True))
    else:
        x, truth = monolayers(n)
    graph, start = prepared(x)
    figures = {}
    for factor in (0.25, 0.5, 1, 2, 4):
        stages = [stage._replace(sweeps=max(1, round(factor * stage.sweeps))) for stage in STAGES]
        scores = []
        for seed in range(2):
            labels = HDBSCAN(SMALLEST, copy=True).fit_predict(relax(graph, start, stages=stages, seed=seed))
            scores.append((int(labels.max()) + 1, float(adjusted_mutual_info_score(truth, labels))))
        figures[str(factor)] = {
            "clusters": statistics.mean(score[0] for score in scores),
            "ami": statistics.mean(score[1] for score in scores),
        }
    print(kind, n, figures)
    record(f"relaxation_sweeps {kind} {n}", figures)
    assert figures["1"]["ami"] >= figures["2"]["ami"] - 0.03


def _their_layout(x: np.ndarray) -> Callable[[], Any]:
    """Return the peer's optimisation alone, on its own graph and start."""
    from mtflearn.manifold import force_relaxed as peer

    model = peer.ForceGraph8()
    graph, neighbors = peer.compute_graph(x, 10, "correlation", None, 1, 1.0)
    points = peer.init_layout(x, random_state=model.random_state, dim=2, init_mode="pca")
    pairs = peer.compute_pairs(graph)
    states = model.random_state.randint(peer.INT32_MIN, peer.INT32_MAX, 3).astype(np.int64)

    def run() -> None:
        peer.optimize_layout(
            model.num_iterations, peer.compute_nodes(points), pairs, model.num_negative_samples, neighbors,
            model.learning_rate, model.force_params1, model.force_params2, states, model.divide,
        )  # fmt: skip

    return run


def _umap_layout(graph: Any, start: np.ndarray) -> Callable[[], Any]:
    """Return umap-learn's optimisation alone, on our graph and start, at its default number of epochs."""
    from scipy.sparse import csr_matrix
    from umap.umap_ import simplicial_set_embedding

    weights = csr_matrix((graph.weights, graph.indices, graph.indptr))

    def run() -> None:
        simplicial_set_embedding(
            None, weights.copy(), 2, 1.0, 1.58, 0.9, 1.0, 5, None, start.copy(), np.random.RandomState(0),
            "euclidean", {}, False, {}, False, euclidean_output=True, parallel=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("n", "least"), [pytest.param(1207, 40, marks=pytest.mark.quick), (5000, 40), (20_000, 12)]
)
def test_relaxation_speed(n: int, least: float) -> None:
    """CPU time of the layout, and of graph and layout, against the authors' package and umap-learn."""
    from mtflearn.manifold import ForceGraph8

    shares = (0.8, 0.15, 0.04, 0.01)
    parts = max(1, n // 5000)
    sizes = tuple(round(share * n / parts) for share in shares)
    x = np.concatenate([features(sizes, FOUR, 2, seed)[0] for seed in range(parts)])
    graph, start = prepared(x)
    theirs, umaps = _their_layout(x.astype(np.float64)), _umap_layout(graph, start)
    small, small_start = prepared(x[:200])
    relax(graph, start), _their_layout(x[:200].astype(np.float64))(), _umap_layout(small, small_start)()
    rounds = 3 if n < 10_000 else 1
    seconds = {
        "layout": {
            "motifgpu": cpu_seconds(lambda: relax(graph, start), 5),
            "motif_learn": cpu_seconds(theirs, rounds),
            "umap_learn": cpu_seconds(umaps, rounds),
        },
        "fit_transform": {
            "motifgpu": cpu_seconds(lambda: ForceRelaxation(10, 0).fit_transform(x), 5),
            "motif_learn": cpu_seconds(lambda: ForceGraph8().fit_transform(x.astype(np.float64)), rounds),
        },
    }
    ratios = {
        f"{name} {peer}": value[peer] / value["motifgpu"]
        for name, value in seconds.items()
        for peer in value
        if peer != "motifgpu"
    }
    figures = {"n": len(x), "cpu_s": seconds, "ratio": ratios}
    print(figures)
    record(f"relaxation_speed_{n}", figures)
    assert ratios["layout motif_learn"] >= least
    if n == 1207:
        assert ratios["fit_transform motif_learn"] >= 25
    if n == 20_000:
        assert ratios["layout umap_learn"] >= 8


def test_relaxation_of_a_real_micrograph(data_folder: Path) -> None:
    """Single vacancies of TiWSe2 are a cluster of their own, and the map does not shatter."""
    from mtflearn.manifold import ForceGraph8

    folder = data_folder / "TiWSe2"
    points = np.load(folder / "points_xy.npy")[:, ::-1].astype(np.float32)
    truth = np.load(folder / "labels.npy")
    patches, inside = extract_patches(read(folder / "adf2.dm4").image, points, 14)
    x, truth = zernike_moments(patches, 6), truth[inside]
    graph, start = prepared(x)

    def look(layout: np.ndarray) -> dict[str, float]:
        labels = HDBSCAN(SMALLEST, copy=True).fit_predict(layout)
        vacancy = truth == 1
        best = int(np.bincount(labels[vacancy] + 1)[1:].argmax())
        hit = float(((labels == best) & vacancy).sum())
        return {
            "clusters": int(labels.max()) + 1,
            "ami": float(adjusted_mutual_info_score(truth, labels)),
            "vacancy_recall": hit / vacancy.sum(),
            "vacancy_precision": hit / (labels == best).sum(),
            "neighbors_kept": neighbor_preservation(x, layout),
        }

    ours = [look(relax(graph, start, seed=seed)) for seed in range(5)]
    euclidean = [look(ForceRelaxation(10, seed, metric="euclidean").fit_transform(x)) for seed in range(5)]
    theirs = [look(oracles.sequential_relaxation(graph, start, seed=seed)) for seed in range(3)]
    ForceRelaxation(10, 0).fit_transform(x)
    seconds = {
        "motifgpu": cpu_seconds(lambda: ForceRelaxation(10, 0).fit_transform(x), 3),
        "motif_learn": cpu_seconds(lambda: ForceGraph8().fit_transform(x.astype(np.float64)), 1),
    }
    ratio = seconds["motif_learn"] / seconds["motifgpu"]
    figures = {
        "motifgpu": ours,
        "euclidean": euclidean,
        "sequential": theirs,
        "cpu_s": seconds,
        "ratio": ratio,
    }
    print(figures)
    record("relaxation_of_a_real_micrograph", figures)
    assert max(o["clusters"] for o in ours) <= min(t["clusters"] for t in theirs) + 2
    assert min(o["vacancy_recall"] for o in ours) >= 0.72
    assert min(o["vacancy_precision"] for o in ours) >= 0.88
    assert ratio >= 15
