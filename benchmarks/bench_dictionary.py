"""Columns named by a dictionary: against the labels of the whole set, against truth, and how fast.

Columns are those that `find_columns` found, patches of the size that `estimate_patch_size` found. Seeds are
ones that nothing was tuned on. A set is eight micrographs of MoSe2 with vacancies, divacancies and W; a
dictionary is learned on the first four. Known columns are of these kinds, strangers are Fe, Cr and Te, of
which it never saw one; what is not found as a column counts nowhere.
"""

from __future__ import annotations

import resource
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score
from threadpoolctl import threadpool_limits

from benchmarks.results import record
from motifgpu import (
    MotifDictionary,
    estimate_patch_size,
    extract_patches,
    find_columns,
    find_motifs,
    match_points,
    simulate,
    zernike_moments,
)

DEFECTS: dict[str, Any] = {"vacancies": 0.05, "divacancies": 0.015, "dopants": {"W": 0.03}}
STRANGERS = {"W": 0.03, "Fe": 0.015, "Cr": 0.015, "Te": 0.015}
COUNTS = (1, 3, 10, 30, 100)
SEEDS = (100, 200, 300, 400)
A = 22.0


class Case(NamedTuple):
    """Moments of the columns found in a micrograph, and of those that are matched the kind and the grain."""

    moments: np.ndarray
    rows: np.ndarray
    kinds: np.ndarray
    boundary: np.ndarray


def simulated(counts: float, seed: int, **options: Any) -> Case:
    scale = options.get("lattice_constant", A)
    shape = (round(360 * scale / A),) * 2
    truth = simulate.monolayer(shape=shape, counts=counts, seed=seed, **{**DEFECTS, **options})
    columns = find_columns(truth.image)
    size = estimate_patch_size(truth.image).pixels
    patches, inside = extract_patches(truth.image, columns.points, round(size), side=size)
    points = columns.points[inside]
    match = match_points(points, truth.points, scale / np.sqrt(3) / 3)
    reference = truth.points[match.reference]
    grain = truth.grain[match.reference]
    distance = np.hypot(*(reference[:, None] - truth.points).T).T
    boundary = ((distance < 0.6 * size) & (truth.grain != grain[:, None])).any(axis=1)
    kinds = np.array(truth.names)[truth.labels[match.reference]]
    return Case(zernike_moments(patches), match.found, kinds, boundary)


