"""Choosing columns in the layout, and saying what was chosen."""

from __future__ import annotations

from typing import Any

import numpy as np


def inside(outline: Any, places: Any) -> np.ndarray:
    """Say which places lie inside a closed line.

    Parameters
    ----------
    outline : (k, 2) array
        Corners in order; the last is joined with the first. Where the line crosses itself, what it goes round
        twice is outside (even-odd rule).
    places : (n, 2) array

    Returns
    -------
    (n,) bool ndarray
        All False for fewer than three corners.
    """
    corners = np.asarray(outline, np.float64).reshape(-1, 2)
    x, y = np.asarray(places, np.float64).reshape(-1, 2).T
    within = np.zeros(len(x), bool)
    if len(corners) < 3:
        return within
    low, high = corners.min(axis=0), corners.max(axis=0)
    near = np.flatnonzero((x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]))
    x, y = x[near], y[near]
    odd = np.zeros(len(near), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crossed = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            odd ^= crossed & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    within[near] = odd
    return within


def describe(motifs: np.ndarray, confidence: np.ndarray, total: int, most: int = 4) -> str:
    """Say how many columns are selected, of which motifs, and how sure these are.

    Parameters
    ----------
    motifs, confidence : (s,) array
        Of the selected columns.
    total : int
        Columns there are.
    most : int
        Motifs named.

    Returns
    -------
    str
    """
    if not len(motifs):
        return f"{total:,} columns, none selected"
    kinds, counts = np.unique(motifs, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    named = [
        f"{count:,} {'unassigned' if kind < 0 else f'of motif {kind}'}"
        for kind, count in zip(kinds[order].tolist(), counts[order].tolist(), strict=True)
    ]
    if len(named) > most:
        named = [*named[:most], f"{len(named) - most} more motifs"]
    return (
        f"{len(motifs):,} of {total:,} columns: {', '.join(named)}; "
        f"mean confidence {float(np.mean(confidence)):.2f}"
    )
