"""What stands where, and beside what, in a sample of one domain or of several.

Background and brightness are made even, sublattices of different domains are different ones, and the classes
of the columns inside domains say what stands at the boundaries between them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.features.windows import window
from motifgpu.motifs.domains import find_domains, one_domain
from motifgpu.motifs.environments import by_neighbors
from motifgpu.motifs.fields import flattened
from motifgpu.motifs.intensity_classes import by_column
from motifgpu.motifs.numbering import numbered
from motifgpu.motifs.sublattices import Sublattices, find_sublattices


class Answer(NamedTuple):
    """A partition of n columns and how sure it is.

    Attributes
    ----------
    labels : (n,) int ndarray
        -1 for none.
    confidence : (n,) float64 ndarray
        Probability of the label, 0 for none.
    """

    labels: np.ndarray
    confidence: np.ndarray


def what_stands_where(
    moments: Array,
    order: int,
    points: np.ndarray | None,
    layout: np.ndarray | None,
    min_size: int,
    n_motifs: int | None,
) -> tuple[Answer, Answer, Answer, list[int]]:
    """Return identities, domains and environments.

    Parameters
    ----------
    moments : (n, n_moments) array
    order : int
    points : (n, 2) ndarray or None
        Positions, px. Without them all is one domain, and background and brightness are taken as they are.
    layout : (n, 2) ndarray or None
    min_size, n_motifs
        As for `motifgpu.find_motifs`.

    Returns
    -------
    identities, domains, environments : Answer
        Identities and domains are numbered by size; environments in no order. The domain of columns at a
        boundary is -1 with the confidence that they are there.
    others : list of int
        How many identities more, or fewer, are nearly as likely.

    Raises
    ------
    StageError
        If so many identities cannot be made.
    """
    found, even = one_domain(np.zeros(moments.shape[0], dtype=np.int64)), moments
    if points is not None:
        pattern = find_sublattices(moments, order, min_size)
        found = find_domains(to_numpy(moments), order, points, pattern)
        even = flattened(moments, points, order, found.of_column, found.part)
    inner = np.flatnonzero(found.of_column >= 0)
    if inner.size == found.part.size and (found.part == found.pattern).all() and not found.of_column.any():
        known = found.part if points is not None and even is moments else None
        sublattices = Sublattices(even, order, min_size, known)
    else:
        at = namespace.from_numpy(inner, even)
        own = namespace.array_namespace(even).take(even, at, axis=0)
        _, first, part = np.unique(found.part[inner], return_index=True, return_inverse=True)
        patterns = found.pattern[inner][first]
        sublattices = Sublattices(own, order, min_size, part.reshape(-1), patterns)
    classes = by_column(sublattices, n_motifs)
    labels, confidence = (np.full(found.part.size, fill) for fill in (-1, 0.0))
    labels[inner] = numbered(classes.labels, min_size if n_motifs is None else 1)
    confidence[inner] = np.where(labels[inner] >= 0, classes.confidence, 0.0)
    code, sure = np.full(labels.size, -1), np.zeros(labels.size)
    code[inner], sure[inner] = by_neighbors(sublattices, None if layout is None else layout[inner])
    outer = np.flatnonzero(found.of_column < 0)
    if outer.size:
        labels[outer], confidence[outer] = _at_boundary(even, order, sublattices, labels, inner, outer)
        code[outer], sure[outer] = code.max() + 1, found.confidence[outer]
    return (
        Answer(numbered(labels, 1), confidence),
        Answer(numbered(found.of_column, 1), found.confidence),
        Answer(code, sure * confidence),
        classes.others,
    )


def _at_boundary(
    moments: Array,
    order: int,
    sublattices: Sublattices,
    labels: np.ndarray,
    inner: np.ndarray,
    outer: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Say by intensity alone what stands at boundaries, where patterns are of no domain."""
    weights = namespace.as_like(window(order)[:, None], moments)
    xp = namespace.array_namespace(moments)
    intensity = to_numpy(xp.matmul(moments, weights))[:, 0].astype(np.float64)
    kinds = np.unique(labels[inner][labels[inner] >= 0])
    if not kinds.size:
        return np.full(outer.size, -1), np.zeros(outer.size)
    known = [intensity[inner][labels[inner] == kind] for kind in kinds]
    least = max(sublattices.resolution(s) for s in range(len(sublattices.rows)))
    spread = np.array([max(float(x.std()), least) for x in known])
    deviation = (intensity[outer, None] - np.array([x.mean() for x in known])) / spread
    joint = np.log([len(x) for x in known]) - np.log(spread) - 0.5 * deviation**2
    share = np.exp(joint - joint.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    return kinds[share.argmax(axis=1)], share.max(axis=1)