def pooled(cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    limits = np.cumsum([0, *(len(case.moments) for case in cases)])
    return np.concatenate([case.moments for case in cases]), limits


def called(dictionary: MotifDictionary, cases: list[Case]) -> dict[str, int]:
    """Label that most columns of each kind have in what the dictionary was learned on."""
    labels = [dictionary.assign(case.moments).labels[case.rows] for case in cases]
    found, kinds = np.concatenate(labels), np.concatenate([case.kinds for case in cases])
    return {kind: int(np.bincount(found[kinds == kind] + 1).argmax()) - 1 for kind in np.unique(kinds)}


def summary(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        key: {"mean": round(statistics.mean(v), 4), "min": round(min(v), 4), "max": round(max(v), 4)}
        for key in runs[0]
        for v in [[run[key] for run in runs]]
    }


def ami(a: np.ndarray, b: np.ndarray) -> float:
    return float(adjusted_mutual_info_score(a, b))


@pytest.mark.parametrize("counts", COUNTS)
def test_dictionary(counts: int) -> None:
    runs: list[dict[str, float]] = []
    with threadpool_limits(1):
        for seed in SEEDS:
            cases = [simulated(counts, seed + i) for i in range(8)]
            moments, limits = pooled(cases)
            dictionary = MotifDictionary.learn_pooled(moments[: limits[4]], limits[:5])
            found = dictionary.assign(moments, limits)
            whole = MotifDictionary.learn_pooled(moments, limits).assign(moments, limits)
            rows = np.concatenate([case.rows + limits[i] for i, case in enumerate(cases)])
            kinds = np.concatenate([case.kinds for case in cases])
            strange = simulated(counts, seed + 50, dopants=STRANGERS)
            unseen = dictionary.assign(strange.moments).unseen[strange.rows]
            stranger = np.isin(strange.kinds, ["Fe", "Cr", "TeSe"])
            grains = simulated(counts, seed + 60, grains=(0.0, 25.0))
            beside = dictionary.assign(grains.moments).unseen[grains.rows]
            longer = dictionary.extended_pooled(strange.moments)
            runs.append(
                {
                    "motifs": float(len(dictionary.names)),
                    "half_and_whole": ami(whole.labels, found.labels),
                    "half_and_find_motifs": ami(find_motifs(moments).labels, found.labels),
                    "environments_half_and_whole": ami(whole.environments, found.environments),
                    "half_and_truth": ami(kinds, found.labels[rows]),
                    "known_lost": float(found.unseen[rows].mean()),
                    "strangers_unseen": float(unseen[stranger].mean()),
                    "known_lost_beside_strangers": float(unseen[~stranger].mean()),
                    "boundary_unseen": float(beside[grains.boundary].mean()),
                    "grains_lost": float(beside[~grains.boundary].mean()),
                    "motifs_extended": float(len(longer.names)),
                }
            )
    record(f"dictionary_{counts}", summary(runs))


OTHERS: dict[str, dict[str, Any]] = {
    "turned by 17 degrees": {"angle": 17.0},
    "turned by 60 degrees": {"angle": 60.0},
    "lattice constant 30 px": {"lattice_constant": 30.0},
    "a third of the dose": {"counts": 10 / 3},
    "ten times the dose": {"counts": 100},
    "background of 0.7 peaks": {"background": 0.7},
    "vacancies on 30 %": {"vacancies": 0.3},
    "perfect": {"vacancies": 0.0, "divacancies": 0.0, "dopants": {}},
    "drift of 6 px": {"drift": (6.0, 6.0)},
    "strain of 3 %": {"strain": ((0.03, 0.01), (-0.01, -0.02))},
    "scan noise of 0.5 px": {"scan": 0.5},
    "twins": {"grains": (0.0, 60.0)},
    "three grains": {"grains": (0.0, 17.0, 41.0)},
    "columns 20 % wider": {"sigma": 0.165},
    "WS2": {"material": "WS2", "dopants": {}},
}


def test_dictionary_on_other_micrographs() -> None:
    figures: dict[str, Any] = {}
    with threadpool_limits(1):
        for seed in SEEDS:
            cases = [simulated(10, seed + i) for i in range(4)]
            dictionary = MotifDictionary.learn_pooled(*pooled(cases))
            names = called(dictionary, cases)
            for name, options in OTHERS.items():
                case = simulated(**{"counts": 10, "seed": seed + 70, **options})
                found = dictionary.assign(case.moments)
                labels, unseen = found.labels[case.rows], found.unseen[case.rows]
                right = labels == np.array([names.get(kind, -2) for kind in case.kinds])
                inner = ~case.boundary
                figures.setdefault(name, []).append(
                    {
                        "right": float(right[inner].mean()),
                        "unseen": float(unseen[inner].mean()),
                        "wrong": float((~right & ~unseen)[inner].mean()),
                        "grains": float(len(found.alignments[0].turns)),
                    }
                )
    record("dictionary_on_other_micrographs", {name: summary(runs) for name, runs in figures.items()})


def peak() -> float:
    """Return the most memory that the process has held, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def test_dictionary_of_two_million_columns(tmp_path: Path) -> None:
    cases = [simulated(10, 900 + i) for i in range(8)]
    one, _ = pooled(cases)
    copies = -(-2_000_000 // len(one))
    shape = (copies * len(one), one.shape[1])
    limits = np.cumsum([0, *(len(case.moments) for case in cases * copies)])
    on_disk = np.lib.format.open_memmap(tmp_path / "moments.npy", "w+", np.float32, shape)
    noise = np.random.default_rng(0)
    for i in range(copies):  # noise of a tenth of what is there, so that no column comes twice
        part = slice(i * len(one), (i + 1) * len(one))
        on_disk[part] = one + noise.normal(0, 0.02, one.shape).astype(np.float32)
    on_disk.flush()
    del on_disk
    moments = np.load(tmp_path / "moments.npy", mmap_mode="r")
    figures: dict[str, Any] = {"columns": len(moments), "micrographs": len(limits) - 1}
    with threadpool_limits(1):
        before, begin = peak(), time.process_time()
        dictionary = MotifDictionary.learn_pooled(moments, limits)
        figures |= {
            "learn_cpu_s": round(time.process_time() - begin, 1),
            "columns_looked_at": dictionary.provenance["columns_looked_at"],
            "motifs": len(dictionary.names),
        }
        begin = time.process_time()
        unseen = []
        for first in range(0, len(limits) - 1, 100):  # as a run does: some micrographs at a time
            some = limits[first : first + 101]
            found = dictionary.assign(moments[some[0] : some[-1]], some - some[0])
            unseen.append(found.unseen)
        figures |= {
            "assign_cpu_s": round(time.process_time() - begin, 1),
            "unseen": round(float(np.concatenate(unseen).mean()), 5),
        }
        million = np.array(moments[:1_000_000])
        begin = time.process_time()
        dictionary.assign(million)
        figures |= {
            "assign_one_micrograph_of_a_million_cpu_s": round(time.process_time() - begin, 2),
            "memory_gb_before": round(before, 2),
            "memory_gb_peak": round(peak(), 2),
        }
    record("dictionary_of_two_million_columns", figures)
