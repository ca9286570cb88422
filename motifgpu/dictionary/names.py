"""Names that motifs have in analyses, taken over into a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from motifgpu.core.namespace import to_numpy
from motifgpu.dictionary.chapter import Chapter
from motifgpu.motifs.numbering import names_by_label

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_MAJORITY = 0.5  # share of a motif's columns above which a name is the motif's


class Called(NamedTuple):
    """What columns of several micrographs are called by a person.

    Attributes
    ----------
    names : tuple of str
    of_column : list of (n_i,) int ndarray
        Place of the name of each column of each micrograph, -1 for none; -2 in micrographs where nothing has
        a name, which say nothing.
    """

    names: tuple[str, ...]
    of_column: list[np.ndarray]


def names_of(analyses: Sequence[Analysis]) -> Called | None:
    """Return what the columns with whole patches are called; None where no motif has a name."""
    known = dict.fromkeys(name for analysis in analyses for name in analysis.motifs.names if name)
    if not known:
        return None
    place = {name: k for k, name in enumerate(known)}
    of_column = []
    for analysis in analyses:
        names = names_by_label(analysis.motifs.names, len(analysis.motifs.counts))
        named = [place.get(name, -1) if any(names) else -2 for name in names]
        of_column.append(np.array(named)[to_numpy(analysis.motifs.labels)[to_numpy(analysis.whole)]])
    return Called(tuple(known), of_column)


def majority(labels: np.ndarray, called: np.ndarray, motifs: int) -> list[int]:
    """Return which name most columns of each motif have, -1 where none is that of more than half."""
    found = []
    for motif in range(motifs):
        own = called[(labels == motif) & (called > -2)]
        counts = np.bincount(own[own >= 0], minlength=1)
        best = int(counts.argmax())
        found.append(best if counts[best] > _MAJORITY * len(own) else -1)
    return found


def taken_over(
    chapter: Chapter, labels: np.ndarray, called: np.ndarray, names: Sequence[str]
) -> tuple[Chapter, np.ndarray, tuple[str, ...], list[str]]:
    """Call the motifs of a chapter what a person calls most of their columns; those of one name become one.

    Parameters
    ----------
    chapter : Chapter
        The first of a dictionary.
    labels : (n,) int ndarray
        Motif of each column in the chapter, -1 for none.
    called : (n,) int ndarray
        Place in `names` of what a person calls it, -1 and -2 as in `Called`.
    names : sequence of str

    Returns
    -------
    chapter : Chapter
    labels : (n,) int ndarray
        In the numbers that its motifs have now, the largest is 0.
    names : tuple of str
        Empty for motifs that have none.
    lost : list of str
        Names that no motif of the chapter has: it finds no motif there.
    """
    found = majority(labels, called, chapter.motifs)
    group = [f"{name}" if name >= 0 else f"own {motif}" for motif, name in enumerate(found)]
    one = np.array([group.index(key) for key in group])
    counts = np.bincount(one[labels[labels >= 0]], minlength=len(one))
    kept = np.unique(one)
    order = kept[np.lexsort((kept, -counts[kept]))]
    number = np.full(len(one) + 1, -1)  # and -1 remains -1
    number[:-1] = np.argsort(order)[np.searchsorted(np.sort(order), one)]
    model = replace(
        chapter.model, components=tuple(number[components] for components in chapter.model.components)
    )
    new = tuple(names[found[k]] if found[k] >= 0 else "" for k in order.tolist())
    lost = [name for name in dict.fromkeys(names) if name not in new]
    return replace(chapter, model=model), number[labels], new, lost
