"""Lattice indices of points: step by step from neighbour to neighbour, then by a smooth map."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.spatial import cKDTree

from motifgpu.core.errors import StageError
from motifgpu.structure.lattice.drift import DriftMap, choose_drift, fit_drift

# Points within this share of the smallest distance between sites are on a site.
SITE_RADIUS = 0.35
# A site of the cell holds at least this share of what the fullest one holds, and so many times what points on
# no site would bring.
_LEAST_SITE, _ABOVE_CHANCE = 0.15, 2.5
_ROUNDS = 6


def _links(
    points: np.ndarray, u: np.ndarray, v: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs of points that are a lattice step apart, each the other's best, and the steps."""
    tree = cKDTree(points)
    reach = tolerance * min(np.hypot(*u), np.hypot(*v))
    third = (1, 1) if np.dot(u, v) <= 0 else (1, -1)
    starts, ends, steps = [], [], []
    for step in ((1, 0), (0, 1), third):
        vector = step[0] * u + step[1] * v
        there = tree.query(points + vector, distance_upper_bound=reach)[1]
        back = np.append(tree.query(points - vector, distance_upper_bound=reach)[1], len(points))
        mutual = np.flatnonzero((there < len(points)) & (back[there] == np.arange(len(points))))
        starts.append(mutual)
        ends.append(there[mutual])
        steps.append(np.tile(step, (len(mutual), 1)))
    return np.concatenate(starts), np.concatenate(ends), np.concatenate(steps)


