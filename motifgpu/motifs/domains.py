"""Domains: the grains, twins, stackings and phases of a sample, and the columns at boundaries and edges.

A domain is a region whose columns have patterns of their own, see `motifgpu.motifs.regions`. A column at a
boundary stands between two domains, or at the edge of the crystal, and has a pattern that fits none.

Runs on the host: medians over neighbours, and a few numbers per column.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from motifgpu.features.windows import window
from motifgpu.motifs.regions import AROUND, SMALLEST, divided, features, gap, separated, settled, together
from motifgpu.motifs.superlattices import taking_turns

_FEW = 8  # columns that have a mean patch
_FEWEST_MOMENTS = 15  # those of order 4; fewer show no pattern
_LIMIT = 12.0  # most that one feature says against a pattern, in variances
# A patch fits no domain when its squared deviation is above the median by this many times the distance from
# first decile to median (a robust 99 %), and above this share of the median of all such at the boundary:
# columns beside a boundary see it at the rim of their patches.
_MISFIT, _CLEARLY = 2.5, 0.35
# The same for the deviation along the two directions in which most columns at boundaries deviate.
_DIRECTIONS, _ALONG = 2, 0.25
# Neighbours are up to the first distance away, in that of nearest columns, and elsewhere than usual from the
# second on. Of so many columns it is seen where this share have one. Where one of the nearest (up to the last
# distance) or two others are elsewhere, as in rings of five and of seven, a column is at a boundary, and so
# sure is it; one farther off may be a vacancy.
_NEIGHBOURS, _ELSEWHERE, _SOME, _MOSTLY, _SURELY, _NEAREST = 2.3, 0.25, 40, 0.7, 0.9, 1.3
_BESIDE = 1.2  # distance from another domain, in that of the eighth neighbour, up to which one is beside it
# At the edge of a crystal neighbours leave an angle of this many degrees open, and of so many columns along
# it all but this share have patches that fit less well than this share of so many behind them: beside defects
# in the crystal only some do.
_OPEN, _AMONG, _MOST, _WORSE, _BEHIND = 115.0, 9, 0.25, 0.7, 25
_AWAY = 0.2  # least share of a row of them that is not along the border of all columns


class Domains(NamedTuple):
    """Which domain n columns are in.

    Attributes
    ----------
    of_column : (n,) int64 ndarray
        Domain, 0 to d - 1; -1 for columns at a boundary, which fit none.
    part : (n,) int64 ndarray
        Sublattice within the domain, that of columns at a boundary included.
    pattern : (n,) int64 ndarray
        The same, those being one that differ by taking turns alone.
    confidence : (n,) float64 ndarray
        Of the domain, or that the column is at a boundary.
    """

    of_column: np.ndarray
    part: np.ndarray
    pattern: np.ndarray
    confidence: np.ndarray


def one_domain(sublattice: np.ndarray) -> Domains:
    """Return that all columns are in one domain."""
    return Domains(np.zeros_like(sublattice), sublattice, sublattice, np.ones(sublattice.size))


def find_domains(moments: np.ndarray, order: int, points: np.ndarray, sublattice: np.ndarray) -> Domains:
    """Divide columns into domains.

    Parameters
    ----------
    moments : (n, n_moments) ndarray
        Zernike moments of patches that show the nearest columns around.
    order : int
        Highest radial order of the moments.
    points : (n, 2) ndarray
        Positions, px.
    sublattice : (n,) int64 ndarray
        Sublattice of each by the pattern of its patch.

    Returns
    -------
    Domains
    """
    if len(points) < 2 * SMALLEST or moments.shape[1] < _FEWEST_MOMENTS:
        return one_domain(sublattice)
    patterns = _patterns(moments)
    looks = features(patterns)[:, :-1]
    # Above the mean of the patch, whose A_00 it is: no background counts.
    brightness = moments[:, 1:] @ window(order)[1:]
    sublattice, pattern = taking_turns(looks, brightness, points, sublattice)
    # First without the contrast of column and neighbours, which distinguishes sublattices as well.
    part = divided(patterns, points, sublattice, slice(1, -1))
    part = divided(patterns, points, part, slice(0, -1))
    if part.max() == sublattice.max():
        # Phases of unlike brightness, where noise hides that their patterns differ as well.
        part = divided(patterns, points, part, slice(0, None), differing=True)
    # Where one sublattice is divided, others that stand among it are as well.
    whole = np.isin(sublattice, [k for k in np.unique(sublattice) if np.ptp(part[sublattice == k]) == 0])
    if whole.any() and not whole.all():
        also = divided(patterns[whole], points[whole], part[whole], slice(0, -1), too=True)
        part[whole] = part.max() + 1 + also
        part = np.unique(part, return_inverse=True)[1].reshape(-1)
    distance, around = cKDTree(points).query(points, AROUND + 1)
    around, reach = around[:, 1:], float(np.median(distance[:, -1]))
    domain = together(part, around)
    references = _References(looks, domain, part, around)
    if not len(references.domains):
        return one_domain(sublattice)._replace(pattern=pattern)
    domain, part, confidence = _assigned(references, looks, domain, part, around)
    if (np.bincount(domain) >= SMALLEST).sum() < 2:
        domain, part, pattern, confidence = one_domain(sublattice)._replace(pattern=pattern)
    else:
        # What differs too little in the whole sample may take turns in one of the domains.
        part, kept = taking_turns(looks, brightness, points, _within(domain, part))
        _, kept = np.unique(kept, return_inverse=True)
        pattern = np.array([np.bincount(pattern[kept == k]).argmax() for k in range(kept.max() + 1)])[kept]
    pattern, part = _within(domain, pattern), _within(domain, part)
    boundary, sure = _misfits(references, looks, domain, part, around, points, reach)
    confidence = np.where(boundary, sure, confidence * (1.0 - sure))
    return Domains(np.where(boundary, -1, domain), part, pattern, confidence)


def _within(domain: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return numbers for sublattices, which are others in another domain whatever their patterns."""
    pairs = np.stack([domain, part])
    return np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _patterns(moments: np.ndarray) -> np.ndarray:
    """Return the moments (n, k) that a slope or a bend of the background does not change, to speak of.

    Without the mean, the moments of order 1, and those of order 2 that have a direction; the one of order 2
    that has none comes first.
    """
    return np.delete(moments.astype(np.float64), (0, 1, 2, 3, 5), axis=1)


