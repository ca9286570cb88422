"""Regions of a sample in which columns differ from those elsewhere, with a gap between.

Columns of one sublattice, each averaged with its neighbours, fall into two groups with next to nothing
between them, and the groups stand in different places. Point defects have no such places; strain, bending,
drift of the scan and uneven brightness have them and no gap, because what changes slowly takes every value on
its way.

Runs on the host: medians over neighbours, and a few numbers per column.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

SMALLEST = 12  # columns of a region
# Nearest columns, of any kind, among which one of a region has those of its other sublattices.
AROUND = 8
# Columns of one sublattice that are averaged (by the median, so that isolated defects do not count): a column
# and its nearest six.
_AVERAGED = 7
_AXES = 8  # principal components of the averaged features that are searched for a gap
# A gap: the least distance of two groups in their standard deviations, the highest density between them in
# that of the lower group, and how much of the variance is between distant columns rather than near ones. On
# simulated crystals with defects, strain, bending, uneven gain and background, at 3 to 30 counts: at most
# 6.3, at least 0.23 and up to 17, never all three; on grains 3 degrees apart and more, twins, stackings,
# phases and steps of thickness at least 4.8, at most 0.2 and at least 3.5. Of few columns, the first numbers.
_APART, _VALLEY, _COHERENT = (5.0, 4.5), (0.17, 0.23), 2.5
# The same where another sublattice has one in its place.
_APART_TOO, _VALLEY_TOO = 3.5, 0.5
# The same where the contrast shows the gap and the patterns on both sides differ: by so many standard
# deviations along the difference of their means, which correlate by at most so much; or in their variance
# along the main axis, in units of that along the other axes, by this factor. On either side of steps of
# thickness at 3 to 30 counts at most 2.4, or 0.995 and more; 2.4. Of phases at 3 counts at least 3.5, and at
# most 0.99, or 4.2 where one kind of columns is brighter in one and as bright as the other in the other.
_VALLEY_DIFFERING, _DIFFERENT, _CORRELATED, _VARIED = 0.25, 3.0, 0.993, 3.3
_MANY, _FEWEST = 200, 60  # columns that are not few, and fewest that are looked at
_INNER = 0.3  # least share of the columns of a region that have it alone around them
_ALONE = 0.7  # share of the columns around one that has its region alone around it
_ROWS = 4096  # columns averaged at once
# How much a neighbour in a region says for it, in units of -log likelihood.
_COUPLING = 1.0


def features(patterns: np.ndarray) -> np.ndarray:
    """Return patterns (n, k) scaled to length 1, and the logarithm of their contrast as a last column."""
    length = np.maximum(np.linalg.norm(patterns, axis=1, keepdims=True), 1e-300)
    return np.hstack([patterns / length, np.log(length)])


def divided(
    patterns: np.ndarray,
    points: np.ndarray,
    label: np.ndarray,
    part: slice,
    too: bool = False,
    differing: bool = False,
) -> np.ndarray:
    """Divide the columns of each label wherever their features, averaged with neighbours, show a gap.

    Parameters
    ----------
    patterns : (n, k) ndarray
        What columns look like.
    points : (n, 2) ndarray
        Positions, px.
    label : (n,) int64 ndarray
        Sublattice of each.
    part : slice
        Which of the `features` are looked at.
    too : bool
        Whether another sublattice is divided, so that a less clear gap is one.
    differing : bool
        Whether the patterns, the contrast aside, must differ on both sides of a gap.

    Returns
    -------
    (n,) int64 ndarray
        Labels, further ones after those that there were.
    """

    def second(rows: np.ndarray) -> np.ndarray | None:
        near = cKDTree(points[rows]).query(points[rows], _AVERAGED)[1]
        averaged = np.concatenate(
            [_middle(patterns[rows], near[i : i + _ROWS]) for i in range(0, len(rows), _ROWS)]
        )
        seen = features(averaged)
        halves = gap(seen[:, part], near, too, _VALLEY_DIFFERING if differing else None)
        if differing and halves is not None:
            single = features(patterns[rows])[:, :-1]
            return halves if _differ(seen[:, :-1], halves) or _vary(single, halves) else None
        return halves

    return separated(label, second)


def _differ(x: np.ndarray, second: np.ndarray) -> bool:
    """Say whether the features (n, k) of two halves differ, by their own spread and in their means."""
    one, other = x[~second].mean(axis=0), x[second].mean(axis=0)
    if one @ other > _CORRELATED * np.linalg.norm(one) * np.linalg.norm(other):
        return False
    axes = _main_axes(x)
    within = (x - np.where(second[:, None], other, one)) @ axes
    covariance = within.T @ within / len(x)
    covariance += (1e-3 * np.trace(covariance) / _AXES + 1e-300) * np.eye(len(covariance))
    step = (other - one) @ axes
    return float(step @ np.linalg.solve(covariance, step)) > _DIFFERENT**2


def _vary(x: np.ndarray, second: np.ndarray) -> bool:
    """Say whether columns of one of two halves are of several kinds, as far as features (n, k) tell."""
    along = x @ _main_axes(x)
    ratio = np.log(
        np.maximum(along[second].var(axis=0), 1e-300) / np.maximum(along[~second].var(axis=0), 1e-300)
    )
    return bool(abs(ratio[0] - np.median(ratio)) > np.log(_VARIED))


def _main_axes(x: np.ndarray) -> np.ndarray:
    """Return the principal axes (k, m) of features (n, k)."""
    centred = x - x.mean(axis=0)
    axes: np.ndarray = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :_AXES]
    return axes


def _middle(x: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return the medians (m, k) of the rows of x (n, k) that are `near` (m, odd) to each."""
    least: list[np.ndarray] = []  # the lower half, in order
    for column in near.T:
        value = x[column]
        for i, low in enumerate(least):
            least[i], value = np.minimum(low, value), np.maximum(low, value)
        if len(least) <= near.shape[1] // 2:
            least.append(value)
    return least[-1]


