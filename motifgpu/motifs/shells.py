"""The motifs in the neighbour shells of each motif (paper, Fig. 1H and 3E).

Runs on the host, on two numbers and a label per column.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from motifgpu.core.checks import check_array, check_integer, check_labels
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.core.shown import one_line

_SAMPLE = 4000  # columns whose distances make the histogram
_REACH = 3.5  # in nearest-neighbour distances, how far the histogram goes
_BIN = 0.02  # in nearest-neighbour distances
_PROMINENCE = 0.05  # of a shell's peak in the radial density, relative to the highest


@dataclass(frozen=True, eq=False)
class NeighborShells:
    """The composition of k neighbour shells around the columns of c motifs.

    Attributes
    ----------
    radii : (k + 1,) float64 ndarray
        Limits of the shells, px: shell s reaches from ``radii[s]`` to ``radii[s + 1]``.
    columns : (k, c) int64 ndarray
        Columns of each motif whose shell lies inside the area of the points; the others are left out.
    mean : (k, c, c) float64 ndarray
        ``mean[s, a, b]`` is the mean number of columns of motif b in shell s of a column of motif a.
    multisets : tuple of tuple of tuple of ((int, ...), int)
        ``multisets[s][a]`` lists the contents of shell s of motif a, the most frequent first: the sorted
        motifs of the neighbours, -1 for unassigned ones, and the number of columns with this content.

    Examples
    --------
    What is around molybdenum where some selenium columns lack an atom, the most frequent first?

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), lattice_constant=16.0, vacancies=0.1)
    >>> shells = motifgpu.neighbor_shells(made.points, made.labels)
    >>> for motifs, count in shells.multisets[0][made.names.index("Mo")][:2]:
    ...     print([made.names[motif] for motif in motifs])
    ['Se2', 'Se2', 'Se2']
    ['Se2', 'Se2', 'V_Se']
    >>> bool((shells.radii[1:] > shells.radii[:-1]).all())
    True
    """

    radii: np.ndarray
    columns: np.ndarray
    mean: np.ndarray
    multisets: tuple[tuple[tuple[tuple[tuple[int, ...], int], ...], ...], ...]

    __repr__ = one_line


def neighbor_shells(
    points: Array, labels: Array, n_shells: int = 2, *, radii: Sequence[float] | None = None
) -> NeighborShells:
    """Count the motifs in the neighbour shells of each motif.

    Parameters
    ----------
    points : (N, 2) array
        Columns as (row, col), px; predicted but empty sites among them.
    labels : (N,) integer array
        Motif of each, negative for none.
    n_shells : int
        Number of shells; fewer are returned where the distances show fewer.
    radii : sequence of float, optional
        Limits of the shells, px, instead of those found.

    Returns
    -------
    NeighborShells

    Raises
    ------
    StageError
        If the points are not (N, 2) and finite, the labels not (N,) and integers, or the radii do not
        increase.

    Notes
    -----
    Shells are the peaks of the density of pairs against their distance, separated at the minima between them.
    A shell is complete when it lies inside the bounding box of the points, so a column missing inside the
    image makes a shell smaller and does not exclude it.

    Examples
    --------
    Molybdenum in MoSe2 has three selenium columns around it, and then six molybdenum columns:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192))
    >>> shells = motifgpu.neighbor_shells(made.points, made.labels)
    >>> molybdenum = made.names.index("Mo")
    >>> for shell in range(2):
    ...     around = shells.mean[shell, molybdenum]
    ...     print({made.names[motif]: float(around[motif]) for motif in range(2) if around[motif] > 0})
    {'Se2': 3.0}
    {'Mo': 6.0}
    """
    _, points = check_array(points, "shells", "points", 2)
    if points.shape[1] != 2:
        raise StageError("shells", f"points have shape {tuple(points.shape)}", "give (row, col) for each")
    place = to_numpy(points).astype(np.float64)
    motif = np.maximum(check_labels(labels, "shells", len(place)), -1)
    n_shells = check_integer(n_shells, "shells", "n_shells", 1)
    tree = cKDTree(place)
    if radii is None:
        limits = _shell_limits(tree, n_shells)
    else:
        limits = np.asarray(radii, dtype=np.float64)
        if limits.ndim != 1 or limits.size < 2 or limits[0] < 0 or not np.all(np.diff(limits) > 0):
            raise StageError("shells", f"radii are {radii}", "give two or more rising numbers from 0 on")
    kinds = int(motif.max(initial=-1)) + 1
    shells = limits.size - 1
    columns = np.zeros((shells, kinds), dtype=np.int64)
    mean = np.zeros((shells, kinds, kinds))
    multisets = []
    if shells:
        pairs = tree.query_pairs(limits[-1], output_type="ndarray")
        distance = np.linalg.norm(place[pairs[:, 0]] - place[pairs[:, 1]], axis=1)
        to_border = np.minimum(place - place.min(axis=0), place.max(axis=0) - place).min(axis=1)
    for s in range(shells):
        inside = pairs[(distance >= limits[s]) & (distance < limits[s + 1])]
        ends = np.concatenate([inside, inside[:, ::-1]])
        # Unassigned neighbours are counted in column 0, motif m in m + 1.
        cell = ends[:, 0] * (kinds + 1) + motif[ends[:, 1]] + 1
        held = np.bincount(cell, minlength=len(place) * (kinds + 1)).reshape(len(place), kinds + 1)
        complete = (to_border >= limits[s + 1]) & (motif >= 0)
        by_motif = []
        for a in range(kinds):
            around = held[complete & (motif == a)]
            columns[s, a] = len(around)
            mean[s, a] = around[:, 1:].sum(axis=0) / max(len(around), 1)
            by_motif.append(_multisets(around))
        multisets.append(tuple(by_motif))
    return NeighborShells(limits, columns, mean, tuple(multisets))


def _multisets(held: np.ndarray) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Return the distinct rows of counts as sorted motifs, with how often each occurs, most often first."""
    rows, number = np.unique(held, axis=0, return_counts=True)
    order = np.argsort(-number, kind="stable")
    motifs = np.arange(-1, held.shape[1] - 1)
    return tuple((tuple(np.repeat(motifs, rows[i]).tolist()), int(number[i])) for i in order)


