"""Fig. S23, S24, S25 and S28 as simulations: vacancies, a twin and a stacking boundary, a tunnelling image.

Each layout gets the same moments and is clustered by HDBSCAN; `analyze` labels columns without the layout.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_mutual_info_score

from benchmarks.peers.packages import LAYOUTS
from benchmarks.results import record
from motifgpu import (
    StageError,
    analyze,
    estimate_patch_size,
    extract_patches,
    find_columns,
    read,
    rotation_invariants,
    simulate,
    zernike_moments,
)

pytestmark = pytest.mark.usefixtures("one_thread")
SMALLEST = 15
# A simulation, the kind of each of its sites, and which of them are the rare ones.
Specimen = tuple[Any, Callable[[Any], np.ndarray], Callable[[Any], np.ndarray]]
METHODS = ("motifgpu", "motifgpu, Euclidean", "motif-learn", "t-SNE", "UMAP", "PaCMAP")


def rates(labels: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Recall and precision of the cluster that holds most of what is wanted; 0 where that is noise."""
    clusters = labels[wanted & (labels >= 0)]
    if len(clusters) == 0:
        return {"recall": 0.0, "precision": 0.0}
    chosen = labels == np.bincount(clusters).argmax()
    hit = float((chosen & wanted).sum())
    return {"recall": hit / wanted.sum(), "precision": hit / chosen.sum()}


def by_layouts(
    x: np.ndarray, truth: np.ndarray, rare: np.ndarray, seed: int, smallest: int = SMALLEST
) -> dict[str, dict[str, float]]:
    result = {}
    for name in METHODS:
        labels = HDBSCAN(smallest, copy=True).fit_predict(LAYOUTS[name](x, seed))
        result[name] = {
            "ami": float(adjusted_mutual_info_score(truth, labels)),
            "clusters": int(labels.max()) + 1,
            **rates(labels, rare),
        }
    return result


def means(rows: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {key: statistics.mean(row[name][key] for row in rows) for key in rows[0][name]}
        for name in rows[0]
    }


def matched(points: np.ndarray, made: Any, within: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the true site nearest to each point, and which points have one."""
    distance, nearest = cKDTree(made.points).query(points)
    return nearest, distance < within


def vacancies(seed: int, counts: float = 2) -> Specimen:
    made = simulate.monolayer(counts=counts, vacancies=0.06, divacancies=0.01, seed=seed, angle=7.0 * seed)
    return made, lambda m: m.labels, lambda m: m.labels == 2


def twin(seed: int) -> Specimen:
    made = simulate.twin_boundary(counts=5, seed=seed, angle=7.0 * seed)
    # A column is what its sublattice and grain make it; those the grains share are the boundary.
    return made, lambda m: 3 * m.sublattice + m.grain, lambda m: m.grain == 2


def stacking(seed: int) -> Specimen:
    made = simulate.stacking_boundary(counts=10, seed=seed, angle=7.0 * seed)
    # In 3R alone are there columns in the hollow sites of 2H.
    return made, lambda m: 3 * m.sublattice + m.grain, lambda m: m.sublattice == 2


SPECIMENS: dict[str, Callable[[int], Specimen]] = {
    "vacancies, 2 counts": vacancies,
    "vacancies, 10 counts": partial(vacancies, counts=10),
    "twin boundary": twin,
    "stacking boundary": stacking,
}


@pytest.mark.parametrize(
    "specimen", [pytest.param("vacancies, 2 counts", marks=pytest.mark.quick), *list(SPECIMENS)[1:]]
)
def test_defects(specimen: str, seeds: range) -> None:
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in seeds[:5]:
            made, kind, rare = SPECIMENS[specimen](seed)
            found = analyze(made.image)
            points = np.asarray(found.points)
            nearest, real = matched(points, made, 5.0)
            truth, wanted = kind(made)[nearest], rare(made)[nearest] & real
            row = by_layouts(np.asarray(found.moments), truth, wanted, seed)
            for name, labels in (
                ("analyze", found.motifs.labels),
                ("analyze, environments", found.motifs.environments),
            ):
                row[name] = {
                    "ami": float(adjusted_mutual_info_score(truth, labels)),
                    "clusters": int(labels.max()) + 1,
                    **rates(labels, wanted),
                }
            row["columns"] = {
                "found": len(points),
                "with a true site": float(real.mean()),
                "rare": int(wanted.sum()),
            }
            rows.append(row)
    record(f"defects {specimen}", {"seeds": len(rows), "methods": means(rows)})
    assert means(rows)["columns"]["with a true site"] > 0.99


def found_empty(made: Any) -> dict[str, float]:
    """Return how many of the vacancies `find_columns` calls empty sites, by their kind."""
    columns = find_columns(made.image)
    empty = np.asarray(columns.points)[~np.asarray(columns.occupied)]
    away = cKDTree(empty).query(made.points)[0]
    _, real = matched(empty, made, 4.0)
    shares = {
        name: float((away[made.labels == kind] < 4).mean()) for kind, name in enumerate(made.names) if kind
    }
    return {**shares, "false": float((~real).sum())}


@pytest.mark.quick
def test_tunnelling(seeds: range) -> None:
    """Vacancies of a triangular lattice: isolated, in threes, in chains; each kind a cluster of vacancies?

    The layouts get the patches at all true vacancies, so that they do not depend on how these are found.
    """
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in seeds[:5]:
            made = simulate.stm_lattice(
                (1024, 1024), isolated=80, clusters=40, chains=50, gaussian=0.15, seed=seed, angle=5.0 * seed
            )
            vacant = made.labels > 0
            size = round(1.8 * estimate_patch_size(made.image).pixels)
            patches, inside = extract_patches(made.image, made.points[vacant], size)
            x, truth = rotation_invariants(zernike_moments(patches)), made.labels[vacant][inside]
            rows.append({**by_layouts(x, truth, truth == 1, seed), "found empty": found_empty(made)})
    record("defects tunnelling", {"seeds": len(rows), "methods": means(rows)})
    empty = means(rows)["found empty"]
    assert empty.pop("false") <= 0.05 * vacant.sum()
    assert min(empty.values()) >= 0.95, empty


REAL = {
    "MoSe2_40keV": ("image.npy", "Fig. S23, vacancies at 40 kV"),
    "MoSe2_bilayer_2H3R": ("image.tif", "Fig. S25, a 2H/3R boundary"),
    "TiWSe2": ("adf2.dm4", "vacancies and dopants in WSe2"),
    "MoS2_V_doped": ("image.npy", "dopants in MoS2"),
}


def test_defects_of_real_micrographs(data_folder: Path) -> None:
    """The same on real images: nothing is known to be true of them but what their sizes say."""
    figures: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (file, shows) in REAL.items():
            try:
                found = analyze(read(data_folder / name / file))
            except StageError as error:
                figures[name] = {"shows": shows, "failed": str(error)}
                continue
            x = np.asarray(found.moments)
            figures[name] = {
                "shows": shows,
                "columns": len(found.points),
                "motifs": np.bincount(found.motifs.labels[found.motifs.labels >= 0]).tolist(),
                "environments": int(found.motifs.environments.max()) + 1,
                "clusters of the layout": {
                    method: int(HDBSCAN(SMALLEST, copy=True).fit_predict(LAYOUTS[method](x, 0)).max()) + 1
                    for method in METHODS
                },
            }
    record("defects_of_real_micrographs", figures)
    assert all("failed" not in row for row in figures.values())
