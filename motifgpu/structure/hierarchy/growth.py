"""How the number of distinct motif-cells grows with their size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Levels count for the rate while at least this share of the occurrences is of motif-cells seen twice or more.
_LEAST_COVERAGE = 0.5


@dataclass(frozen=True, eq=False)
class Growth:
    """Distinct motif-cells against level; the arrays have one row per level that occurs.

    Attributes
    ----------
    level, distinct, occurrences : (l,) int64 ndarray
        Number of cells, of distinct motif-cells, and of their occurrences.
    cumulative : (l,) int64 ndarray
        Distinct motif-cells up to the level.
    coverage : (l,) float64 ndarray
        Good and Turing's estimate of the share of occurrences that a further one would repeat: one minus the
        share of motif-cells seen once. Where it is low, `distinct` is set by the number of occurrences.
    entropy : (l,) float64 ndarray
        Shannon entropy of the motif-cells of the level, nats; at most the logarithm of `distinct`, and no
        more than the logarithm of `occurrences` can be seen.
    rate : float
        Slope of the logarithm of `distinct` against level, from level 1 on while the coverage is at least
        0.5; NaN with fewer than two such levels. It is what the paper's Discussion calls a measure of
        configurational entropy: 0 for one kind of defect that grows in one way, and for fully random
        occupation the growth of the number of lattice animals.
    """

    level: np.ndarray
    distinct: np.ndarray
    occurrences: np.ndarray
    cumulative: np.ndarray
    coverage: np.ndarray
    entropy: np.ndarray
    rate: float


def growth(levels: np.ndarray, counts: np.ndarray) -> Growth:
    """Measure how the number of distinct motif-cells grows with their size.

    Parameters
    ----------
    levels, counts : (d,) int64 ndarray
        Level and number of occurrences of each motif-cell.

    Returns
    -------
    Growth
    """
    level, number = np.unique(levels, return_inverse=True)
    distinct = np.bincount(number, minlength=len(level))
    occurrences = np.bincount(number, counts, len(level)).astype(np.int64)
    once = np.bincount(number, counts == 1, len(level))
    share = counts / np.maximum(occurrences[number], 1)
    entropy = np.bincount(number, -share * np.log(np.where(share > 0, share, 1.0)), len(level))
    coverage = 1 - once / np.maximum(occurrences, 1)
    usable = np.cumprod((coverage >= _LEAST_COVERAGE) & (level == np.arange(1, len(level) + 1))).astype(bool)
    rate = float("nan")
    if usable.sum() >= 2:
        rate = float(np.polyfit(level[usable], np.log(distinct[usable]), 1)[0])
    return Growth(level, distinct, occurrences, np.cumsum(distinct), coverage, np.maximum(entropy, 0.0), rate)