def _shell_limits(tree: cKDTree, n_shells: int) -> np.ndarray:
    """Return the limits (k + 1,) of up to `n_shells` shells, empty where no shell shows."""
    if tree.n < 3:
        return np.zeros(1)
    step = max(1, tree.n // _SAMPLE)
    nearest = float(np.median(tree.query(tree.data[::step], 2)[0][:, 1]))
    if nearest == 0.0:  # duplicates, most of them
        return np.zeros(1)
    reach = nearest * (_REACH + 0.5 * (n_shells - 2 if n_shells > 2 else 0))
    found = cKDTree(tree.data[::step]).sparse_distance_matrix(tree, reach, output_type="ndarray")["v"]
    edges = np.arange(0.0, reach, _BIN * nearest)
    middle = 0.5 * (edges[1:] + edges[:-1])
    density = np.histogram(found[found > 0], edges)[0] / middle
    density = ndimage.gaussian_filter1d(density, 2.0, mode="constant")
    peaks = _peaks(density, _PROMINENCE * float(density.max()))
    limits = [0.5 * middle[peaks[0]]] if peaks.size else [0.0]
    for peak, following in itertools.islice(itertools.pairwise(peaks), n_shells):
        limits.append(float(middle[peak + np.argmin(density[peak:following])]))
    return np.array(limits)


def _peaks(curve: np.ndarray, prominence: float) -> np.ndarray:
    """Return the maxima (k,) of at least a prominence, as ``scipy.signal`` does, which is slow to import."""
    peaks = 1 + np.flatnonzero((curve[1:-1] > curve[:-2]) & (curve[1:-1] >= curve[2:]))
    found = []
    for peak in peaks:
        # Between a peak and higher ground on either side, or the end of the curve, is its base.
        higher = np.flatnonzero(curve > curve[peak])
        left, right = higher[higher < peak], higher[higher > peak]
        before = curve[left[-1] if left.size else 0 : peak + 1].min()
        after = curve[peak : right[0] + 1 if right.size else curve.size].min()
        found.append(curve[peak] - max(before, after) >= prominence)
    kept: np.ndarray = peaks[np.array(found, dtype=bool)]
    return kept
