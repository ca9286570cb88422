"""Columns of one micrograph, a chunk at a time, called by the names of a dictionary's chapters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.deprecation import warn_renamed
from motifgpu.core.namespace import Array
from motifgpu.core.shown import one_line
from motifgpu.dictionary.alignment import Alignment, find_alignment, name_columns
from motifgpu.dictionary.chapter import (
    KNOWN,
    OTHER_CRYSTAL,
    STRANGE_INTENSITY,
    STRANGE_PATTERN,
    Chapter,
    Named,
)
from motifgpu.dictionary.environments import Environments

_CHUNK = 2**16  # columns at a time


@dataclass(frozen=True, eq=False)
class Assignment:
    """The motifs of N columns according to a dictionary.

    Attributes
    ----------
    labels : (N,) int32 array
        Number of the motif; -1 where `unseen`, and where the column is of a kind that was too rare to be
        named when the dictionary was learned.
    environments : (N,) int32 array
        Number of the environment, by motif and by the kinds of the neighbours in their directions on the
        crystal; -1 where the dictionary has no such environment, even if the motif is known.
    confidence : (N,) array
        Posterior probability of the label among the motifs of the column's sublattice; 0 where there is no
        label.
    unseen : (N,) bool array
        Columns that resemble no motif of the dictionary.
    reason : (N,) int8 array
        Why a column is unseen: 0 is not unseen, 1 the intensity is that of no motif of the sublattice, 2 the
        patch is that of no sublattice, 3 the micrograph does not show the dictionary's crystal.
    strangeness : (N,) array
        Distance of the column from its motif or sublattice; 1 is the limit above which it is unseen. Infinite
        for reason 3.
    alignments : tuple of Alignment
        Gain, offset, orientation and noise of each micrograph.

    Examples
    --------
    Which columns does a dictionary of pure MoSe2 not know in a doped one, and why?

    >>> import motifgpu
    >>> pure = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
    >>> doped = motifgpu.simulate.monolayer(
    ...     shape=(192, 192), lattice_constant=16.0, dopants={"W": 0.1}, seed=4
    ... )
    >>> patches, _ = motifgpu.extract_patches(pure.image, pure.points, 28)
    >>> dictionary = motifgpu.MotifDictionary.learn_pooled(motifgpu.zernike_moments(patches))
    >>> patches, inside = motifgpu.extract_patches(doped.image, doped.points, 28)
    >>> assignment = dictionary.assign(motifgpu.zernike_moments(patches))
    >>> {doped.names[label] for label in doped.labels[inside][assignment.unseen]}
    {'W'}
    >>> set(assignment.reason[assignment.unseen].tolist())  # their intensity is that of no motif
    {1}
    """

    labels: Array
    environments: Array
    confidence: Array
    unseen: Array
    reason: Array
    strangeness: Array
    alignments: tuple[Alignment, ...]

    @property
    def frames(self) -> tuple[Alignment, ...]:
        """Deprecated: the former name of `alignments`."""
        warn_renamed("Assignment.frames", "alignments")
        return self.alignments

    __repr__ = one_line


class Naming(NamedTuple):
    """What n columns are; arrays in the moments' namespace and on their device.

    Attributes
    ----------
    moments : (n, n_moments) array
        In the intensities and the orientation of the dictionary.
    sublattice : (n,) int32 array
        Sublattice of the first chapter.
    labels : (n,) int32 array
        Number of the motif in the dictionary, -1 where there is none.
    confidence : (n,) array
    reason : (n,) int8 array
        `KNOWN`, `STRANGE_INTENSITY` or `STRANGE_PATTERN`.
    strangeness : (n,) array
    """

    moments: Array
    sublattice: Array
    labels: Array
    confidence: Array
    reason: Array
    strangeness: Array


def name_chunk(moments: Array, alignment: Alignment, chapters: Sequence[Chapter]) -> Naming:
    """Say what columns are. A chapter names those that no earlier chapter knows.

    Parameters
    ----------
    moments : (n, n_moments) array
        As they are in the micrograph.
    alignment : Alignment
        Of the micrograph, with one turn at least.
    chapters : sequence of Chapter
    """
    xp = namespace.array_namespace(moments)
    moments, named = name_columns(moments, alignment, chapters[0])
    sublattice = named.classified.sublattice
    labels, confidence = named.classified.labels, named.classified.confidence
    strangeness = xp.maximum(named.intensity, named.pattern)
    reason = xp.where(
        strangeness <= 1.0, xp.full_like(sublattice, KNOWN), xp.full_like(sublattice, STRANGE_INTENSITY)
    )
    reason = xp.where(named.pattern > 1.0, xp.full_like(sublattice, STRANGE_PATTERN), reason)
    for chapter in chapters[1:]:
        named = chapter.name(moments, chapter.adapted(alignment.scatter))
        taken = (reason != KNOWN) & _known(named)
        labels = xp.where(taken, named.classified.labels + chapter.first, labels)
        confidence = xp.where(taken, named.classified.confidence, confidence)
        strangeness = xp.where(taken, xp.maximum(named.intensity, named.pattern), strangeness)
        reason = xp.where(taken, xp.full_like(reason, KNOWN), reason)
    unseen = reason != KNOWN
    return Naming(
        moments=moments,
        sublattice=sublattice,
        labels=xp.where(unseen, xp.full_like(labels, -1), labels),
        confidence=xp.where(unseen, xp.zeros_like(confidence), confidence),
        reason=xp.astype(reason, xp.int8),
        strangeness=strangeness,
    )


def _known(named: Named) -> Array:
    """Say which columns (n,) have a name in a later chapter, where what is too rare for one stays unseen."""
    return (named.intensity <= 1.0) & (named.pattern <= 1.0) & (named.classified.labels >= 0)


def unnamed(moments: Array) -> Naming:
    """Return what the columns of a micrograph are that does not show the dictionary's crystal."""
    xp = namespace.array_namespace(moments)
    count, where = moments.shape[0], namespace.device(moments)
    none = xp.full(count, -1, dtype=xp.int32, device=where)
    return Naming(
        moments=moments,
        sublattice=none,
        labels=none,
        confidence=xp.zeros(count, dtype=moments.dtype, device=where),
        reason=xp.full(count, OTHER_CRYSTAL, dtype=xp.int8, device=where),
        strangeness=xp.full(count, np.inf, dtype=moments.dtype, device=where),
    )


