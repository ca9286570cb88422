"""Environments after decisions: what a column is, and which motifs its neighbours are, in each direction."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.features.windows import neighbor_positions

# How far from where a motif shows a neighbour the column may be that it is, in patch radii.
_REACH = 0.2
NOTHING = -2  # where there is no column


def neighbors_seen(
    points: np.ndarray, labels: np.ndarray, means: np.ndarray, order: int, side: float
) -> np.ndarray:
    """Return the neighbours of columns where the mean patches of their motifs show some.

    Parameters
    ----------
    points : (m, 2) ndarray
        Columns, (row, col) px.
    labels : (m,) int ndarray
        Their motifs, negative for none.
    means : (c, n_moments) ndarray
        Mean moments of the motifs.
    order : int
        Highest radial order of the moments.
    side : float
        Of a patch, px.

    Returns
    -------
    (m, p) int64 ndarray
        Rows of the neighbours, each direction in a place of its own; m where there is none.
    """
    tree, directions = cKDTree(points), {}
    for motif in np.unique(labels[labels >= 0]).tolist():
        directions[motif] = neighbor_positions(means[motif].astype(np.float64), order) * (0.5 * side)
    found = np.full((len(points), max(map(len, directions.values()), default=0)), len(points))
    for motif, place in directions.items():
        rows = np.flatnonzero(labels == motif)
        there = points[rows, None] + place[:, ::-1] * [-1, 1]  # (x, y), y upwards
        found[rows, : len(place)] = tree.query(there, distance_upper_bound=_REACH * 0.5 * side)[1]
    return found


def environments_after(
    environments: np.ndarray,
    before: np.ndarray,
    labels: np.ndarray,
    neighbors: np.ndarray,
    beside: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return environments after columns got other motifs.

    A column whose motif changed, or that of a neighbour, has the environment of the columns that are the same
    and have the same around them, and a new one where there are none. All others keep theirs.

    Parameters
    ----------
    environments : (m,) int ndarray
        -1 for none, as where a patch is cut.
    before, labels : (m,) int ndarray
        Motifs before and now, negative for none; -2 before for a column that was not there.
    neighbors : (m, p) int ndarray
        Of `neighbors_seen`.
    beside : (m,) bool ndarray, optional
        Which columns may have had a neighbour that is gone.

    Returns
    -------
    environments : (m,) int64 ndarray
        Each is inside one motif.
    changed : (m,) bool ndarray
        Which columns may have another one.
    """
    around = [np.append(motifs, NOTHING)[neighbors] for motifs in (before, labels)]
    changed = (before != labels) | (around[0] != around[1]).any(axis=1)
    changed = (environments >= 0) & (changed if beside is None else changed | beside)
    found = np.where(labels >= 0, environments, -1).astype(np.int64)
    rows = np.flatnonzero(found >= 0)
    kind = np.unique(np.column_stack([labels, around[1]])[rows], axis=0, return_inverse=True)[1].reshape(-1)
    anew = changed[rows]
    used = set(found[rows[~anew]].tolist())
    following = int(environments.max(initial=-1)) + 1
    each, often = np.unique(kind[anew], return_counts=True)
    for one in each[np.argsort(-often, kind="stable")].tolist():
        mine = rows[anew & (kind == one)]
        same = found[rows[~anew & (kind == one)]]
        if same.size:
            found[mine] = np.bincount(same).argmax()
            continue
        own = int(np.bincount(environments[mine]).argmax())  # as the largest part of a motif keeps its number
        if own in used:
            own, following = following, following + 1
        used.add(own)
        found[mine] = own
    return found, changed
