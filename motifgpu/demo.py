"""The demonstration: a simulated micrograph, its analysis, and the one held against the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu import simulate
from motifgpu.columns.matching import score_detection
from motifgpu.core.namespace import to_numpy
from motifgpu.io.micrograph import Micrograph

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

COUNTS = 30.0  # at the peak of the brightest column
_SEED = 7


def simulated(
    progress: Callable[[str, float], None] | None = None,
) -> tuple[simulate.MonolayerSimulation, Analysis]:
    """Simulate a defective MoSe2 monolayer at a usual dose and analyse it.

    Parameters
    ----------
    progress : callable, optional
        Called with what is being done and the fraction done.

    Returns
    -------
    truth : MonolayerSimulation
    analysis : Analysis
    """
    from motifgpu.pipeline import analyze

    truth = simulate.monolayer(
        "MoSe2",
        counts=COUNTS,
        angle=11.0,
        vacancies=0.05,
        divacancies=0.015,
        dopants={"W": 0.03},
        seed=_SEED,
    )
    micrograph = Micrograph(truth.image, truth.pixel_size_nm, "simulated MoSe2 monolayer", "Simulated MoSe2")
    return truth, analyze(micrograph, seed=0, progress=progress)


def compare(analysis: Analysis, truth: simulate.MonolayerSimulation) -> dict[str, Any]:
    """Hold an analysis against the truth of its simulation.

    Parameters
    ----------
    analysis : Analysis
    truth : MonolayerSimulation

    Returns
    -------
    dict
        What was found compared with what is true, ready for JSON; each motif is an entry of ``"motifs"``,
        with the kind of column that most of it is.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    spacing = float(np.linalg.norm(truth.u)) / np.sqrt(3)
    found = to_numpy(analysis.columns.points)
    occupied, empty = to_numpy(analysis.columns.occupied), to_numpy(analysis.columns.empty)

    def inner(points: np.ndarray, chosen: np.ndarray) -> int:
        """Count away from the border, where columns are cut."""
        limit = np.array(truth.image.shape) - 1 - spacing / 2
        return int((((points >= spacing / 2) & (points <= limit)).all(1) & chosen).sum())

    detection = score_detection(
        found, truth.points, truth.occupied, truth.image.shape, radius=spacing / 3, margin=spacing / 2
    )
    site_of = np.full(len(found), -1)
    site_of[detection.match.found] = detection.match.reference
    site = site_of[to_numpy(analysis.mask)]
    labels = to_numpy(analysis.motifs.labels)[site >= 0]
    environments = to_numpy(analysis.motifs.environments)[site >= 0]
    whole = environments >= 0  # a cut patch does not show all neighbours
    site = site[site >= 0]
    identity = truth.labels[site]

    rows = []
    for label, count in enumerate(to_numpy(analysis.motifs.counts).tolist()):
        true = np.bincount(identity[labels == label], minlength=len(truth.names))
        best = int(true.argmax())
        rows.append(
            {
                "motif": label,
                "columns": int(count),
                "truth": truth.names[best],
                "true_columns": int((identity == best).sum()),
                "agree": float(true[best] / max(true.sum(), 1)),
                "recall": float(true[best] / max((identity == best).sum(), 1)),
            }
        )
    return {
        "columns": inner(found, occupied),
        "true_columns": inner(truth.points, truth.occupied),
        "empty_sites": inner(found, empty),
        "true_empty_sites": inner(truth.points, ~truth.occupied),
        "precision": detection.precision,
        "recall": detection.recall,
        "position_error_px": detection.rms,
        "identity_ami": float(adjusted_mutual_info_score(identity, labels)),
        "environment_ami": float(
            adjusted_mutual_info_score(truth.environments[site][whole], environments[whole])
        ),
        "true_counts": {
            name: int(count)
            for name, count in zip(
                truth.names, np.bincount(identity, minlength=len(truth.names)), strict=True
            )
        },
        "motifs": rows,
        "seconds": float(sum(analysis.timings.values())),
    }