class _References:
    """What the columns of each part of each domain look like, where that domain alone is around them."""

    def __init__(self, looks: np.ndarray, domain: np.ndarray, part: np.ndarray, around: np.ndarray) -> None:
        inner = (domain >= 0) & (domain[around] == domain[:, None]).all(axis=1)
        domains, parts, means, variances = [], [], [], []
        # A part may have several kinds of columns, as far as the sublattice was not divided by pattern.
        kind = np.unique(np.stack([domain, part]), axis=1, return_inverse=True)[1].reshape(-1)
        kind = separated(np.where(inner, kind, -1), lambda rows: gap(looks[rows], None))
        for each in np.unique(kind[inner]).tolist():
            members = np.flatnonzero(inner & (kind == each))
            if len(members) >= _FEW:
                domains.append(domain[members[0]])
                parts.append(part[members[0]])
                means.append(looks[members].mean(axis=0))
                variances.append(looks[members].var(axis=0))
        self.domains, self.parts = np.array(domains), np.array(parts)
        self.means = np.array(means).reshape(-1, looks.shape[1])
        # A few columns have no variances of their own: half of each is the mean of all features.
        variance = np.array(variances).reshape(-1, looks.shape[1])
        self.variances = np.maximum(0.5 * (variance + variance.mean(axis=1, keepdims=True)), 1e-12)

    def squares(self, looks: np.ndarray, limit: float = np.inf) -> np.ndarray:
        """Return the squared deviations (n, r) from each, in variances, summed over features."""
        result = [
            np.minimum((looks - mean) ** 2 / variance, limit).sum(axis=1)
            for mean, variance in zip(self.means, self.variances, strict=True)
        ]
        return np.stack(result, axis=1)

    def deviations(self, looks: np.ndarray) -> np.ndarray:
        """Return the deviations (n, k) from the nearest, in standard deviations."""
        nearest = self.squares(looks).argmin(axis=1)
        deviation: np.ndarray = (looks - self.means[nearest]) / self.variances[nearest] ** 0.5
        return deviation


