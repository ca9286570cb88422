"""Columns that overlap so much that a lattice average shows two of them as one.

To each place one round column is fitted. Where two stand side by side, what the fits leave is long in one
direction, and it is so at all places of a kind. Two columns are searched for there on a grid fine enough for
their distance, by the curvature of the average, which parts columns 1.6 standard deviations apart where the
average itself needs 2; what the joint fit of all columns leaves then says whether two stand there or one.

Runs on the host, on a few numbers a place.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

# Kinds of places that are looked at: of so many places, and of this share of the height of the tallest tenth.
_FEW, _TALL = 12, 0.3
# Difference of the variances along and across two columns over their sum, at least: 0.28 to 0.6 where they
# are two standard deviations apart, up to 0.27 in astigmatic images. Where columns are wider than the last,
# px of the grid, as two that are further apart make them, less will do.
_LONG, _LONG_AND_WIDE, _WIDE = 0.28, 0.15, 1.5
# Columns nearer than this, px of the grid and standard deviations, overlap; share of the places, at least.
_NEAR, _NEAR_WIDTHS, _SHARE = 3.3, 3.3, 0.1
# Two columns are a pair up to this distance, in the usual one, which is up to the second times what was
# expected. Of a kind all are in pairs or none; where noise or an astigmatic probe makes columns long, about
# half are. The share that is wrong, at most.
_PAIR, _FURTHER, _WRONG = 1.5, 1.6, 0.2


def halves_apart(
    left: np.ndarray, steps: np.ndarray, heights: np.ndarray, number: np.ndarray, tallest: float, sigma: float
) -> float:
    """Return the distance of two columns that were fitted as one, px; infinity where there are none.

    Parameters
    ----------
    left : (k, m) ndarray
        What fits leave at each step from the places of each of k kinds, on average.
    steps : (2, m) ndarray
        Along rows and along columns, px.
    heights, number : (k,) ndarray
        Mean height of the columns of each kind, and how many places it has.
    tallest : float
        Height of the tallest tenth of all columns.
    sigma : float
        Width of all columns, px.
    """
    rows, cols = steps
    drawn = np.exp(-0.5 * (rows**2 + cols**2) / sigma**2) / (2 * sigma**4)
    longer = np.stack([drawn * (rows**2 - cols**2), 2 * drawn * rows * cols])
    height = np.maximum(heights, 1e-6 * abs(tallest) + 1e-30)
    share = np.hypot(*(longer @ left.T / (longer**2).sum(axis=1)[:, None])) / (height * sigma**2)
    least = _LONG if sigma < _WIDE else _LONG_AND_WIDE
    seen = (number >= _FEW) & (heights >= _TALL * tallest) & (share >= least)
    return float(math.sqrt(8 * share[seen].min()) * sigma) if seen.any() else math.inf


def nearest_overlap(points: np.ndarray, sigma: float) -> float:
    """Return the usual distance of columns (n, 2) that overlap with their nearest; infinity where few do."""
    if len(points) < 2:
        return math.inf
    distance = cKDTree(points).query(points, 2)[0][:, 1]
    near = distance < min(_NEAR, _NEAR_WIDTHS * sigma)
    return float(np.median(distance[near])) if near.mean() >= _SHARE else math.inf


def all_in_pairs(points: np.ndarray, kind: np.ndarray, distance: float) -> bool:
    """Say whether of each kind of columns all or none are in pairs.

    Parameters
    ----------
    points : (n, 2) ndarray
    kind : (n,) int64 ndarray
    distance : float
        What the columns of a pair are about apart; half as much again may be usual.
    """
    if len(points) < 2:
        return False
    nearest = cKDTree(points).query(points, 2)[0][:, 1]
    usual = min(float(np.quantile(nearest, 0.25)), _FURTHER * distance)
    paired = nearest < _PAIR * max(usual, distance)
    number, pairs = np.bincount(kind), np.bincount(kind, paired)
    return bool(np.minimum(pairs, number - pairs).sum() <= _WRONG * pairs.sum())