def walk(points: np.ndarray, u: np.ndarray, v: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Index the largest set of points that lattice steps connect.

    Parameters
    ----------
    points : (n, 2) float64 ndarray
        Points as (row, col), px.
    u, v : (2,) float64 ndarray
        Lattice vectors, px.
    tolerance : float
        By how much a step may miss, in shorter lattice vectors.

    Returns
    -------
    (c,) int64 ndarray
        Rows of the points that are connected.
    (c, 2) int64 ndarray
        Their indices, counted from one of them by breadth-first search.
    """
    n = len(points)
    start, end, step = _links(points, u, v, tolerance)
    graph = coo_array((np.ones(len(start)), (start, end)), shape=(n, n)).tocsr()
    part = connected_components(graph, directed=False)[1]
    rows = np.flatnonzero(part == np.argmax(np.bincount(part)))
    # Begin in the middle, where a walk is shortest.
    middle = rows[np.argmin(np.linalg.norm(points[rows] - np.median(points[rows], axis=0), axis=1))]
    order, before = (a.astype(np.int64) for a in breadth_first_order(graph, middle, directed=False))
    key = np.concatenate([start * n + end, end * n + start])
    both = np.concatenate([step, -step])
    by_key = np.argsort(key)
    move = np.zeros((n, 2), np.int64)
    later = order[1:]
    move[later] = both[by_key[np.searchsorted(key, before[later] * n + later, sorter=by_key)]]
    ancestor = np.arange(n)
    ancestor[later] = before[later]
    while not np.array_equal(ancestor, ancestor[ancestor]):
        move = move + move[ancestor]
        ancestor = ancestor[ancestor]
    return order, move[order]


def commonest_vectors(points: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pair of steps near `u` and `v` that most points have: those of one of two grains.

    Parameters
    ----------
    points : (n, 2) float64 ndarray
        Points as (row, col), px.
    u, v : (2,) float64 ndarray
        Lattice vectors, px, perhaps a mean over grains.

    Returns
    -------
    u, v : (2,) float64 ndarray
    """
    tree = cKDTree(points)
    length = min(np.hypot(*u), np.hypot(*v))
    ends = np.stack([tree.query(points + w, distance_upper_bound=0.25 * length)[1] for w in (u, v)], axis=1)
    both = np.flatnonzero((ends < len(points)).all(axis=1))
    if len(both) < 6:
        return u, v
    steps = (points[ends[both]] - points[both, None]).reshape(-1, 4) / length
    near = cKDTree(steps)
    centre = steps[np.argmax(near.query_ball_point(steps, 0.1, return_length=True))]
    for _ in range(5):
        centre = steps[near.query_ball_point(centre, 0.1)].mean(axis=0)
    return centre[:2] * length, centre[2:] * length


@dataclass(frozen=True, eq=False)
class Indexed:
    """Points on the sites of a lattice.

    Attributes
    ----------
    drift : DriftMap
        From lattice coordinates to pixels.
    basis : (m, 2) float64 ndarray
        Lattice coordinates of the sites of the cell, 0 to 1.
    indices : (n, 2) int64 ndarray
        Cell of the site nearest to each point.
    sublattice : (n,) int64 ndarray
        That site, or -1 where it is too far or a nearer point has it.
    """

    drift: DriftMap
    basis: np.ndarray
    indices: np.ndarray
    sublattice: np.ndarray


def index_points(
    points: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    gram: np.ndarray,
    spacing: float,
    tolerance: float,
    degree: int,
) -> Indexed:
    """Find the sites of the cell and assign points to sites.

    Parameters
    ----------
    points : (n, 2) float64 ndarray
        Points as (row, col), px.
    u, v : (2,) float64 ndarray
        Lattice vectors, px.
    gram : (2, 2) float64 ndarray
        Gram matrix of the lattice vectors, px^2.
    spacing : float
        Usual distance of nearest points, px.
    tolerance : float
        By how much a step of the walk may miss, in shorter lattice vectors.
    degree : int
        Highest degree of the map.

    Returns
    -------
    Indexed

    Raises
    ------
    StageError
        If lattice steps connect too few points, or points cluster on no site of the cell.

    Notes
    -----
    A walk from neighbour to neighbour indexes one sublattice; a polynomial map fitted to it takes
    all points to lattice coordinates, whose fractional parts cluster at the sites of the cell. Map, sites and
    assignment are then refined in turn, until the assignment no longer changes.
    """
    rows, walked = walk(points, u, v, tolerance)
    if len(rows) < max(6, 0.04 * len(points)):
        raise StageError(
            "lattice",
            f"lattice steps connect only {len(rows)} of {len(points)} points",
            "use Voronoi cells (voronoi_cells)",
        )
    drift, distance = fit_drift(walked.astype(float), points[rows], 1)
    if len(rows) > 60:
        drift, distance = choose_drift(walked.astype(float), points[rows], degree)
    sites = _find_sites(drift.inverse(points), gram, spacing)
    if len(sites) == 0:
        raise StageError(
            "lattice",
            f"the {len(points)} points cluster on no site of the cell",
            "use Voronoi cells (voronoi_cells)",
        )
    origin, basis = _place_origin(sites, gram)
    drift = replace(drift, centre=drift.centre - origin)
    indices, sublattice = assign(drift, basis, points, gram)
    for turn in range(_ROUNDS):
        on = sublattice >= 0
        q = indices[on] + basis[sublattice[on]]
        if turn < 2:
            drift, _ = choose_drift(q, points[on], degree if on.sum() > 60 else 1)
        else:
            drift, _ = fit_drift(q, points[on], drift.degree)
        rest = drift.inverse(points[on]) - indices[on]
        basis = np.array([np.median(rest[sublattice[on] == s], axis=0) for s in range(len(basis))])
        before = indices, sublattice
        indices, sublattice = assign(drift, basis, points, gram)
        lost = np.setdiff1d(np.arange(len(basis)), sublattice)
        if len(lost):
            basis = np.delete(basis, lost, axis=0)
            indices, sublattice = assign(drift, basis, points, gram)
        elif np.array_equal(before[1], sublattice) and np.array_equal(before[0], indices):
            break
    return Indexed(drift, basis, indices, sublattice)


_AROUND = np.array(list(itertools.product((-1, 0, 1), repeat=2)))


def _to_length(q: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Return Cartesian coordinates of lattice coordinates, px."""
    return q @ np.linalg.cholesky(gram)


def _find_sites(q: np.ndarray, gram: np.ndarray, spacing: float) -> np.ndarray:
    """Return the places (m, 2) where the fractional parts of lattice coordinates (n, 2) cluster."""
    fraction = q % 1.0
    n = len(fraction)
    radius = 0.25 * spacing
    tiled = (fraction[None, :, :] + _AROUND[:, None, :]).reshape(-1, 2)
    tree = cKDTree(_to_length(tiled, gram))
    centres = fraction[:: -(-n // 4000)]
    number = tree.query_ball_point(_to_length(centres, gram), radius, return_length=True)
    part = min(np.pi * radius**2 / np.sqrt(np.linalg.det(gram)), 0.3)
    sites: list[np.ndarray] = []
    fullest, left = 0, n
    taken = np.zeros(len(centres), bool)
    while not taken.all():
        best = int(np.argmax(np.where(taken, -1, number)))
        centre = centres[best]
        for _ in range(5):
            near = tree.query_ball_point(_to_length(centre, gram), radius)
            centre = tiled[near].mean(axis=0)
        held = len(near)
        fullest = max(fullest, held)
        if held < max(_LEAST_SITE * fullest, _ABOVE_CHANCE * part * left, 3):
            break
        away = centres - centre
        gap = np.linalg.norm(_to_length(away - np.round(away), gram), axis=1)
        taken |= gap < 2 * radius
        taken[best] = True
        apart = [np.linalg.norm(_to_length(d - np.round(d), gram)) for d in (centre - s for s in sites)]
        if min(apart, default=np.inf) > 2 * radius:
            sites.append(centre)
            left -= held
    return np.array(sites)


def _place_origin(sites: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the place furthest from all sites, and the sites relative to it, 0 to 1 and in order."""
    divisions = 24
    step = np.arange(divisions) / divisions
    candidates = sites[0] + np.stack(np.meshgrid(step, step, indexing="ij"), axis=-1).reshape(-1, 2)
    away = candidates[:, None, None, :] - sites[None, :, None, :]
    away = away - np.round(away) + _AROUND
    nearest = np.linalg.norm(_to_length(away, gram), axis=-1).min(axis=(1, 2))
    # Of several equal places the first in a fixed order: which is furthest must not hang on noise.
    best = candidates[nearest >= 0.97 * nearest.max()]
    around = best - best[0] - np.round(best - best[0])
    same = np.linalg.norm(_to_length(around, gram), axis=1) <= 0.15 * np.sqrt(gram.max())
    origin = best[0] + around[same].mean(axis=0)
    # A site on the cell's edge stays on one side of it whatever the noise.
    inside = (sites - origin + 0.04) % 1.0 - 0.04
    return origin, inside[np.lexsort(np.round(inside, 2).T[::-1])]


def smallest_distance(basis: np.ndarray, gram: np.ndarray) -> float:
    """Return the smallest distance between two sites of a lattice, px."""
    away = (basis[:, None, :] - basis[None, :, :])[:, :, None, :] + _AROUND
    distance = np.linalg.norm(_to_length(away, gram), axis=-1)
    return float(distance[distance > 1e-9].min())


def nearest_site(
    drift: DriftMap, basis: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cell (n, 2) and sublattice (n,) of the site nearest to each point, and its distance (n,), px."""
    q = drift.inverse(points)
    local = drift.jacobian(q)
    base = np.floor(q).astype(np.int64)
    offset = (_AROUND[:, None, :] + basis[None, :, :]).reshape(-1, 2)
    away = base[:, None, :] + offset - q[:, None, :]
    distance = np.linalg.norm(np.einsum("nab,nkb->nka", local, away), axis=2)
    best = np.argmin(distance, axis=1)
    cell = base + _AROUND[best // len(basis)]
    return cell, best % len(basis), distance[np.arange(len(points)), best]


def assign(
    drift: DriftMap, basis: np.ndarray, points: np.ndarray, gram: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return cell (n, 2) and sublattice (n,) of points; -1 for those on no site, or farther than another."""
    cell, sublattice, distance = nearest_site(drift, basis, points)
    far = distance > SITE_RADIUS * smallest_distance(basis, gram)
    order = np.lexsort((distance, sublattice, cell[:, 1], cell[:, 0]))
    key = np.column_stack([cell, sublattice])[order]
    again = np.zeros(len(points), bool)
    again[order[1:]] = (key[1:] == key[:-1]).all(axis=1)
    return cell, np.where(far | again, -1, sublattice)
