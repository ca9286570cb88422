"""Identity and environment of columns that the library found itself, against known truth and other methods.

Two truths: identity is what stands on the column's site; the environment adds the identities of the three
nearest sites, told apart by direction, as `Simulation.environments` does. Beside it stands the agreement with
environments that ignore direction: there ours, which keeps it, is finer than the truth and scores lower.
Seeds are ones that nothing was tuned on. Patches are cut from the raw image at the size that
`estimate_patch_size` found, and nobody was told the number of classes, except k-means. The oracle is linear
discriminant analysis on the same moments, trained on the truth of another image.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from benchmarks.results import record
from motifgpu import (
    affinity_graph,
    estimate_background,
    estimate_patch_size,
    extract_patches,
    find_columns,
    find_motifs,
    match_points,
    nearest_neighbors,
    pca_start,
    read,
    relax,
    simulate,
    zernike_moments,
)

A = 22.0
SEEDS = range(100, 110)
DEFECTS: dict[str, Any] = {"vacancies": 0.05, "divacancies": 0.015, "dopants": {"W": 0.03}}


@dataclass(frozen=True)
class Case:
    """The columns of one simulated micrograph that were found, and the truth about those that are matched."""

    moments: np.ndarray
    small: np.ndarray
    rows: np.ndarray
    identity: np.ndarray
    environment: np.ndarray
    undirected: np.ndarray
    names: tuple[str, ...]
    expected: np.ndarray

    def ami(self, truth: np.ndarray, labels: np.ndarray) -> float:
        return float(adjusted_mutual_info_score(truth, labels[self.rows]))

    def vacancies(self, labels: np.ndarray) -> tuple[float, float]:
        """Recall and precision of single vacancies, for the class that holds them best."""
        true = self.identity == next(i for i, name in enumerate(self.names) if name.startswith("V_"))
        found = labels[self.rows]
        scores = []
        for label in np.unique(found[true]):
            hits = float(np.sum(true & (found == label)))
            scores.append((hits / self.expected.sum(), hits / np.sum(found == label)))
        return max(scores, key=lambda s: 2 * s[0] * s[1] / (s[0] + s[1]))


def simulated(counts: float, seed: int, remove_background: bool = False, **options: Any) -> Case:
    truth = simulate.monolayer(counts=counts, seed=seed, **options)
    columns = find_columns(truth.image)
    size = round(estimate_patch_size(truth.image).pixels)
    image = truth.image - estimate_background(truth.image) if remove_background else truth.image
    patches, inside = extract_patches(image, columns.points, size)
    small = extract_patches(image, columns.points[inside], round(0.82 * A))[0]
    match = match_points(columns.points[inside], truth.points, A / np.sqrt(3) / 3)
    nearest = cKDTree(truth.points).query(truth.points, 4)[1][:, 1:]
    around = np.column_stack([truth.labels, np.sort(truth.labels[nearest], axis=1)])
    undirected = np.unique(around, axis=0, return_inverse=True)[1].reshape(-1)
    # A vacancy counts as missed when its column was not found where a patch would fit.
    half = (size - 1) / 2
    fits = ((truth.points >= half) & (truth.points <= np.array(image.shape) - 1 - half)).all(axis=1)
    fits[match.reference] = True
    vacancy = next((i for i, name in enumerate(truth.names) if name.startswith("V_")), -1)
    return Case(
        moments=zernike_moments(patches),
        small=zernike_moments(small),
        rows=match.found,
        identity=truth.labels[match.reference],
        environment=truth.environments[match.reference],
        undirected=undirected[match.reference],
        names=truth.names,
        expected=fits & (truth.labels == vacancy),
    )


def bic_mixture(features: np.ndarray) -> np.ndarray:
    """Gaussians on two principal components, as many as BIC wants, at most eight."""
    centred = features - features.mean(axis=0)
    scores = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    fits = [GaussianMixture(k, random_state=0).fit(scores) for k in range(1, 9)]
    return min(fits, key=lambda fit: fit.bic(scores)).predict(scores)


def scores(case: Case, labels: np.ndarray, environments: np.ndarray | None = None) -> dict[str, float]:
    recall, precision = case.vacancies(labels)
    result = {
        "identity": case.ami(case.identity, labels),
        "vacancy_recall": recall,
        "vacancy_precision": precision,
        "classes": float(np.unique(labels[labels >= 0]).size),
    }
    if environments is not None:
        result["environment"] = case.ami(case.environment, environments)
        result["environment_undirected"] = case.ami(case.undirected, environments)
    return result


def summary(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        key: {"mean": round(statistics.mean(v), 4), "min": round(min(v), 4), "max": round(max(v), 4)}
        for key in runs[0]
        for v in [[run[key] for run in runs]]
    }


@pytest.mark.parametrize("counts", [1, 3, 10, 30, 100])
def test_motifs(counts: int) -> None:
    runs: dict[str, list[dict[str, float]]] = {}
    with threadpool_limits(1):
        for seed in SEEDS:
            case = simulated(counts, seed, **DEFECTS)
            other = simulated(counts, seed + 1000, **DEFECTS)
            layout = relax(affinity_graph(nearest_neighbors(case.moments)), pca_start(case.moments))
            begin = time.process_time()
            motifs = find_motifs(case.moments, layout)
            seconds = time.process_time() - begin
            runs.setdefault("columns", []).append(
                {**scores(case, motifs.labels, motifs.environments), "cpu_ms": 1e3 * seconds}
            )
            for choice in ("regions", "hdbscan"):
                found = find_motifs(case.moments, layout, environments=choice)
                runs.setdefault(f"columns, environments by {choice}", []).append(
                    scores(case, found.labels, found.environments)
                )
                found = find_motifs(case.moments, layout, method=choice, environments=choice)
                runs.setdefault(f"layout {choice}", []).append(scores(case, found.labels, found.environments))
            small = find_motifs(case.small, layout, method="mixture", environments="regions")
            runs.setdefault("mixture, 0.82 a", []).append(scores(case, small.labels))
            told = len(np.unique(case.identity))
            others = {
                "k-means on layout, told": KMeans(told, n_init=10, random_state=0).fit_predict(layout),
                "k-means on moments, told": KMeans(told, n_init=10, random_state=0).fit_predict(case.moments),
                "BIC mixture on two PCs, 0.82 a": bic_mixture(case.small),
                "oracle": LinearDiscriminantAnalysis()
                .fit(other.moments[other.rows], other.identity)
                .predict(case.moments),
            }
            for name, labels in others.items():
                runs.setdefault(name, []).append(scores(case, labels))
    figures = {name: summary(each) for name, each in runs.items()}
    record(f"motifs_pk{counts}", {"seeds": list(SEEDS), "methods": figures})
    ours = figures["columns"]
    if counts in (3, 10):
        assert ours["identity"]["mean"] >= 0.95
    if counts in (10, 30):
        assert ours["environment"]["mean"] >= 0.93


def test_motifs_elsewhere() -> None:
    """Other materials and faults of images, by the same rule."""
    cases: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
        "MoSe2 with V": ((3, 10), {**DEFECTS, "dopants": {"V": 0.03}}),
        "WS2 with Fe and Te": (
            (10, 30),
            {**DEFECTS, "material": "WS2", "dopants": {"Fe": 0.03, "Te": 0.03}},
        ),
        "MoSe2, background 0.5": ((3, 10), {**DEFECTS, "background": 0.5}),
        "MoSe2, grains 0 and 25 degrees": ((3, 10), {**DEFECTS, "grains": (0.0, 25.0)}),
        "MoSe2, twins (turned by 60 degrees)": ((3, 10), {**DEFECTS, "grains": (0.0, 60.0)}),
        "MoSe2, strained and drifting": (
            (3, 10),
            {**DEFECTS, "strain": ((0.01, 0.01), (0.0, -0.01)), "drift": (0.0, 8.0)},
        ),
        "MoSe2, lines displaced by 0.5 px": ((3, 10), {**DEFECTS, "scan": 0.5}),
        "WSe2 with 40 % Ti": ((3, 10), {**DEFECTS, "material": "WSe2", "dopants": {"Ti": 0.4}}),
    }
    figures: dict[str, Any] = {}
    for name, (doses, options) in cases.items():
        for counts in doses:
            for removed in (False, True):
                runs = []
                for seed in SEEDS[:3]:
                    case = simulated(counts, seed, removed, **options)
                    motifs = find_motifs(case.moments)
                    runs.append(scores(case, motifs.labels, motifs.environments))
                how = "removed" if removed else "left"
                figures[f"{name}, pk {counts}, background {how}"] = summary(runs)
    record("motifs_elsewhere", {"seeds": list(SEEDS[:3]), "cases": figures})
    for name, each in figures.items():
        # Twins have one pattern with two meanings, hard to tell at a low dose: recorded, and not asserted.
        if "left" in name and "twins" not in name:
            assert each["identity"]["mean"] >= 0.95, name


def test_motifs_of_perfect_crystals() -> None:
    """A crystal without defects is not split, at any dose."""
    figures = {}
    for material in ("MoSe2", "WS2"):
        for counts in (1, 3, 10, 30, 100):
            found = []
            for seed in SEEDS[:4]:
                case = simulated(counts, seed, material=material)
                motifs = find_motifs(case.moments)
                found.append([len(motifs.counts), int(motifs.environments.max()) + 1])
            figures[f"{material} pk {counts}"] = found
    record("motifs_of_perfect_crystals", {"identities and environments": figures})
    for name, found in figures.items():
        assert all(pair == [2, 2] for pair in found), (name, found)


def test_motifs_of_a_real_micrograph(data_folder: Path) -> None:
    """Ti-doped WSe2 with published points and labels: single selenium vacancies."""
    points = np.load(data_folder / "TiWSe2" / "points_xy.npy")[:, ::-1].astype(np.float32)
    published = np.load(data_folder / "TiWSe2" / "labels.npy")
    figures = {}
    for detector in ("adf1", "adf2"):
        image = np.asarray(read(data_folder / "TiWSe2" / f"{detector}.dm4").image)
        side = estimate_patch_size(image).pixels
        patches, inside = extract_patches(image, points, 24, side=side)
        begin = time.process_time()
        motifs = find_motifs(zernike_moments(patches))
        seconds = time.process_time() - begin
        truth = published[inside]
        vacancy = truth == 1
        label = np.bincount(motifs.labels[vacancy & (motifs.labels >= 0)]).argmax()
        hits = np.sum(vacancy & (motifs.labels == label))
        figures[detector] = {
            "columns": len(truth),
            "motifs": motifs.counts.tolist(),
            "ami_with_published_labels": float(adjusted_mutual_info_score(truth, motifs.labels)),
            "vacancy_recall": float(hits / vacancy.sum()),
            "vacancy_precision": float(hits / np.sum(motifs.labels == label)),
            "cpu_ms": 1e3 * seconds,
        }
    record("motifs_of_a_real_micrograph", figures)
    assert figures["adf1"]["vacancy_recall"] >= 0.72