def separated(label: np.ndarray, halved: Callable[[np.ndarray], np.ndarray | None]) -> np.ndarray:
    """Divide the rows of each label in two as long as `halved`, given them, returns the second half."""
    label = label.copy()
    waiting = np.unique(label).tolist()
    while waiting:
        rows = np.flatnonzero(label == waiting[-1])
        second = halved(rows) if rows.size >= _FEWEST else None
        if second is None:
            waiting.pop()
            continue
        label[rows[second]] = label.max() + 1
        waiting.append(int(label.max()))
    return label


def gap(
    x: np.ndarray, near: np.ndarray | None, too: bool = False, deepest: float | None = None
) -> np.ndarray | None:
    """Return which rows of features are beyond a gap, None where there is none.

    Parameters
    ----------
    x : (n, k) ndarray
    near : (n, m) ndarray or None
        The nearest columns, for a gap between regions: itself and m - 1 others.
    too : bool
        As for `divided`.
    deepest : float, optional
        Highest density in the gap, in that of the lower group.
    """
    scores = (x - x.mean(axis=0)) @ _main_axes(x)
    if near is not None:
        # Directions in which distant columns differ and near ones do not (P. Switzer, A. A. Green, 1984).
        steps = (scores[:, None] - scores[near[:, 1:]]).reshape(-1, scores.shape[1])
        noise = steps.T @ steps / (2 * len(steps))
        noise += (1e-3 * np.trace(noise) / len(noise) + 1e-300) * np.eye(len(noise))
        whiten = np.linalg.inv(np.linalg.cholesky(noise))
        spread, turn = np.linalg.eigh(whiten @ (scores.T @ scores / len(scores)) @ whiten.T)
        if spread[-1] < _COHERENT:
            return None
        scores = scores @ whiten.T @ turn[:, ::-1]
    scores = scores[:, :3]
    second = scores[:, 0] > 0
    for _ in range(30):
        if not SMALLEST <= second.sum() <= len(second) - SMALLEST:
            return None
        low, high = scores[~second].mean(axis=0), scores[second].mean(axis=0)
        moved = (scores - 0.5 * (low + high)) @ (high - low) > 0
        if (moved == second).all():
            break
        second = moved
    along = scores @ (high - low)
    border, depth = valley(along, float(low @ (high - low)), float(high @ (high - low)))
    second = along > border
    many = int(len(x) >= _MANY)
    deepest = deepest or (_VALLEY_TOO if too else _VALLEY[many])
    if depth > deepest or min(second.sum(), (~second).sum()) < SMALLEST:
        return None
    apart = along[second].mean() - along[~second].mean()
    width = (0.5 * (along[second].var() + along[~second].var())) ** 0.5
    return second if apart > (_APART_TOO if too else _APART[many]) * width else None


