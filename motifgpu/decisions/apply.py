"""A list of decisions, carried out on an analysis as far as they fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.decisions.decision import STAGE, Decision
from motifgpu.decisions.edit import carry_out
from motifgpu.decisions.places import find_rows, said_missing

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


def apply(analysis: Analysis, decisions: Iterable[Decision]) -> Analysis:
    """Carry out decisions in their order; see `motifgpu.Analysis.apply`."""
    known = list(analysis.decisions)
    for decision in decisions:
        before = next((one for one in known if decision.is_same(one)), None)
        if before is not None:  # each in the history stands for one of the list
            known.remove(before)
            continue
        try:
            analysis = carry_out(analysis, _fitted(analysis, decision))
        except StageError as error:
            history = (*analysis.decisions, replace(decision, misfit=error.problem))
            analysis = replace(analysis, decisions=history)
    return analysis


def _fitted(analysis: Analysis, decision: Decision) -> Decision:
    """Return a decision about motifs by the numbers that they have in this analysis.

    Raises
    ------
    StageError
        If the columns that say which motif is meant are gone or have none.
    """
    if not decision.at:
        return decision
    rows = find_rows(analysis.points, decision.at)
    missing = said_missing(decision.at, rows, "that say which motif is meant are not there")
    if missing:
        raise StageError(STAGE, missing, "make the decision again on this analysis")
    motifs = to_numpy(analysis.motifs.labels)[rows]
    if (motifs < 0).any():
        row, col = decision.at[int(np.argmax(motifs < 0))]
        raise StageError(
            STAGE, f"the column at ({row:.2f}, {col:.2f}) has no motif", "make the decision again"
        )
    found = dict(zip(motifs.tolist(), decision.names, strict=False)) if decision.do == "rename" else None
    if found is not None:
        if len(found) < len(decision.names):
            raise StageError(STAGE, "two of its motifs are one here", "make the decision again")
        return replace(decision, motifs=tuple(found))
    return replace(decision, motifs=tuple(dict.fromkeys(motifs.tolist())))
