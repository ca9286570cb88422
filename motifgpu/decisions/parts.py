"""Into which parts a motif is divided.

Everything here runs on the host, on the columns of one motif.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import take_rows, to_numpy
from motifgpu.decisions.decision import STAGE
from motifgpu.motifs.intensity_classes import by_column
from motifgpu.motifs.layout_clusters import layout_regions
from motifgpu.motifs.numbering import numbered
from motifgpu.motifs.sublattices import Sublattices

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_FEWEST = 3  # columns of a part that is found; fewer stay with the largest


def divide(analysis: Analysis, motif: int, by: str, parts: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Divide the k columns of a motif.

    Parameters
    ----------
    analysis : Analysis
    motif : int
    by : {"intensity", "environment", "domain", "layout"}
    parts : int or None
        How many by intensity, 2 where it is None, and by layout, where its regions count when it is None.

    Returns
    -------
    part : (k,) int ndarray
        The largest is 0.
    confidence : (k,) float64 ndarray
        Probability of the part, 1 where it is not measured.

    Raises
    ------
    StageError
        If there are not as many parts.
    """
    member = analysis.motifs.labels == motif
    number = int(to_numpy(member).sum())
    confidence = np.ones(number)
    if by == "intensity":
        moments = take_rows(analysis.moments, member)
        one = np.zeros(number, np.int64)
        try:
            found = by_column(Sublattices(moments, analysis.parameters["order"], 1, one), parts or 2)
        except StageError as error:  # their intensities have fewer classes
            raise _in_one(motif, number, f"{parts or 2} parts", by) from error
        part, confidence = found.labels, found.confidence
    elif by == "layout":
        layout = to_numpy(take_rows(analysis.layout, member))
        part = layout_regions(layout, "kmeans" if parts else "regions", parts)
    else:
        values = analysis.motifs.environments if by == "environment" else analysis.motifs.domains
        part = to_numpy(take_rows(values, member))
        part = part - part.min()  # columns of none, or at boundaries, are a part too
    part = np.maximum(numbered(part, _FEWEST), 0)
    if not part.any():
        raise _in_one(motif, number, "two parts", by)
    return part, confidence


def _in_one(motif: int, number: int, parts: str, by: str) -> StageError:
    return StageError(
        STAGE,
        f"the {number:,} columns of motif {motif} do not make {parts} by {by}",
        "divide it by something else, or say which columns",
    )