def valley(x: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return where the density of numbers is least between two means, and in units of its lower maximum.

    Parameters
    ----------
    x : (n,) ndarray
    low, high : float
        Means of the lower and the upper group.

    Returns
    -------
    place, depth : float
    """
    place = np.linspace(x.min(), x.max(), 256)
    width = 0.08 * (high - low)
    counts = np.histogram(x, bins=256, range=(place[0], place[-1]))[0]
    density = ndimage.gaussian_filter1d(
        counts.astype(np.float64), width / (place[1] - place[0]), mode="constant"
    )
    between = np.flatnonzero((place > low) & (place < high))
    if not between.size:
        return 0.5 * (low + high), 1.0
    at = between[density[between].argmin()]
    return float(place[at]), float(density[at] / min(density[: at + 1].max(), density[at:].max()))


def together(part: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Return the region of each column, parts of sublattices that stand among each other being one.

    Parameters
    ----------
    part : (n,) int64 ndarray
    around : (n, k) int64 ndarray
        The nearest columns of each.

    Returns
    -------
    (n,) int64 ndarray
        From 0 on; -1 for columns of parts that nowhere are alone, such as defects with their own pattern.
    """
    count = int(part.max()) + 1
    holds = np.zeros((len(part), count), dtype=bool)
    holds[np.arange(len(part))[:, None], part[around]] = True
    share = np.stack([holds[part == k].mean(axis=0) for k in range(count)])
    group = connected_components(sparse.csr_array(np.minimum(share, share.T) > 0.5), directed=False)[1]
    region: np.ndarray = group[part].astype(np.int64)
    alone = (region[around] == region[:, None]).mean(axis=1) > _ALONE
    for each in np.unique(group).tolist():
        members = region == each
        if members.sum() < SMALLEST or alone[members].mean() < _INNER:
            region[members] = -1
    inside = np.flatnonzero(region >= 0)
    region[inside] = np.unique(region[inside], return_inverse=True)[1].reshape(-1)
    return region


def settled(costs: np.ndarray, start: np.ndarray, around: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put each column into the region that it and its neighbours agree with best.

    Parameters
    ----------
    costs : (n, r) float64 ndarray
        Minus the logarithm of the likelihood of each column in each region.
    start : (n,) int64 ndarray
        Region of each to begin with.
    around : (n, k) int64 ndarray
        The nearest columns of each.

    Returns
    -------
    region : (n,) int64 ndarray
    confidence : (n,) float64 ndarray
        Probability of the region, given those of the neighbours.
    """
    found = start
    for _ in range(10):
        beside = (found[around][:, :, None] == np.arange(costs.shape[1])).sum(axis=1)
        total = costs - _COUPLING * beside
        moved = total.argmin(axis=1)
        if (moved == found).all():
            break
        found = moved
    odds = np.exp(total.min(axis=1, keepdims=True) - total)
    confidence: np.ndarray = odds[np.arange(len(found)), found] / odds.sum(axis=1)
    return found, confidence
