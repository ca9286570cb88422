"""Labels of columns whose patches are cut, from those of whole ones.

They take no part in finding motifs. What is seen of each is held against what whole patches of every motif
are like: its pattern by all that is seen, and among motifs of one pattern, such as a vacancy and its host, by
what is round about the centre. A motif is likelier where whole columns nearby have it, so that a column gets
the motif of its own grain.

Measured on simulated monolayers with 5 % vacancies (seeds 100 to 109; AMI of the motifs of cut columns with
the truth, in brackets that of whole ones): MoSe2 at a = 22 px 1.00 (1.00) at 10 counts at the peaks and 0.996
(1.00) at 3, at a = 9 px and 10 counts 0.96 (1.00); WS2 at 10 counts 0.92 (0.98), where S vacancies are hardly
darker than their host.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.core import namespace
from motifgpu.core.namespace import Array, from_numpy, to_numpy
from motifgpu.features.cut_patches import Modes, Seen
from motifgpu.motifs.averages import mean_rows
from motifgpu.motifs.find import Motifs

# Whole columns around that say which motifs are likely, and the weight of all others beside them, in columns.
_NEARBY, _ANYWHERE = 30, 5.0
# Motifs are of one pattern where the means of their moments, but for what is round about the centre, differ
# by less than this many standard deviations inside motifs.
_ONE_PATTERN = 6.0
# Modes by which columns are alike there.
_MODES = 6
# Variance that is allowed round about the centre, in squared distances of the motifs of a pattern.
_OPEN = 10.0
# A column of the layout stands in the middle of so many whole ones that are most like it.
_LIKE = 5


def with_cut_columns(motifs: Motifs, moments: Array, seen: Seen, points: Array, whole: Array) -> Motifs:
    """Return motifs of all columns, from those of the whole ones.

    Parameters
    ----------
    motifs : Motifs
        Of the w whole columns.
    moments : (w, n_moments) array
        Theirs.
    seen : Seen
        What is seen of the n - w others.
    points : (n, 2) array
        Positions of all, px.
    whole : (n,) bool array
        Which are whole.

    Returns
    -------
    Motifs
        Numbered as those of the whole columns. Environments are -1 where a patch is cut: the neighbours are
        not all seen.
    """
    labels, where, there = to_numpy(motifs.labels), to_numpy(points), to_numpy(whole)
    found, confidence = _classified(labels, to_numpy(moments), seen, where, there)
    like = _nearest_alike(labels, found, where, there)
    counts = to_numpy(motifs.counts)
    counts = counts + np.bincount(found[found >= 0], minlength=counts.size)
    of_cut: dict[str, np.ndarray] = {
        "labels": found,
        "confidence": confidence,
        "environments": np.full(found.size, -1),
        "environment_confidence": np.zeros(found.size),
    }
    changed: dict[str, Any] = {"counts": from_numpy(counts, motifs.counts)}
    for field in fields(motifs):
        values = getattr(motifs, field.name)
        if field.name in of_cut:
            changed[field.name] = _joined(values, of_cut[field.name], whole)
        elif field.name not in ("counts", "means", "notes", "names"):
            # What else is said of a column follows from the motif and from where it is.
            host = to_numpy(values)
            given = host[like] if host.dtype.kind in "iu" else np.minimum(host[like], confidence)
            changed[field.name] = _joined(values, given, whole)
    return replace(motifs, **changed)


def _nearest_alike(
    labels: np.ndarray, found: np.ndarray, points: np.ndarray, whole: np.ndarray
) -> np.ndarray:
    """Return the nearest whole column (n,) of the motif of each cut one."""
    nearest = np.zeros(found.size, np.int64)
    for kind in np.unique(found):
        same = np.flatnonzero(labels == kind)
        if same.size:
            _, near = cKDTree(points[whole][same]).query(points[~whole][found == kind])
            nearest[found == kind] = same[near]
    return nearest


def with_cut_moments(moments: Array, seen: Seen, whole: Array) -> Array:
    """Return moments (n, n_moments) of all columns, from those of whole ones and what is seen of others."""
    return _joined(moments, seen.moments(), whole)


def with_cut_places(layout: Array, moments: Array, labels: Array, whole: Array, modes: Modes) -> Array:
    """Return where all columns stand in the layout (n, 2); the whole ones (w, 2) stay where they are.

    A cut column stands in the middle of the whole ones of its motif that are most like it, along the first
    modes.

    Parameters
    ----------
    layout : (w, 2) array
    moments : (n, n_moments) array
    labels : (n,) array
    whole : (n,) bool array
    modes : Modes
    """
    host, there = to_numpy(layout), to_numpy(whole)
    own, label = modes.first(_MODES).along(to_numpy(moments)), to_numpy(labels)
    kinds = label[~there]
    place = np.empty((kinds.size, 2), host.dtype)
    for kind in np.unique(kinds):
        rows, same = np.flatnonzero(kinds == kind), np.flatnonzero(label[there] == kind)
        if not same.size:
            same = np.arange(len(host))
        _, near = cKDTree(own[there][same]).query(own[~there][rows], min(_LIKE, same.size))
        place[rows] = host[same[near]].reshape(rows.size, -1, 2).mean(axis=1)
    return _joined(layout, from_numpy(place, layout), whole)


def _joined(values: Array, of_cut: Array, whole: Array) -> Array:
    """Return values (n, ...) of all columns, from those of the whole (w, ...) and those of the cut ones."""
    xp = namespace.array_namespace(values)
    if isinstance(of_cut, np.ndarray):
        of_cut = from_numpy(of_cut.astype(namespace.dtype_name(values)), values)
    one = xp.cumulative_sum(xp.astype(whole, xp.int64)) - 1
    other = values.shape[0] - 1 + xp.cumulative_sum(xp.astype(~whole, xp.int64))
    every = xp.concat([values, xp.astype(of_cut, values.dtype)], axis=0)
    return xp.take(every, xp.where(whole, one, other), axis=0)


def _classified(
    labels: np.ndarray, moments: np.ndarray, seen: Seen, points: np.ndarray, whole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return label and probability (n,) of every cut column."""
    number = seen.right.shape[0]
    kinds, members = np.unique(labels[labels >= 0], return_counts=True)
    if not kinds.size or not number:
        return np.full(number, -1), np.zeros(number)
    modes = seen.modes
    own = modes.along(moments)
    place = np.where(labels >= 0, np.searchsorted(kinds, labels), -1)
    means = mean_rows(own, place, members)
    inside = (own - means[np.maximum(place, 0)]) * (labels >= 0)[:, None].astype(np.float64)
    within = inside.T @ inside / max(int(members.sum()) - kinds.size, 1) + 1e-6 * np.diag(modes.variance)
    near = _nearby(labels, kinds, points, whole)
    prior = np.log(near + _ANYWHERE * members / members.sum())
    joint = prior + seen.log_likelihood(means, within)
    centre = modes.round_about
    pattern = _patterns(means, within, centre)
    share = _shares(joint)
    of_pattern = np.stack([share[:, pattern == p].sum(axis=1) for p in range(pattern.max() + 1)], axis=1)
    if len(of_pattern.T) < len(kinds):
        for p in range(pattern.max() + 1):
            alike = np.flatnonzero(pattern == p)
            if len(alike) > 1:
                # Round about the centre nothing is presumed, or rare motifs would be drawn to the usual one.
                usual = means[alike[members[alike].argmax()]]
                widest = float(((means[alike] - usual) ** 2).sum(axis=1).max())
                open_centre = within + _OPEN * widest * centre.T @ centre
                fitted, spread = seen.fitted(usual, open_centre)
                inner = prior[:, alike] + np.stack(
                    [_by_centre(centre, fitted, spread, means[c], within) for c in alike], axis=1
                )
                share[:, alike] = of_pattern[:, p : p + 1] * _shares(inner)
    best = share.argmax(axis=1)
    return kinds[best], share.max(axis=1)


