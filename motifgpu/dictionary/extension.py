"""Motifs that a dictionary does not know yet, found among the columns that it calls unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.dictionary.alignment import Alignment, find_alignment
from motifgpu.dictionary.chapter import KNOWN, MAX_DEVIATION, STRANGE_INTENSITY, STRANGE_PATTERN, Chapter
from motifgpu.dictionary.environments import Environments
from motifgpu.dictionary.naming import Naming, environment_keys, name_chunk
from motifgpu.dictionary.patterns import Patterns
from motifgpu.motifs.identity import IdentityModel
from motifgpu.motifs.mixture import Mixture, best, fit_mixture
from motifgpu.motifs.sublattices import resolution

# A new motif is farther from the known ones than this many times what is still one of them, so that the
# tails of a class of a million columns do not become a motif.
_APART = 1.5
_FEWEST_STRANGE = 12  # columns of a pattern never seen that make a motif
_COHERENT = 1.6  # by how much the noise of a new sublattice may exceed that of the known ones


class Extension(NamedTuple):
    """A dictionary's contents after further micrographs.

    Attributes
    ----------
    chapters : tuple of Chapter
    environments : Environments
    counts : (c,) int64 ndarray
        Columns of each motif, old and new, among the further micrographs.
    matched : list of bool
        Which micrographs show the dictionary's crystal.
    """

    chapters: tuple[Chapter, ...]
    environments: Environments
    counts: np.ndarray
    matched: list[bool]


def extend(
    chapters: tuple[Chapter, ...],
    environments: Environments,
    micrographs: Callable[[], Iterable[Array]],
    min_size: int,
) -> Extension:
    """Look for new motifs in further micrographs, and say how often they have all motifs.

    Parameters
    ----------
    chapters : tuple of Chapter
    environments : Environments
        What is known.
    micrographs : callable
        Returns an iterator over the moments of each micrograph; called twice, for the second pass counts.
    min_size : int
        Fewest columns of a motif; of those of a pattern never seen 12, if that is more.
    """
    alignments = [find_alignment(moments, chapters[0]) for moments in micrographs()]
    strange = [
        _strange(name_chunk(moments, alignment, chapters), alignment)
        for moments, alignment in zip(micrographs(), alignments, strict=True)
        if alignment.turns
    ]
    if strange:
        chapters += _further(chapters, Strange(*map(np.concatenate, zip(*strange, strict=True))), min_size)
    counts = np.zeros(chapters[-1].first + chapters[-1].motifs, dtype=np.int64)
    keys = [np.zeros(0, np.int64)]
    for moments, alignment in zip(micrographs(), alignments, strict=True):
        if alignment.turns:
            naming = name_chunk(moments, alignment, chapters)
            labels = namespace.to_numpy(naming.labels)
            counts += np.bincount(labels[labels >= 0], minlength=counts.size)
            keys.append(namespace.to_numpy(environment_keys(naming, alignment, chapters, environments)))
    return Extension(
        chapters,
        environments.extended(np.concatenate(keys)),
        counts,
        [bool(alignment.turns) for alignment in alignments],
    )


class Strange(NamedTuple):
    """Columns that a dictionary does not know, in its intensities and orientation.

    Attributes
    ----------
    moments : (n, n_moments) float64 ndarray
    why : (n,) int ndarray
        `STRANGE_INTENSITY` or `STRANGE_PATTERN`.
    widening, noise : (n,) float64 ndarray
        Scatter of the column's micrograph on its sublattice.
    slope : (n,) float64 ndarray
        Share of the intensity between columns that is background in the column's micrograph.
    """

    moments: np.ndarray
    why: np.ndarray
    widening: np.ndarray
    noise: np.ndarray
    slope: np.ndarray


def _further(chapters: Sequence[Chapter], strange: Strange, min_size: int) -> tuple[Chapter, ...]:
    """Return a chapter of new intensities on known sublattices and one of new sublattices, where found."""
    found: list[Chapter] = []
    first = chapters[-1].first + chapters[-1].motifs
    bright = strange.why == STRANGE_INTENSITY
    if np.count_nonzero(bright) >= min_size:
        found += _new_intensities(chapters, Strange(*(a[bright] for a in strange)), first, min_size)
    first += sum(chapter.motifs for chapter in found)
    patterns = strange.why == STRANGE_PATTERN
    least = max(min_size, _FEWEST_STRANGE)
    if np.count_nonzero(patterns) >= least:
        found += _new_sublattices(chapters[0], Strange(*(a[patterns] for a in strange)), first, least)
    return tuple(found)


def _new_intensities(
    chapters: Sequence[Chapter], strange: Strange, first: int, min_size: int
) -> list[Chapter]:
    """Learn motifs on known sublattices: intensities far from those of the motifs there are."""
    model = chapters[0].model
    read = model.classify(strange.moments, slope=0.0)
    mixtures, components, labels = [], [], 0
    for s, mixture in enumerate(model.mixtures):
        own = read.sublattice == s
        named, found = np.full(1, -1), Mixture(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)), 0.0)
        if own.any():
            intensity = read.intensity[own] - strange.slope[own] * (strange.moments[own] @ model.gaps[s])
            fits = fit_mixture(intensity, resolution=resolution(model.means[s]))
            found = best(fits)
            kind = found.posterior(intensity[:, None]).argmax(axis=1)
            counts = np.bincount(kind, minlength=len(found.means))
            # In the scatter of the columns learned first, and never narrower than the commonest of them.
            widening = float(np.median(strange.widening[own]))
            usual = float(mixture.covariances[mixture.weights.argmax(), 0, 0])
            found = replace(found, covariances=np.maximum(found.covariances / widening**2, usual))
            known = _known(chapters, s)
            apart = np.abs(found.means[:, 0, None] - known) / (widening * usual**0.5)
            new = (apart.min(axis=1) > _APART * MAX_DEVIATION) & (counts >= min_size)
            named = np.full(len(counts), -1)
            named[new] = labels + np.argsort(np.argsort(-counts[new], kind="stable"), kind="stable")
            labels += int(new.sum())
        mixtures.append(found)
        components.append(named.astype(np.int64))
    if not labels:
        return []
    model = replace(model, mixtures=tuple(mixtures), components=tuple(components))
    return [Chapter(model, chapters[0].patterns, first, own_sublattices=False)]


def _known(chapters: Sequence[Chapter], sublattice: int) -> np.ndarray:
    """Return the mean intensities (k,) of all motifs of a sublattice."""
    named = [
        chapter.model.mixtures[sublattice].means[chapter.model.components[sublattice] >= 0, 0]
        for i, chapter in enumerate(chapters)
        if i == 0 or not chapter.own_sublattices
    ]
    return np.concatenate([chapters[0].model.mixtures[sublattice].means[:, 0], *named])


def _new_sublattices(known: Chapter, strange: Strange, first: int, min_size: int) -> list[Chapter]:
    """Learn motifs of patterns never seen, where these are the same pattern again and again."""
    model, _ = IdentityModel.fit(strange.moments, min_size=min_size)
    found = model.classify(strange.moments)
    patterns = Patterns.fit(strange.moments, found.sublattice, model.order, strange.noise)
    coherent = patterns.scales <= _COHERENT * known.patterns.scales.max()
    counts = np.bincount(found.labels[found.labels >= 0], minlength=int(found.labels.max()) + 1)
    kept = counts >= min_size
    for s, labels in enumerate(model.components):
        kept[labels[labels >= 0]] &= bool(coherent[s])
    if not kept.any():
        return []
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    components = tuple(np.where(labels >= 0, number[labels], -1) for labels in model.components)
    return [Chapter(replace(model, components=components), patterns, first)]


def _strange(naming: Naming, alignment: Alignment) -> Strange:
    """Return the columns that have no name."""
    reason = namespace.to_numpy(naming.reason)
    rows = np.flatnonzero(reason != KNOWN)
    sublattice = namespace.to_numpy(naming.sublattice)[rows]
    xp = namespace.array_namespace(naming.moments)
    moments = xp.take(naming.moments, namespace.from_numpy(rows, naming.moments), axis=0)
    return Strange(
        moments=namespace.to_numpy(moments).astype(np.float64),
        why=reason[rows],
        widening=alignment.scatter.widening[sublattice],
        noise=alignment.scatter.noise[sublattice],
        slope=np.full(rows.size, alignment.scatter.slope),
    )