def _assigned(
    references: _References, looks: np.ndarray, domain: np.ndarray, part: np.ndarray, around: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put each column into the domain that its pattern and its neighbours say.

    Returns
    -------
    domain, part : (n,) int64 ndarray
        From 0 on; a column whose part is none of those of its domain has another part.
    confidence : (n,) float64 ndarray
    """
    costs = 0.5 * (references.squares(looks, _LIMIT) + np.log(references.variances).sum(axis=1))
    kinds = np.unique(references.domains)
    within = np.stack([costs[:, references.domains == kind].min(axis=1) for kind in kinds], axis=1)
    start = np.where(np.isin(domain, kinds), np.searchsorted(kinds, domain), within.argmin(axis=1))
    found, confidence = settled(within, start, around)
    found = _without_islands(found, around)
    here = references.domains == kinds[found][:, None]
    nearest = references.parts[np.where(here, costs, np.inf).argmin(axis=1)]
    kept = (here & (references.parts == part[:, None])).any(axis=1)
    return found, np.where(kept, part, nearest), confidence


def _without_islands(domain: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Return domains (n,) in which a few columns, such as defects, are of no other one than those around."""
    group = _groups(domain[:, None] == domain[around], around)
    small = np.bincount(group)[group] < SMALLEST
    votes = (domain[around][:, :, None] == np.arange(domain.max() + 1)) & ~small[around][:, :, None]
    counts = votes.sum(axis=1)
    return np.where(small & counts.any(axis=1), counts.argmax(axis=1), domain)


def _groups(linked: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Return the group (n,) of columns that are linked (n, k) with those around."""
    rows, column = np.nonzero(linked)
    links = csr_array((np.ones(len(rows)), (rows, around[rows, column])), shape=(len(linked), len(linked)))
    group: np.ndarray = connected_components(links, directed=False)[1]
    return group


def _misfits(
    references: _References,
    looks: np.ndarray,
    domain: np.ndarray,
    part: np.ndarray,
    around: np.ndarray,
    points: np.ndarray,
    reach: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return which columns at boundaries and edges are like those of no domain (n,), and how sure that is."""
    deviations = references.deviations(looks)
    tree = cKDTree(points)
    away = np.full(len(points), np.inf)  # to the nearest column of another domain
    for each in np.unique(domain).tolist():
        own = domain == each
        if not own.all():
            away[own] = cKDTree(points[~own]).query(points[own])[0]
    beside = away < _BESIDE * reach
    edge = _edges(points, around, reach) & ~beside
    far = ~beside & ~edge
    if far.sum() < _FEW:
        return np.zeros(len(points), dtype=bool), np.zeros(len(points))
    free, sure = _free(deviations, edge, far, points, around, reach)
    odd, also = _between(deviations, beside, far, around)
    # Where noise hides that by what they look like, neighbours stand where none do in the domain.
    moved = _displaced(part, beside, far, tree)
    also = np.where(moved, np.maximum(also, _SURELY), also)
    return free | odd | moved, np.where(free, sure, also)


def _displaced(part: np.ndarray, beside: np.ndarray, far: np.ndarray, tree: cKDTree) -> np.ndarray:
    """Return which columns beside another domain have neighbours elsewhere than their part has (n,)."""
    points = tree.data
    spacing = float(np.median(tree.query(points[:: max(1, len(points) // 500)], 2)[0][:, 1]))
    reach, tolerance = _NEIGHBOURS * spacing, _ELSEWHERE * spacing
    low, high = points.min(axis=0), points.max(axis=0)
    moved = np.zeros(len(points), dtype=bool)
    for each in np.unique(part[beside]).tolist():
        steps = _neighbours(np.flatnonzero(far & (part == each)), tree, reach, tolerance)
        if steps is None:
            continue
        rows = np.flatnonzero(beside & (part == each))
        expected = points[rows, None] + steps
        inside = ((expected > low) & (expected < high)).all(axis=2)
        counts = np.where(np.linalg.norm(steps, axis=1) < _NEAREST * spacing, 2, 1)
        moved[rows] = ((tree.query(expected)[0] > tolerance) & inside) @ counts >= 2
    return moved


def _neighbours(rows: np.ndarray, tree: cKDTree, reach: float, tolerance: float) -> np.ndarray | None:
    """Return the steps (m, 2) to the neighbours that most of these columns have, None where none are."""
    rows = rows[:: max(1, len(rows) // _SOME)]
    if len(rows) < _FEW:
        return None
    points = tree.data
    around = tree.query_ball_point(points[rows], reach)
    steps = np.concatenate([points[near] - points[row] for row, near in zip(rows, around, strict=True)])
    steps = steps[(steps != 0).any(axis=1)]
    found = []
    while len(steps):
        alike = np.linalg.norm(steps[:, None] - steps, axis=2) < tolerance
        commonest = alike[alike.sum(axis=1).argmax()]
        if commonest.sum() < _MOSTLY * len(rows):
            break
        found.append(steps[commonest].mean(axis=0))
        steps = steps[np.linalg.norm(steps - found[-1], axis=1) > 2 * tolerance]
    return np.array(found) if found else None


def _between(
    deviations: np.ndarray, beside: np.ndarray, far: np.ndarray, around: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which columns beside another domain fit none (n,), and how sure that is."""
    squares = (deviations**2).sum(axis=1)
    low, usual = np.quantile(squares[far], (0.1, 0.5))
    most = usual + _MISFIT * (usual - low)
    beyond = squares[beside & (squares > most)]
    if not beyond.size:
        return np.zeros_like(beside), np.zeros(beside.size)
    most = max(most, _CLEARLY * float(np.median(beyond)))
    along = np.linalg.svd(deviations[beside], full_matrices=False)[2][:_DIRECTIONS]
    moved = ((deviations @ along.T) ** 2).sum(axis=1)
    farthest = float(np.quantile(moved[far], 0.99))
    beyond = moved[beside & (moved > farthest)]
    if beyond.size:
        farthest = max(farthest, _ALONG * float(np.median(beyond)))
    odd = beside & ((squares > most) | (moved > farthest))
    odd &= odd[around].any(axis=1)
    excess = np.maximum((squares - most) / (usual - low), (moved - farthest) / max(farthest, 1e-300))
    sure = 1.0 / (1.0 + np.exp(-np.clip(excess, -30, 30)))
    return odd, np.where(odd, np.maximum(sure, 0.5), np.where(beside, np.minimum(sure, 0.5), 0.0))


def _edges(points: np.ndarray, around: np.ndarray, reach: float) -> np.ndarray:
    """Return which columns (n,) have columns on one side only."""
    step = points[around] - points[:, None]
    angle = np.degrees(np.arctan2(step[..., 0], step[..., 1]))
    # One too far away is none: its angle is that of the nearest.
    angle = np.sort(np.where(np.hypot(step[..., 0], step[..., 1]) < _BESIDE * reach, angle, angle[:, :1]))
    open_angle = np.diff(angle, axis=1, append=angle[:, :1] + 360.0).max(axis=1)
    wide: np.ndarray = open_angle > _OPEN
    return wide


def _free(
    deviations: np.ndarray,
    edge: np.ndarray,
    far: np.ndarray,
    points: np.ndarray,
    around: np.ndarray,
    reach: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return which columns at edges are at one of the crystal, not of the image, and how sure that is."""
    worse, rows = np.zeros(edge.size), np.flatnonzero(edge)
    if rows.size >= _AMONG:
        squares = (deviations**2).sum(axis=1)
        along = cKDTree(points[rows]).query(points[rows], _AMONG)[1]
        usual = np.quantile(squares[rows][along], _MOST, axis=1)
        others = np.flatnonzero(far)
        beside = others[cKDTree(points[others]).query(points[rows], min(_BEHIND, others.size))[1]]
        worse[rows] = (squares[beside] < usual[:, None]).mean(axis=1)
    # What stands along the border of all columns alone may be that of the image.
    inner = ((points > points.min(axis=0) + reach) & (points < points.max(axis=0) - reach)).all(axis=1)
    return _many(worse > _WORSE, inner, around), worse


def _many(odd: np.ndarray, inner: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Return which of the odd columns stand in a row or ring of many, enough of them inner ones."""
    group = _groups(odd[:, None] & odd[around], around)
    size, within = np.bincount(group), np.bincount(group, inner)
    many: np.ndarray = odd & (size[group] >= SMALLEST) & (within[group] >= _AWAY * size[group])
    return many
