"""Anchor motifs, for micrographs whose features vary without gaps, and labels by the nearest of them.

In a twisted bilayer the stacking passes through every shift of the layers, so there are no classes to find.
At the stackings of high symmetry, though, every feature that a rotation or a mirror leaves alone is
stationary: there features are densest, and such a point can represent the columns around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.shown import one_line
from motifgpu.features.symmetries import symmetry
from motifgpu.features.zernike import rotation_invariants

_NEIGHBORS = 64  # among which a denser point is searched for before all points are
_PLACED = 0.02  # of the symmetric columns, whose places say which stacking a density maximum belongs to
_CANDIDATES = 12  # density maxima that are examined
_SAME_PLACE = 0.3  # of the distance between stackings: peaks nearer than this are one stacking's


@dataclass(frozen=True, eq=False)
class Anchors:
    """Features of c columns, each of which represents a structure.

    Attributes
    ----------
    features : (c, m) array
        Rotation-invariant moments.
    labels : (c,) int32 ndarray
        The structure that each represents; several anchors may represent the same.
    rows : (c,) int64 ndarray
        The column that each was taken at.
    """

    features: Array
    labels: np.ndarray
    rows: np.ndarray

    __repr__ = one_line


def given_anchors(
    moments: Array, rows: Sequence[int] | np.ndarray, labels: Sequence[int] | None = None
) -> Anchors:
    """Take chosen columns as anchors.

    Parameters
    ----------
    moments : (n, n_moments) array
        Zernike moments of the columns' patches.
    rows : sequence of int
        Which columns are anchors.
    labels : sequence of int, optional
        The structure that each represents; numbered in order when left out. Choose a few columns for each
        domain, since patches on different sites of one stacking differ.

    Returns
    -------
    Anchors

    Raises
    ------
    StageError
        If there are no rows, one does not exist, or the labels are not as many.

    Examples
    --------
    Take three columns, one in the middle of a domain of each stacking, as anchors:

    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.bilayer(shape=(256, 256), twist=8.0, lattice_constant=12.0, counts=100.0)
    >>> patches, inside = motifgpu.extract_patches(made.image, made.points, 24, side=20.0)
    >>> moments, points = motifgpu.zernike_moments(patches), made.points[inside]
    >>> middles = [made.domains[made.domain_labels == stacking][3] for stacking in range(3)]
    >>> rows = [np.linalg.norm(points - middle, axis=1).argmin() for middle in middles]
    >>> anchors = motifgpu.given_anchors(moments, rows)
    >>> anchors.features.shape, anchors.labels.tolist()
    ((3, 36), [0, 1, 2])
    """
    features = rotation_invariants(moments)
    chosen = np.asarray(rows)
    if chosen.ndim != 1 or chosen.size == 0 or chosen.dtype.kind not in "iu":
        raise StageError("anchors", f"rows are {rows!r}", "give the number of at least one column")
    if chosen.min() < 0 or chosen.max() >= features.shape[0]:
        raise StageError(
            "anchors",
            f"rows reach from {chosen.min()} to {chosen.max()} and there are {features.shape[0]} columns",
            "give numbers of columns, 0 the first",
        )
    names = np.arange(len(chosen)) if labels is None else np.asarray(labels)
    if names.shape != chosen.shape or names.dtype.kind not in "iu" or names.min() < 0:
        raise StageError(
            "anchors",
            f"labels are {labels!r} for {len(chosen)} anchors",
            "give one whole number of at least 0 for each",
        )
    taken = namespace.array_namespace(features).take(features, namespace.from_numpy(chosen, features), axis=0)
    return Anchors(taken, names.astype(np.int32), chosen.astype(np.int64))


def induce_anchors(
    moments: Array, points: Any, count: int = 3, *, fold: int = 3, neighbors: int = 40
) -> Anchors:
    """Find anchors at density maxima of the features of symmetric patches.

    Among the half of the columns whose patches are more symmetric under the rotation, density maxima of the
    features are found. Maxima that belong to one stacking, on different sites of its cell, stand in the same
    places; those of different stackings are separate.

    Parameters
    ----------
    moments : (n, n_moments) array
        Zernike moments of the columns' patches, of the paper's size and from a smoothed image.
    points : (n, 2) array
        Columns as (row, col), px.
    count : int
        Number of stackings that differ by more than a turn or a mirror: 3 for AA', A'B and AB', and 2 for AA
        and AB, of which BA is the mirror image.
    fold : int
        Rotation that the stackings have, 3 for hexagonal layers.
    neighbors : int
        Features that density is measured over, and that are averaged for an anchor.

    Returns
    -------
    Anchors
        Labelled 0 to count - 1; one or more anchors per stacking.

    Raises
    ------
    StageError
        If the moments are not those of a whole order or not finite, the points are not as many, there are
        fewer than four times as many columns as neighbours, all patches are equal, or a number is out of
        range.

    Notes
    -----
    Density peaks after A. Rodriguez and A. Laio, Science 344, 1492 (2014), with distances in units of the
    local spacing. On the host. In all nine cases of Fig. S22 of Dan et al., Science Advances 8, eabk1005
    (2022), the three stackings are AA', A'B and AB'; the label of the nearest is right for 65 to 84 % of the
    columns, and for 74 to 95 % of those within a quarter of a moire length of a domain's middle.

    Examples
    --------
    Find anchors of the three stackings of a twisted bilayer, and label columns of the first layer by them:

    >>> import motifgpu
    >>> made = motifgpu.simulate.bilayer(shape=(256, 256), twist=8.0, lattice_constant=12.0, counts=100.0)
    >>> points = made.points[made.layer == 0]
    >>> patches, inside = motifgpu.extract_patches(motifgpu.smooth(made.image), points, 24, side=20.8)
    >>> moments = motifgpu.zernike_moments(patches)
    >>> anchors = motifgpu.induce_anchors(moments, points[inside], count=3)
    >>> labels, distance = motifgpu.label_by_anchors(moments, anchors)
    >>> sorted(set(labels.tolist()))
    [0, 1, 2]
    """
    count = check_integer(count, "anchors", "count", 1, _CANDIDATES)
    features = rotation_invariants(moments)
    neighbors = check_integer(neighbors, "anchors", "neighbors", 2)
    _, given = check_array(points, "anchors", "points", 2)
    places = namespace.to_numpy(given).astype(np.float64)
    if places.shape != (features.shape[0], 2):
        raise StageError(
            "anchors",
            f"points have shape {places.shape} for {features.shape[0]} columns",
            "give (row, col) for each",
        )
    if features.shape[0] < 4 * neighbors:
        raise StageError(
            "anchors",
            f"there are {features.shape[0]} columns and density is measured over {neighbors} of them",
            f"give at least {4 * neighbors} columns, or take fewer neighbours",
        )
    score = namespace.to_numpy(symmetry(moments, fold))
    rows = np.flatnonzero(score >= np.median(score))
    host = namespace.to_numpy(features).astype(np.float64)[rows]
    tree = cKDTree(host)
    spacing = tree.query(host, neighbors + 1)[0][:, -1]
    if not spacing.any():
        raise StageError("anchors", "the features of all patches are equal", "give patches that differ")
    spacing = np.maximum(spacing, 1e-9 * spacing.max())
    clear = _to_denser(host, tree, spacing) / spacing
    peaks = np.argsort(-clear, kind="stable")[:_CANDIDATES]
    members = tree.query(host[peaks], neighbors)[1]
    placed = tree.query(host[peaks], max(neighbors, round(_PLACED * len(rows))))[1]
    labels = _by_place([places[rows[each]] for each in placed], count)
    kept = np.flatnonzero(labels >= 0)
    return Anchors(
        namespace.as_like(host[members[kept]].mean(axis=1), features),
        labels[kept],
        rows[peaks[kept]].astype(np.int64),
    )


def _by_place(places: list[np.ndarray], count: int) -> np.ndarray:
    """Group peaks by where their members stand, and return the group of each, or -1 for one between groups.

    The clearest peak begins the first group, and the peak farthest from all groups each next one.
    """
    trees = [cKDTree(each) for each in places]
    apart = np.array([[float(np.median(tree.query(each)[0])) for tree in trees] for each in places])
    apart = np.maximum(apart, apart.T)
    chosen = [0]
    while len(chosen) < count:
        chosen.append(int(np.argmax(apart[chosen].min(axis=0))))
    between = apart[np.ix_(chosen, chosen)][~np.eye(count, dtype=bool)]
    limit = _SAME_PLACE * between.min() if count > 1 else np.inf
    labels: np.ndarray = np.argmin(apart[chosen], axis=0).astype(np.int32)
    labels[apart[chosen].min(axis=0) > limit] = -1
    labels[chosen] = np.arange(count)
    return labels


def _to_denser(features: np.ndarray, tree: cKDTree, spacing: np.ndarray) -> np.ndarray:
    """Return the distance from each feature to the nearest denser one; from the densest, to the farthest."""
    reach = min(_NEIGHBORS, len(features))
    distance, near = tree.query(features, reach)
    rank = np.empty(len(features), np.int64)
    rank[np.argsort(spacing, kind="stable")] = np.arange(len(features))
    denser = rank[near] < rank[:, None]
    result = np.where(denser.any(axis=1), distance[np.arange(len(features)), denser.argmax(axis=1)], np.nan)
    for row in np.flatnonzero(np.isnan(result)):
        away = np.linalg.norm(features - features[row], axis=1)
        others = rank < rank[row]
        result[row] = away[others].min() if others.any() else away.max()
    return result


def label_by_anchors(moments: Array, anchors: Anchors) -> tuple[Array, Array]:
    """Label every column by the anchor that its features are nearest to.

    Parameters
    ----------
    moments : (n, n_moments) array
        Zernike moments of the columns' patches.
    anchors : Anchors

    Returns
    -------
    labels : (n,) int32 array
        Those of the anchors.
    distance : (n,) array
        Euclidean distance to the nearest anchor.

    Raises
    ------
    StageError
        If the moments are not those of a whole order or not finite, or of another order than the anchors'.

    Notes
    -----
    Fig. 5B of Dan et al., Science Advances 8, eabk1005 (2022). `motifgpu.structure.cells` composes these
    labels to a hierarchy as it does any others.

    Examples
    --------
    An anchor is nearest to itself; other columns get the label of the anchor that they resemble most:

    >>> import motifgpu
    >>> made = motifgpu.simulate.patches(
    ...     (5, 5), folds=(3, 6), centers=(1.0, 1.0), size=32, distance=8, sigma=2
    ... )
    >>> moments = motifgpu.zernike_moments(made.patches)
    >>> anchors = motifgpu.given_anchors(moments, rows=[0, 5])
    >>> labels, distance = motifgpu.label_by_anchors(moments, anchors)
    >>> labels.tolist()
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    """
    features = rotation_invariants(moments)
    if features.shape[1] != anchors.features.shape[1]:
        raise StageError(
            "anchors",
            f"there are {features.shape[1]} features per column and {anchors.features.shape[1]} per anchor",
            "take moments of the same order",
        )
    xp = namespace.array_namespace(features)
    centres: Any = namespace.as_like(namespace.to_numpy(anchors.features), features)
    # One anchor at a time: differences keep the digits that a product of large features loses.
    squared = xp.stack(
        [xp.sum((features - centres[c, :][None, :]) ** 2, axis=1) for c in range(centres.shape[0])], axis=1
    )
    nearest = xp.argmin(squared, axis=1)
    labels = xp.take(namespace.from_numpy(anchors.labels, features), nearest)
    return labels, xp.sqrt(xp.min(squared, axis=1))