def _by_centre(
    centre: np.ndarray, fitted: np.ndarray, spread: np.ndarray, mean: np.ndarray, within: np.ndarray
) -> np.ndarray:
    """Return the logarithm (n,) of the likelihood of what is round about the centre."""
    apart = (fitted - mean) @ centre.T
    covariance = centre @ ((spread + within) @ centre.T)
    weighed = np.linalg.solve(covariance, apart[:, :, None])[:, :, 0]
    found: np.ndarray = -0.5 * ((apart * weighed).sum(axis=1) + np.linalg.slogdet(covariance)[1])
    return found


def _patterns(means: np.ndarray, within: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return which motifs (c,) have one pattern, numbered from 0."""
    rest = np.linalg.svd(centre, full_matrices=True)[2][len(centre) :]
    pattern = np.arange(len(means))
    if not len(rest):
        return np.zeros_like(pattern)
    weight = np.linalg.inv(rest @ within @ rest.T)
    for one in range(len(means)):
        for other in range(one):
            apart = rest @ (means[one] - means[other])
            if apart @ weight @ apart < _ONE_PATTERN**2:
                pattern[pattern == pattern[one]] = pattern[other]
    numbers: np.ndarray = np.unique(pattern, return_inverse=True)[1].reshape(-1)
    return numbers


def _shares(joint: np.ndarray) -> np.ndarray:
    share = np.exp(joint - joint.max(axis=1, keepdims=True))
    found: np.ndarray = share / share.sum(axis=1, keepdims=True)
    return found


def _nearby(labels: np.ndarray, kinds: np.ndarray, points: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return how many whole columns around each cut one have each motif (n, c)."""
    count = min(_NEARBY, len(labels))
    _, nearest = cKDTree(points[whole]).query(points[~whole], count)
    around = labels[np.reshape(nearest, (-1, count))]
    return np.stack([(around == kind).sum(axis=1) for kind in kinds], axis=1)
