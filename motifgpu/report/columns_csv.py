"""The columns of a micrograph as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.core.namespace import to_numpy
from motifgpu.core.text import as_text
from motifgpu.motifs.numbering import names_by_label

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

HEAD = (
    *("row_px", "col_px", "prominence", "occupied", "probability"),
    *("motif", "identity", "domain", "environment", "confidence", "layout_x", "layout_y", "whole", "name"),
)


def columns_csv(analysis: Analysis) -> str:
    """Return all columns of an analysis as CSV, a line for each, below a line of names.

    Parameters
    ----------
    analysis : Analysis

    Returns
    -------
    str
        Lines end in ``\\n``; the fields from ``motif`` on are empty where too little of a patch is seen, and
        ``name`` where a motif has none.
    """
    points, mask = to_numpy(analysis.columns.points), to_numpy(analysis.mask)
    prominence, occupied = to_numpy(analysis.columns.prominence), to_numpy(analysis.columns.occupied)
    probability = to_numpy(analysis.columns.probability)
    motifs = analysis.motifs
    partitions = motifs.labels, motifs.identities, motifs.domains, motifs.environments
    labels = np.stack([to_numpy(values) for values in partitions], axis=1)
    confidence, layout = to_numpy(motifs.confidence), to_numpy(analysis.layout)
    whole = to_numpy(analysis.whole)
    names = names_by_label(motifs.names, len(motifs.counts))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    at = 0
    for i, (row, col) in enumerate(points):
        line: list[Any] = [f"{row:.3f}", f"{col:.3f}", f"{prominence[i]:.6g}", int(occupied[i])]
        line.append(f"{probability[i]:.4f}")
        if mask[i]:
            x, y = layout[at]
            line += [*labels[at], f"{confidence[at]:.4f}", f"{x:.5f}", f"{y:.5f}", int(whole[at])]
            line.append(as_text(names[labels[at, 0]]))
            at += 1
        writer.writerow(line + [""] * (len(HEAD) - len(line)))
    return text.getvalue()
