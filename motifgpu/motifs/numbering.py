"""Numbers of motifs: the largest is 0."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

NUMBERED = re.compile(r"motif \d+|unassigned")  # what motifs without a name are called


def names_by_label(names: Sequence[str], motifs: int) -> list[str]:
    """Return the names of motifs 0 to `motifs` - 1, empty for those without, and as the last that of -1."""
    return [*names[:motifs], *[""] * (motifs - len(names)), ""]


def numbered(labels: np.ndarray, min_size: int) -> np.ndarray:
    """Number classes by size and then by first index.

    Parameters
    ----------
    labels : (n,) int ndarray
        In any order; negative for no class.
    min_size : int
        Fewest columns of a class; those of smaller ones are unassigned.

    Returns
    -------
    (n,) int32 ndarray
        0 for the largest class, -1 for unassigned columns.
    """
    result = np.full(labels.shape, -1, dtype=np.int32)
    assigned = np.flatnonzero(labels >= 0)
    if assigned.size:
        _, first, inverse, counts = np.unique(
            labels[assigned], return_index=True, return_inverse=True, return_counts=True
        )
        order = np.lexsort((first, -counts))
        rank = np.empty(order.size, dtype=np.int32)
        rank[order] = np.where(counts[order] >= min_size, np.arange(order.size), -1)
        result[assigned] = rank[inverse.reshape(-1)]
    return result
