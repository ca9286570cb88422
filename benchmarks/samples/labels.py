"""Scores of labels of one sample against identity, domain and boundary."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from sklearn.metrics import adjusted_mutual_info_score

from benchmarks.samples.columns import calibration, depth
from motifgpu import Analysis, find_motifs, match_points
from motifgpu.simulate import SampleSimulation

_ADJACENT = 2.2  # nearest distances from a boundary column: such a column may be called either
_FEWEST = 20  # columns at a border that are worth a score
_FOUND = 0.5  # of the columns; where fewer are found, their labels are worth nothing


def agreement(truth: np.ndarray, labels: np.ndarray) -> float:
    """Return the adjusted mutual information; of one true class the share of its largest label.

    With one true class the mutual information says nothing: it is 0 if a single column differs.
    """
    if len(truth) == 0:
        return float("nan")
    if len(np.unique(truth)) == 1:
        return float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    return float(adjusted_mutual_info_score(truth, labels))


def best_f1(true: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return F1 of the label that fits best, and of all labels together that are mostly right."""
    if not true.any():
        return float("nan"), float("nan")
    single, union = 0.0, np.zeros(len(true), bool)
    for label in np.unique(labels[labels >= 0]):
        own = labels == label
        single = max(single, _f1(true, own))
        if true[own].mean() > 0.5:
            union |= own
    return single, _f1(true, union)


def _f1(true: np.ndarray, called: np.ndarray) -> float:
    return float(2 * (true & called).sum() / max(true.sum() + called.sum(), 1))


class Matched:
    """Columns of an analysis that are sites of the truth.

    Attributes
    ----------
    row : (p,) ndarray
        Row among the points of the analysis that have labels, -1 where the column has none.
    site : (p,) ndarray
        Row among the sites of the truth.
    """

    def __init__(self, truth: SampleSimulation, analysis: Analysis) -> None:
        match = match_points(analysis.columns.points, truth.points, truth.spacing_px / 3)
        mask = np.asarray(analysis.mask)
        self.row = np.where(mask, np.cumsum(mask) - 1, -1)[match.found]
        self.site = match.reference
        self.truth = truth
        half = analysis.patch_size.pixels / 2
        place = truth.points[self.site]
        self.whole = depth(truth, place) > half  # the patch is
        self.boundary = truth.boundary[self.site]
        clear = np.ones(len(place), bool)
        if truth.boundary.any():
            away = cKDTree(truth.points[truth.boundary]).query(place)[0]
            clear = (away > _ADJACENT * truth.spacing_px) | self.boundary
        self.clear = clear

    def of(self, values: Any) -> np.ndarray:
        """Return the values of the columns, -1 where there is none."""
        values = np.asarray(values)
        return np.where(self.row >= 0, values[np.maximum(self.row, 0)], -1)

    def scores(self, labels: np.ndarray) -> dict[str, float]:
        """Return the scores of labels (p,)."""
        identity = self.truth.labels[self.site].astype(np.int64)
        domain = self.truth.domain[self.site]
        joint = identity * (len(self.truth.domain_names) + 1) + domain
        bulk = self.whole & self.clear & ~self.boundary
        single, union = best_f1(self.boundary[self.whole & self.clear], labels[self.whole & self.clear])
        return {
            "ami": agreement(joint[bulk], labels[bulk]),
            "ami_identity": agreement(identity[bulk], labels[bulk]),
            "boundary_f1": single,
            "boundary_f1_of_several": union,
            "labels": len(np.unique(labels[bulk])),
            "classes": len(np.unique(joint[bulk])),
        }


def scores(truth: SampleSimulation, analysis: Analysis) -> dict[str, Any]:
    """Return the scores of an analysis, and of its layout clustered by HDBSCAN."""
    pairs, motifs = Matched(truth, analysis), analysis.motifs
    if len(pairs.site) < _FOUND * len(truth.points):
        return {"ami": 0.0, "ami_identity": 0.0, "hdbscan_ami": 0.0, "boundary_f1": 0.0}
    labels = pairs.of(motifs.labels)
    result: dict[str, Any] = pairs.scores(labels)
    for name in ("identities", "domains", "environments"):
        if hasattr(motifs, name):
            result[f"ami_of_{name}"] = pairs.scores(pairs.of(getattr(motifs, name)))
    layout = find_motifs(analysis.moments, analysis.layout, method="hdbscan").labels
    result |= {f"hdbscan_{name}": value for name, value in pairs.scores(pairs.of(layout)).items()}

    identity = truth.labels[pairs.site].astype(np.int64)
    joint = identity * (len(truth.domain_names) + 1) + truth.domain[pairs.site]
    border = ~pairs.whole & ~pairs.boundary & pairs.clear
    if border.sum() >= _FEWEST:
        result["ami_border"] = agreement(joint[border], labels[border])
    sure = (labels >= 0) & pairs.whole
    right = np.zeros(len(labels), bool)
    for label in np.unique(labels[sure]):
        own = sure & (labels == label)
        right[own] = identity[own] == np.bincount(identity[own]).argmax()
    result["calibration"] = calibration(pairs.of(motifs.confidence)[sure], right[sure])
    return result
