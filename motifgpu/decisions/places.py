"""Columns by where they are, and motifs by a column of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.decisions.decision import STAGE, Place

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

# How far a column may be from where it was, in distances to the nearest column.
_REACH = 0.35


def rounded(points: np.ndarray) -> tuple[Place, ...]:
    """Return points (k, 2) as places of a decision."""
    return tuple((row, col) for row, col in np.round(points.astype(np.float64), 2).tolist())


def find_rows(points: Array, places: Any) -> np.ndarray:
    """Return which of the points (n, 2) stands at each of k places: (k,) int64, -1 where none does."""
    host = to_numpy(points).astype(np.float64)
    wanted = np.asarray(places, dtype=np.float64).reshape(-1, 2)
    if not len(host):
        return np.full(len(wanted), -1)
    tree = cKDTree(host)
    apart = np.median(tree.query(host, 2)[0][:, 1]) if len(host) > 1 else np.inf
    distance, row = tree.query(wanted)
    return np.where(distance <= _REACH * apart, row, -1).astype(np.int64)


def on_data(analysis: Analysis, places: Any) -> np.ndarray:
    """Say which of k places are in the image and on data: (k,) bool."""
    pixel = np.round(np.asarray(places, np.float64).reshape(-1, 2)).astype(np.int64)
    inside: np.ndarray = np.all((pixel >= 0) & (pixel < np.array(analysis.micrograph.shape)), axis=1)
    valid = analysis.micrograph.valid
    if valid is not None:
        row, col = np.where(inside[:, None], pixel, 0).T
        inside &= to_numpy(valid)[row, col]
    return inside


def chosen_places(analysis: Analysis, columns: Any) -> tuple[Place, ...]:
    """Return where the columns are that a person chose.

    Parameters
    ----------
    analysis : Analysis
    columns : (m,) bool array, (k,) int array or (k, 2) array_like
        Which of `Analysis.points`, or where columns are, (row, col) px.

    Raises
    ------
    StageError
        If there is none, or they are something else.
    """
    given = to_numpy(columns) if hasattr(columns, "shape") else np.asarray(columns)
    points = to_numpy(analysis.points)
    if given.dtype == bool and given.shape == (len(points),):
        rows = np.flatnonzero(given)
    elif given.dtype.kind in "iu" and given.ndim == 1:
        rows = np.unique(given)
        if rows.size and not 0 <= rows[0] <= rows[-1] < len(points):
            raise StageError(
                STAGE, f"column {rows[-1]} of {len(points)} is chosen", "give rows of analysis.points"
            )
    elif given.dtype.kind in "iuf" and given.ndim == 2 and given.shape[1] == 2:
        if not np.isfinite(given).all():
            raise StageError(STAGE, "a place is not finite", "give (row, col) in px")
        return _some(rounded(given))
    else:
        raise StageError(
            STAGE,
            f"columns are an array of {given.dtype} and shape {given.shape}",
            f"give a mask ({len(points)},), rows of analysis.points, or places (k, 2) as (row, col)",
        )
    return _some(rounded(points[rows]))


def _some(places: tuple[Place, ...]) -> tuple[Place, ...]:
    if not places:
        raise StageError(STAGE, "0 columns are chosen", "choose one at least")
    return places


def typical_place(analysis: Analysis, motif: int) -> Place:
    """Return where the column is that is most like the mean of a motif.

    Raises
    ------
    StageError
        If no column has that motif.
    """
    labels = to_numpy(analysis.motifs.labels)
    rows = np.flatnonzero(labels == motif)
    if not rows.size or motif < 0:
        known = ", ".join(map(str, np.unique(labels[labels >= 0]).tolist()))
        raise StageError(STAGE, f"no column has motif {motif}", f"choose from motifs {known}")
    xp = namespace.array_namespace(analysis.moments)
    moments = xp.take(analysis.moments, namespace.from_numpy(rows, analysis.moments), axis=0)
    apart = moments - xp.mean(moments, axis=0)
    nearest = rows[to_numpy(xp.sum(apart * apart, axis=1)).argmin()]
    return rounded(to_numpy(analysis.points)[nearest : nearest + 1])[0]


def said_missing(places: Any, rows: np.ndarray, what: str) -> str:
    """Say which of some places have no column; empty where all have one."""
    gone = np.flatnonzero(rows < 0)
    if not gone.size:
        return ""
    row, col = places[gone[0]]
    return f"{gone.size} of {len(rows)} columns {what}, such as at ({row:.2f}, {col:.2f})"
