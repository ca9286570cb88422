"""Scores of labels of one sample against identity, domain and boundary."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from sklearn.metrics import adjusted_mutual_info_score

from benchmarks.samples.columns import calibration, depth
from benchmarks.samples.limits import Limits, told_labels
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
    identity, domain, joint : (p,) ndarray
        What stands there, where, and both.
    boundary, whole, clear, bulk : (p,) bool ndarray
        Columns of the boundary; those whose patch is whole; those that are not next to the boundary, or of
        it; and those of the domains, with a whole patch.
    """

    def __init__(self, truth: SampleSimulation, analysis: Analysis) -> None:
        match = match_points(analysis.columns.points, truth.points, truth.spacing_px / 3)
        mask = np.asarray(analysis.mask)
        self.row = np.where(mask, np.cumsum(mask) - 1, -1)[match.found]
        self.site = match.reference
        half = analysis.patch_size.pixels / 2
        place = truth.points[self.site]
        self.whole = depth(truth, place) > half  # the patch is
        self.boundary = truth.boundary[self.site]
        clear = np.ones(len(place), bool)
        if truth.boundary.any():
            away = cKDTree(truth.points[truth.boundary]).query(place)[0]
            clear = (away > _ADJACENT * truth.spacing_px) | self.boundary
        self.clear = clear
        self.bulk = self.whole & clear & ~self.boundary
        self.identity = truth.labels[self.site].astype(np.int64)
        self.domain = truth.domain[self.site].astype(np.int64)
        self.joint = self.identity * (len(truth.domain_names) + 1) + self.domain + 1

    def of(self, values: Any) -> np.ndarray:
        """Return the values of the columns, -1 where there is none."""
        values = np.asarray(values)
        return np.where(self.row >= 0, values[np.maximum(self.row, 0)], -1)

    def scores(self, labels: np.ndarray) -> dict[str, float]:
        """Return the scores of labels (p,)."""
        known = self.whole & self.clear
        single, union = best_f1(self.boundary[known], labels[known])
        return {
            "ami": agreement(self.joint[self.bulk], labels[self.bulk]),
            "ami_identity": agreement(self.identity[self.bulk], labels[self.bulk]),
            "boundary_f1": single,
            "boundary_f1_of_several": union,
            "labels": len(np.unique(labels[self.bulk])),
            "classes": len(np.unique(self.joint[self.bulk])),
        }

    def calibration(self, truth: np.ndarray, labels: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """Return the bins of confidence; right is what most columns of a label are."""
        sure = self.bulk & (labels >= 0)
        right = np.zeros(len(labels), bool)
        for label in np.unique(labels[sure]):
            own = sure & (labels == label)
            right[own] = truth[own] == np.bincount(truth[own]).argmax()
        return calibration(confidence[sure], right[sure])


def scores(truth: SampleSimulation, analysis: Analysis, least: Limits) -> dict[str, Any]:
    """Return the scores of an analysis, and of its layout clustered by HDBSCAN."""
    pairs = Matched(truth, analysis)
    motifs: Any = analysis.motifs
    if len(pairs.site) < _FOUND * len(truth.points):
        return {"ami": 0.0, "ami_identity": 0.0, "hdbscan_ami": 0.0, "boundary_f1": 0.0}
    labels, confidence = pairs.of(motifs.labels), pairs.of(motifs.confidence)
    result: dict[str, Any] = pairs.scores(labels)
    told = told_labels(truth, least)[pairs.site] * (len(truth.domain_names) + 1) + pairs.domain + 1
    result["oracle_ami"] = agreement(pairs.joint[pairs.bulk], told[pairs.bulk])
    layout = find_motifs(analysis.moments, analysis.layout, method="hdbscan").labels
    result |= {f"hdbscan_{name}": value for name, value in pairs.scores(pairs.of(layout)).items()}
    lacking = np.array([name.startswith("V_") for name in truth.names])[pairs.identity]
    lacking &= truth.occupied[pairs.site]
    single, union = best_f1(lacking[pairs.whole], labels[pairs.whole])
    result |= {"vacancy_f1": single, "vacancy_f1_of_several": union}
    result["calibration"] = pairs.calibration(pairs.joint, labels, confidence)
    if hasattr(motifs, "domains"):
        identities, domains = pairs.of(motifs.identities), pairs.of(motifs.domains)
        known = pairs.whole & pairs.clear
        result |= {
            "ami_of_identities": agreement(pairs.identity[pairs.bulk], identities[pairs.bulk]),
            "ami_of_domains": agreement(pairs.domain[pairs.bulk], domains[pairs.bulk]),
            "calibration_identities": pairs.calibration(
                pairs.identity, identities, pairs.of(motifs.identity_confidence)
            ),
            "boundary_f1_called": _f1(pairs.boundary[known], (domains == -1)[known])
            if pairs.boundary[known].any()
            else float("nan"),
        }
    else:
        result["calibration_identities"] = pairs.calibration(pairs.identity, labels, confidence)
    border = ~pairs.whole & ~pairs.boundary & pairs.clear
    if border.sum() >= _FEWEST:
        result["ami_border"] = agreement(pairs.joint[border], labels[border])
    return result
