"""How chapters of a dictionary are learned from the columns of many micrographs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.dictionary.alignment import find_alignment, name_columns, own_alignment
from motifgpu.dictionary.chapter import Chapter
from motifgpu.dictionary.patterns import Patterns
from motifgpu.motifs.identity import IdentityModel

_REFERENCES = 3  # micrographs tried as the one whose intensities and orientation are kept


class Pool(NamedTuple):
    """Columns of several micrographs in the intensities and the orientation of a dictionary.

    Attributes
    ----------
    moments : (n, n_moments) float64 ndarray
    noise : (n,) float64 ndarray
        Of the column's micrograph, in units of the dictionary's.
    matched : list of bool
        Which micrographs show the dictionary's crystal; the columns of the others are left out.
    """

    moments: np.ndarray
    noise: np.ndarray
    matched: list[bool]


def first_chapter(samples: Sequence[np.ndarray], min_size: int) -> tuple[Chapter, Pool]:
    """Learn a chapter of which nothing is known yet.

    Parameters
    ----------
    samples : sequence of (n_i, n_moments) ndarray
        Moments of columns of each micrograph.
    min_size : int
        Fewest columns of a motif.

    Returns
    -------
    chapter : Chapter
    pool : Pool
        What it was learned from.

    Raises
    ------
    StageError
        If there are fewer columns than `min_size`.
    """
    sizes = np.array([len(sample) for sample in samples])
    if sizes.max(initial=0) < max(min_size, 1):
        raise StageError(
            "dictionary",
            f"no micrograph has {max(min_size, 1)} columns (the largest has {sizes.max(initial=0)})",
            "give more columns",
        )
    best: Pool | None = None
    for reference in np.argsort(-sizes, kind="stable")[:_REFERENCES].tolist():
        pool = _pooled(samples, reference, min_size)
        if best is None or sum(pool.matched) > sum(best.matched):
            best = pool
        if 2 * sum(best.matched) > len(samples):
            break
    assert best is not None
    return _chapter(best.moments, best.noise, min_size), best


def _pooled(samples: Sequence[np.ndarray], reference: int, min_size: int) -> Pool:
    """Bring columns into the intensities and the orientation of one of the micrographs."""
    own = samples[reference].astype(np.float64)
    alignment = own_alignment(IdentityModel.fit(own, min_size=min_size)[0])
    if len(samples) == 1:
        return Pool(alignment.normalised(own, 0.0), np.ones(len(own)), [True])
    moments = alignment.normalised(own, 0.0)
    known = _chapter(moments, np.ones(len(own)), min_size)
    parts, noise, matched = [], [], []
    for place, sample in enumerate(samples):
        if place == reference:
            parts.append(moments)
            noise.append(np.ones(len(own)))
            matched.append(True)
            continue
        alignment = find_alignment(sample, known)
        matched.append(bool(alignment.turns))
        if alignment.turns:
            part, named = name_columns(sample.astype(np.float64), alignment, known)
            parts.append(part)
            noise.append(alignment.scatter.noise[named.classified.sublattice])
    return Pool(np.concatenate(parts), np.concatenate(noise), matched)


def _chapter(moments: np.ndarray, noise: np.ndarray, min_size: int) -> Chapter:
    model, _ = IdentityModel.fit(moments, min_size=min_size)
    sublattice = model.classify(moments).sublattice
    return Chapter(model, Patterns.fit(moments, sublattice, model.order, noise), 0)
