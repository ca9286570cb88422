"""Carrying out a decision on an analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.decisions.columns import with_columns, without_columns
from motifgpu.decisions.decision import DIVIDERS, STAGE, Decision, checked_name
from motifgpu.decisions.doubt import shared_doubt
from motifgpu.decisions.following import with_labels
from motifgpu.decisions.parts import divide
from motifgpu.decisions.places import chosen_places, find_rows, on_data, said_missing, typical_place
from motifgpu.motifs.numbering import NUMBERED

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


def rename(analysis: Analysis, names: Mapping[int, str]) -> Analysis:
    """Name motifs; see `motifgpu.Analysis.rename`."""
    motifs = tuple(check_integer(motif, STAGE, "the number of a motif", 0) for motif in names)
    if not motifs:
        raise StageError(STAGE, "there are 0 names", "give one at least")
    called = tuple(checked_name(name) for name in names.values())
    return carry_out(analysis, Decision("rename", motifs, _at(analysis, motifs), names=called))


def merge(analysis: Analysis, motifs: Sequence[int], name: str | None) -> Analysis:
    """Make several motifs one; see `motifgpu.Analysis.merge`."""
    chosen = tuple(dict.fromkeys(check_integer(k, STAGE, "the number of a motif", 0) for k in motifs))
    if len(chosen) < 2:
        raise StageError(STAGE, f"motifs {list(motifs)} are to be merged", "give two different ones at least")
    called = () if name is None else (checked_name(name),)
    return carry_out(analysis, Decision("merge", chosen, _at(analysis, chosen), names=called))


def split(analysis: Analysis, motif: int, by: Any, parts: int | None, names: Sequence[str]) -> Analysis:
    """Divide a motif; see `motifgpu.Analysis.split`."""
    motif = check_integer(motif, STAGE, "the number of a motif", 0)
    if parts is not None:
        parts = check_integer(parts, STAGE, "parts", 2)
    called = tuple(checked_name(name) for name in names)
    at = _at(analysis, (motif,))
    if isinstance(by, str):
        if by not in DIVIDERS or by == "columns":
            raise StageError(
                STAGE, f"by is {by!r}", f"choose one of {', '.join(DIVIDERS[:-1])}, or give columns"
            )
        return carry_out(analysis, Decision("split", (motif,), at, (), called, by, parts))
    columns = chosen_places(analysis, by)
    return carry_out(analysis, Decision("split", (motif,), at, columns, called, "columns"))


def assign(analysis: Analysis, columns: Any, to: str | int | None) -> Analysis:
    """Give columns another motif; see `motifgpu.Analysis.assign`."""
    places = chosen_places(analysis, columns)
    if to is None:
        return carry_out(analysis, Decision("assign", columns=places))
    if isinstance(to, str):
        return carry_out(analysis, Decision("assign", columns=places, names=(checked_name(to),)))
    motif = check_integer(to, STAGE, "the number of a motif", 0)
    return carry_out(analysis, Decision("assign", (motif,), _at(analysis, (motif,)), places))


def add_columns(analysis: Analysis, points: Any) -> Analysis:
    """Add columns that were not found; see `motifgpu.Analysis.add_columns`."""
    given = np.asarray(to_numpy(points) if hasattr(points, "shape") else points, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != 2:
        raise StageError(STAGE, f"points have shape {given.shape}", "give (row, col) for each, shape (k, 2)")
    return carry_out(analysis, Decision("add", columns=chosen_places(analysis, given)))


def remove_columns(analysis: Analysis, columns: Any) -> Analysis:
    """Take away columns that are none; see `motifgpu.Analysis.remove_columns`."""
    return carry_out(analysis, Decision("remove", columns=chosen_places(analysis, columns)))


def carry_out(analysis: Analysis, decision: Decision) -> Analysis:
    """Return an analysis after a decision, which stands at the end of its history.

    Parameters
    ----------
    analysis : Analysis
    decision : Decision
        Its motifs have the numbers of this analysis.

    Returns
    -------
    Analysis
        What of the columns did not fit is said in the `misfit` of the decision in the history.

    Raises
    ------
    StageError
        If nothing of it fits.
    """
    with threadpool_limits(limits=1, user_api="blas"):  # as in `analyze`, to the bit
        changed, misfit = _EDITS[decision.do](analysis, decision)
    return replace(changed, decisions=(*analysis.decisions, replace(decision, misfit=misfit)))


def _at(analysis: Analysis, motifs: Sequence[int]) -> Any:
    return tuple(typical_place(analysis, motif) for motif in motifs)


def _renamed(analysis: Analysis, decision: Decision) -> tuple[Analysis, str]:
    names = dict(zip(decision.motifs, decision.names, strict=True))
    for motif in names:
        typical_place(analysis, motif)
    motifs = replace(analysis.motifs, names=_names(analysis, names))
    return replace(analysis, motifs=motifs), ""


def _names(analysis: Analysis, new: Mapping[int, str], labels: np.ndarray | None = None) -> tuple[str, ...]:
    """Return the names of motifs, some of them new; each is that of one motif alone.

    Raises
    ------
    StageError
        If two motifs with columns would have one name.
    """
    labels = to_numpy(analysis.motifs.labels) if labels is None else labels
    names = list(analysis.motifs.names)
    for motif, name in new.items():
        if NUMBERED.fullmatch(name) and name != f"motif {motif}":
            raise StageError(STAGE, f"motif {motif} is to be called {name}", "choose a name, not a number")
    names += [""] * (max(new, default=-1) + 1 - len(names))
    for motif, name in new.items():
        names[motif] = name
    for motif in np.unique(labels[labels >= 0]).tolist():
        name = analysis.motifs.name(motif) if motif >= len(names) else names[motif] or f"motif {motif}"
        for changed, called in new.items():
            if motif != changed and name == called:
                raise StageError(
                    STAGE,
                    f"motif {motif} is called {called} already",
                    "choose another name, or merge the two",
                )
    return tuple(names)


def _following(analysis: Analysis) -> int:
    """Return the number of the next new motif, which is that of no motif, nor of one of the dictionary."""
    return max(len(to_numpy(analysis.motifs.counts)), len(analysis.motifs.names))


def _merged(analysis: Analysis, decision: Decision) -> tuple[Analysis, str]:
    target, *others = dict.fromkeys(decision.motifs)
    for motif in decision.motifs:
        typical_place(analysis, motif)
    labels = to_numpy(analysis.motifs.labels)
    called = [analysis.motifs.names[k] for k in decision.motifs if k < len(analysis.motifs.names)]
    name = next(filter(None, [*decision.names, *called]), "")
    if not others:  # they are one already
        return _renamed(analysis, replace(decision, names=(name,))) if name else (analysis, "")
    rows = np.flatnonzero(np.isin(labels, decision.motifs))
    # Doubt whether a column is one of the merged motifs or another of them is no doubt any more.
    share = shared_doubt(to_numpy(analysis.moments), labels, rows)[:, list(decision.motifs)].sum(axis=1)
    confidence = to_numpy(analysis.motifs.confidence).astype(np.float64)
    confidence[rows] += (1.0 - confidence[rows]) * share
    merged = labels.copy()
    merged[rows] = target
    new = dict.fromkeys(others, "") | ({target: name} if name else {})
    names = _names(analysis, new, merged)
    identities = _identities(analysis, rows, target)
    return with_labels(analysis, merged, names, identities=identities, confidence=confidence), ""


def _identities(analysis: Analysis, rows: np.ndarray, motif: int) -> np.ndarray:
    """Return the identities of all columns after some came to a motif: its own, where it has one alone."""
    identities = to_numpy(analysis.motifs.identities).copy()
    own = np.unique(identities[to_numpy(analysis.motifs.labels) == motif])
    if own.size == 1:
        identities[rows] = own[0]
    return identities


def _split(analysis: Analysis, decision: Decision) -> tuple[Analysis, str]:
    [motif] = decision.motifs
    typical_place(analysis, motif)
    labels = to_numpy(analysis.motifs.labels).copy()
    rows = np.flatnonzero(labels == motif)
    confidence = to_numpy(analysis.motifs.confidence).astype(np.float64)
    identities = to_numpy(analysis.motifs.identities).copy()
    misfit = ""
    if decision.by == "columns":
        found = find_rows(analysis.points, decision.columns)
        found[(found >= 0) & (labels[found] != motif)] = -1
        misfit = said_missing(decision.columns, found, f"are not there or not of motif {motif}")
        part = np.isin(rows, found).astype(np.int64)
        if not part.any() or part.all():
            problem = f"all {len(rows):,} columns of motif {motif} are chosen" if part.any() else misfit
            raise StageError(STAGE, problem, "choose some of the motif's columns")
        confidence[rows[part > 0]] = 1.0
    else:
        part, sure = divide(analysis, motif, decision.by, decision.parts)
        confidence[rows] *= sure
    first = _following(analysis)
    labels[rows] = np.where(part > 0, first - 1 + part, motif)
    if decision.by != "domain":  # which is where a column is, not what stands there
        following = int(identities.max(initial=-1)) + 1
        identities[rows] = np.where(part > 0, following - 1 + part, identities[rows])
    names = _names(
        analysis, dict(zip(range(first, int(labels.max()) + 1), decision.names, strict=False)), labels
    )
    return with_labels(analysis, labels, names, identities=identities, confidence=confidence), misfit


def _assigned(analysis: Analysis, decision: Decision) -> tuple[Analysis, str]:
    motifs, labels = analysis.motifs, to_numpy(analysis.motifs.labels).copy()
    found = find_rows(analysis.points, decision.columns)
    misfit = said_missing(decision.columns, found, "are not there")
    rows = np.unique(found[found >= 0])
    if not rows.size:
        raise StageError(STAGE, misfit, "choose columns that have a patch")
    names = motifs.names
    identities = to_numpy(motifs.identities).copy()
    if not decision.motifs and not decision.names:
        target = identities[rows] = -1
    else:
        for motif in decision.motifs:
            typical_place(analysis, motif)
        number = _following(analysis)
        there = [k for k in range(number) if decision.names and motifs.name(k) == decision.names[0]]
        there.sort(key=lambda k: not (labels == k).any())  # one without columns may have had the name before
        target = decision.motifs[0] if decision.motifs else there[0] if there else number
        if target < number:
            identities = _identities(analysis, rows, target)
        else:
            identities[rows] = int(identities.max(initial=-1)) + 1
            names = _names(analysis, {target: decision.names[0]})
    labels[rows] = target
    confidence = to_numpy(motifs.confidence).astype(np.float64)
    confidence[rows] = 1.0
    return with_labels(analysis, labels, names, identities=identities, confidence=confidence), misfit


def _added(analysis: Analysis, decision: Decision) -> tuple[Analysis, str]:
    free = find_rows(analysis.columns.points, decision.columns) < 0
    seen = on_data(analysis, decision.columns)
    misfits = [
        said_missing(decision.columns, np.where(fine, 0, -1), text)
        for fine, text in ((free, "are there already"), (seen, "are outside the image or on no data"))
    ]
    misfit = "; ".join(filter(None, misfits))
    if not (free & seen).any():
        raise StageError(STAGE, misfit, "add columns that lack, on data")
    return with_columns(analysis, np.asarray(decision.columns)[free & seen]), misfit


def _removed(analysis: Analysis, decision: Decision) -> tuple[Analysis, str]:
    found = find_rows(analysis.columns.points, decision.columns)
    misfit = said_missing(decision.columns, found, "are not there")
    rows = np.unique(found[found >= 0])
    if not rows.size:
        raise StageError(STAGE, misfit, "choose columns that are there")
    return without_columns(analysis, rows), misfit


_EDITS = {
    "rename": _renamed,
    "merge": _merged,
    "split": _split,
    "assign": _assigned,
    "add": _added,
    "remove": _removed,
}
