"""Simulated columns, the dictionary learned from them, and what its labels are held against."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from sklearn.metrics import adjusted_mutual_info_score

from motifgpu import Analysis, simulate
from motifgpu.core.namespace import to_numpy
from motifgpu.dictionary import MotifDictionary
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import zernike_moments
from motifgpu.io.micrograph import Micrograph
from motifgpu.pipeline import analyze

# Position error of columns found at these counts, px.
ERROR = {1: 0.69, 3: 0.48, 10: 0.28, 30: 0.18, 100: 0.12}
DEFECTS: dict[str, Any] = {"vacancies": 0.05, "divacancies": 0.015, "dopants": {"W": 0.03}}
STRANGERS = {"W": 0.03, "Fe": 0.015, "Te": 0.015}
INTENSITY, PATTERN, OTHER_CRYSTAL = 1, 2, 3


def _nearest(truth: Any, inside: np.ndarray) -> list[str]:
    """Kinds of each column and its three nearest, by direction on the crystal."""
    tree = cKDTree(truth.points)
    nearest = tree.query(truth.points[inside], 4)[1]
    along = -np.degrees(np.arctan2(truth.u[0], truth.u[1]))
    result = []
    for own, *others in nearest:
        step = truth.points[others] - truth.points[own]
        angle = (-np.degrees(np.arctan2(step[:, 0], step[:, 1])) - along) % 360
        kinds = [truth.names[truth.labels[others[k]]] for k in np.argsort(angle)]
        result.append(" ".join([truth.names[truth.labels[own]], *kinds]))
    return result


class Columns:
    """Moments of the sites of a simulated micrograph whose patch fits, with what they are."""

    def __init__(self, counts: int, seed: int, shape: tuple[int, int], material: str, **options: Any) -> None:
        truth = simulate.monolayer(material, shape=shape, counts=counts, seed=seed, **{**DEFECTS, **options})
        error = np.random.default_rng(seed).normal(0, ERROR[counts], truth.points.shape).astype(np.float32)
        patches, inside = extract_patches(truth.image, truth.points + error, 38)
        self.moments = zernike_moments(patches)
        self.names = np.array(truth.names)[truth.labels[inside]]
        self.environments = _nearest(truth, inside)
        self.points, self.grain = truth.points[inside], truth.grain[inside]


@functools.lru_cache(maxsize=64)
def _columns(counts, seed, shape, material, options):
    settings = dict(options)
    if "dopants" in settings:
        settings["dopants"] = dict(settings["dopants"])
    return Columns(counts, seed, shape, material, **settings)


def columns(counts=10, seed=0, shape=(360, 360), material="MoSe2", **options):
    """Columns of a micrograph, made once."""
    if "dopants" in options:
        options["dopants"] = tuple(options["dopants"].items())
    return _columns(counts, seed, shape, material, tuple(sorted(options.items())))


@functools.lru_cache(maxsize=4)
def learned(counts=10, micrographs=2):
    parts = [columns(counts, seed).moments for seed in range(micrographs)]
    return MotifDictionary.learn_pooled(np.concatenate(parts), np.cumsum([0, *map(len, parts)]))


def agreement(a, b):
    return adjusted_mutual_info_score(to_numpy(a), to_numpy(b))


def called(names, dictionary=None):
    """Label that columns of each kind have in what was learned, -1 for other kinds."""
    known = columns(10, 0)
    labels = (dictionary or learned()).assign(known.moments).labels
    usual = {kind: np.bincount(labels[known.names == kind] + 1).argmax() - 1 for kind in set(known.names)}
    assert len(set(usual.values())) == 5
    return np.array([usual.get(kind, -1) for kind in names])


@functools.lru_cache(maxsize=1)
def analysed() -> list[Analysis]:
    """Two micrographs of one crystal at different magnification and angle."""

    def one(seed, **options):
        truth = simulate.monolayer(
            "MoSe2", shape=(320, 320), seed=seed, **{"counts": 10, **DEFECTS, **options}
        )
        return analyze(Micrograph.from_array(truth.image, truth.pixel_size_nm), structure=False)

    return [one(0), one(1, angle=11.0, lattice_constant=30.0)]


@functools.lru_cache(maxsize=1)
def learned_of_analyses() -> MotifDictionary:
    return MotifDictionary.learn(analysed())
