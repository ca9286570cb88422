"""Statistics of sites that are empty or filled: how ordered their occupation is, against chance.

Everything here counts on the host: a grid of occupancies is small beside the image it came from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import digamma

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.shown import one_line

EXCLUDED = -1
_LEVELS = 2, 3
_BLOCKS = 8  # along each axis, for the sampling error


@dataclass(frozen=True, eq=False)
class BernoulliNull:
    """What independent sites would give on the same windows.

    Attributes
    ----------
    entropy : float
        Mean entropy over the samples, nats.
    deviation : float
        Its standard deviation.
    samples : (s,) float64 ndarray
        Entropy of each sample.
    top : (k,) float64 ndarray
        Mean share of the windows in the m + 1 most frequent patterns, for m = 0 ... k - 1.
    p_value : float
        Share of samples whose entropy is not higher than observed, the observation counted among them.
    """

    entropy: float
    deviation: float
    samples: np.ndarray
    top: np.ndarray
    p_value: float

    __repr__ = one_line


@dataclass(frozen=True, eq=False)
class OccupancyStatistics:
    """How windows of a grid of occupancies are filled; patterns are in the order of their frequency.

    Attributes
    ----------
    entropy : float
        Shannon entropy of the observed frequencies, nats; with few windows it is low whatever the order, so
        compare it with `null`.
    error : float
        Standard error of `entropy` from its scatter over blocks of the grid, nats; NaN if there are too few
        blocks. It does not include the bias that few windows cause.
    corrected : float
        Entropy with that bias removed as far as independent windows allow, nats (P. Grassberger,
        arXiv:physics/0307138).
    top : (k,) float64 ndarray
        Share of the windows in the m + 1 most frequent patterns, for m = 0 ... k - 1.
    patterns : (k, side, side) int8 ndarray
        The patterns seen, 0 and 1, the most frequent first; ties by their first place. The paper's code of
        Fig. S27 is ``2 * patterns - 1``.
    counts : (k,) int64 ndarray
        Windows of each pattern.
    windows : int
        Windows without an excluded site.
    dropped : int
        Windows with one.
    fraction : float
        Share of ones over all sites of all windows, p.
    ceiling : float
        Upper limit of the entropy: the smaller of ln(windows) and side^2 h(p), nats.
    null : BernoulliNull
    ranks : (R, C) int32 ndarray
        Pattern of each window, an index into `patterns`, -1 for a dropped one; the window's first site is
        (r * stride, c * stride).
    level, side, stride : int
        Level of the hierarchy, side of a window in sites, and step between windows in sites.
    """

    entropy: float
    error: float
    corrected: float
    top: np.ndarray
    patterns: np.ndarray
    counts: np.ndarray
    windows: int
    dropped: int
    fraction: float
    ceiling: float
    null: BernoulliNull
    ranks: np.ndarray
    level: int
    side: int
    stride: int

    __repr__ = one_line


def occupancy_statistics(
    grid: Any, level: int = 2, stride: int = 1, *, samples: int = 200, seed: int = 0
) -> OccupancyStatistics:
    """Count the patterns of square windows of a grid of occupancies.

    Parameters
    ----------
    grid : (I, J) array
        0 (hollow), 1 (filled) or -1 (excluded).
    level : {2, 3}
        Level of the hierarchy: windows of 2 x 2 sites (16 patterns), or of four such squares, 4 x 4 sites
        (65,536 patterns).
    stride : int
        Sites from one window to the next. The paper does not say whether its windows overlap; a stride of 1
        takes all windows, one of the side of a window takes every site once.
    samples : int
        Number of grids of independent sites for the null.
    seed : int
        Seed of these grids.

    Returns
    -------
    OccupancyStatistics

    Raises
    ------
    StageError
        If the grid has not two dimensions, is smaller than a window, holds another value, or every window
        holds an excluded site; or if a number is out of range.

    Notes
    -----
    Fig. 4F and G, S20 and S27 of Dan et al., Science Advances 8, eabk1005 (2022), where the entropy of level
    3 is 4.13. Fifty windows filled at random give 3.9, hence the null: independent sites filled with the same
    probability, excluded where these are.

    Examples
    --------
    An ordered grid has four kinds of 2 x 2 windows, so an entropy of ln 4; independent sites have more:

    >>> import motifgpu
    >>> grid = motifgpu.simulate.occupancy_grid("ordered", (16, 16)).grid
    >>> statistics = motifgpu.occupancy_statistics(grid, samples=50)
    >>> statistics.patterns.shape
    (4, 2, 2)
    >>> round(statistics.entropy, 1), statistics.null.entropy > 2.0
    (1.4, True)
    >>> statistics.null.p_value < 0.05
    True
    """
    level = check_integer(level, "occupancy", "level", *_LEVELS)
    stride = check_integer(stride, "occupancy", "stride", 1)
    samples = check_integer(samples, "occupancy", "samples", 1)
    side = 2 ** (level - 1)
    states = _states(grid, side)
    kept = _windows((states == EXCLUDED).astype(np.int64), side, stride) == 0
    count = int(kept.sum())
    if count == 0:
        raise StageError(
            "occupancy",
            f"each of the {kept.size} windows of {side} x {side} sites holds an excluded site",
            "take a lower level, or exclude fewer sites",
        )
    filled = (states == 1).astype(np.int64)
    codes = _windows(filled, side, stride)[kept]
    frequency, order, first = _frequencies(codes)
    entropy = _entropy(frequency, count)
    bits = (order[:, None] >> np.arange(side * side)) & 1
    fraction = float(frequency @ bits.mean(1) / count)
    ranks = np.full(kept.shape, -1, np.int32)
    ranks[kept] = first[codes]
    return OccupancyStatistics(
        entropy=entropy,
        error=_error(ranks, frequency, side, stride),
        corrected=_corrected(frequency, count),
        top=np.cumsum(frequency) / count,
        patterns=bits.reshape(-1, side, side).astype(np.int8),
        counts=frequency,
        windows=count,
        dropped=int(kept.size - count),
        fraction=fraction,
        ceiling=min(math.log(count), side * side * _binary_entropy(fraction)),
        null=_null(states.shape, kept, fraction, side, stride, entropy, len(frequency), samples, seed),
        ranks=ranks,
        level=level,
        side=side,
        stride=stride,
    )


def _states(grid: Any, side: int) -> np.ndarray:
    """Return the grid on the host after a check."""
    _, given = check_array(grid, "occupancy", "the grid", 2)
    states = namespace.to_numpy(given)
    if min(states.shape) < side:
        raise StageError(
            "occupancy",
            f"the grid has {states.shape[0]} x {states.shape[1]} sites and a window {side} x {side}",
            "take a lower level or a larger grid",
        )
    other = states[~np.isin(states, (0, 1, EXCLUDED))]
    if other.size:
        raise StageError(
            "occupancy",
            f"the grid holds the value {other[0]:g}",
            f"give 0 (hollow), 1 (filled) or {EXCLUDED} (excluded)",
        )
    return states.astype(np.int8)


def _windows(values: np.ndarray, side: int, stride: int) -> np.ndarray:
    """Return for each window the sum of its values times 2^k, k counting its sites by rows."""
    along = np.lib.stride_tricks.sliding_window_view(values, side, axis=1)[:, ::stride]
    rows = along @ (1 << np.arange(side))
    down = np.lib.stride_tricks.sliding_window_view(rows, side, axis=0)[::stride]
    sums: np.ndarray = down @ (1 << (side * np.arange(side)))
    return sums


def _frequencies(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts and codes of the patterns, the most frequent first, and the rank of each code."""
    seen, first, counts = np.unique(codes, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    rank = np.zeros(int(codes.max()) + 1, np.int32)
    rank[seen[order]] = np.arange(len(seen))
    return counts[order], seen[order], rank


def _entropy(counts: np.ndarray, total: int) -> float:
    share = counts[counts > 0] / total
    return abs(float(-(share * np.log(share)).sum()))


def _binary_entropy(p: float) -> float:
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def _corrected(counts: np.ndarray, total: int) -> float:
    """Return Grassberger's estimate of the entropy."""
    n = counts.astype(float)
    g = digamma(n) + 0.5 * np.where(counts % 2, -1, 1) * (digamma((n + 1) / 2) - digamma(n / 2))
    return max(float(math.log(total) - (n * g).sum() / total), 0.0)


def _error(ranks: np.ndarray, counts: np.ndarray, side: int, stride: int) -> float:
    """Return the standard error of the entropy, the mean of -ln p over windows, from sums over blocks."""
    reach = -(-side // stride)  # windows that overlap
    number = [min(_BLOCKS, length // (2 * reach)) for length in ranks.shape]
    row, col = np.nonzero(ranks >= 0)
    surprise = -np.log(counts / counts.sum())[ranks[row, col]]
    block = (row * max(number[0], 1) // ranks.shape[0]) * max(number[1], 1)
    block += col * max(number[1], 1) // ranks.shape[1]
    used = np.unique(block)
    if len(used) < 4:
        return math.nan
    sums = np.bincount(block, surprise - surprise.mean())[used]
    return math.sqrt(float((sums**2).sum()) * len(used) / (len(used) - 1)) / len(row)


def _null(
    shape: tuple[int, ...],
    kept: np.ndarray,
    fraction: float,
    side: int,
    stride: int,
    entropy: float,
    length: int,
    samples: int,
    seed: int,
) -> BernoulliNull:
    """Sample independent sites and count their windows."""
    rng = np.random.default_rng(seed)
    count = int(kept.sum())
    entropies, top = np.empty(samples), np.zeros(length)
    for sample in range(samples):
        filled = (rng.random(shape) < fraction).astype(np.int64)
        codes = _windows(filled, side, stride)[kept]
        # Counting beats sorting once there are more windows than patterns.
        counts = np.bincount(codes) if count > 4096 else np.unique(codes, return_counts=True)[1]
        entropies[sample] = _entropy(counts, count)
        shares = np.cumsum(-np.sort(-counts)) / count
        top += np.pad(shares[:length], (0, max(length - len(shares), 0)), constant_values=1.0)
    # Rounding must not part two grids with the same counts.
    lower = int((entropies <= entropy + 1e-12).sum())
    return BernoulliNull(
        float(entropies.mean()),
        float(entropies.std(ddof=1)) if samples > 1 else math.nan,
        entropies,
        top / samples,
        (1 + lower) / (1 + samples),
    )