def _chunks(moments: Array) -> list[Array]:
    """Divide the columns of a micrograph, so that what is made of them has bounded size."""
    count = moments.shape[0]
    return [moments[i : min(i + _CHUNK, count), :] for i in range(0, max(count, 1), _CHUNK)]


def environment_keys(
    naming: Naming, alignment: Alignment, chapters: Sequence[Chapter], environments: Environments
) -> Array:
    """Return the keys of environments (n,), -1 on sublattices that a later chapter has for its own."""
    xp = namespace.array_namespace(naming.labels)
    labels = naming.labels
    for chapter in chapters[1:]:
        if chapter.own_sublattices:
            inside = (labels >= chapter.first) & (labels < chapter.first + chapter.motifs)
            labels = xp.where(inside, xp.full_like(labels, -1), labels)
    return environments.key(naming.moments, naming.sublattice, labels, alignment.scatter)


def assign_columns(
    moments: Array,
    limits: np.ndarray,
    chapters: Sequence[Chapter],
    environments: Environments,
    alignments: Sequence[Alignment] | None,
) -> Assignment:
    """Say what the columns of several micrographs are.

    Parameters
    ----------
    moments : (N, n_moments) array
    limits : (m + 1,) int ndarray
        Where each micrograph begins.
    chapters : sequence of Chapter
    environments : Environments
    alignments : sequence of m Alignment or None
        Found where None.
    """
    xp = namespace.array_namespace(moments)
    parts: list[tuple[Array, ...]] = []
    used: list[Alignment] = []
    for begin, end in pairwise(limits.tolist()):
        own = moments[begin:end, :]
        alignment = find_alignment(own, chapters[0]) if alignments is None else alignments[len(used)]
        used.append(alignment)
        for chunk in _chunks(own):
            naming = name_chunk(chunk, alignment, chapters) if alignment.turns else unnamed(chunk)
            numbers = naming.labels
            if alignment.turns:
                numbers = environments.number(environment_keys(naming, alignment, chapters, environments))
            parts.append((naming.labels, numbers, naming.confidence, naming.reason, naming.strangeness))
    labels, numbers, confidence, reason, strangeness = (
        xp.concat(list(column), axis=0) for column in zip(*parts, strict=True)
    )
    return Assignment(labels, numbers, confidence, reason != KNOWN, reason, strangeness, tuple(used))
