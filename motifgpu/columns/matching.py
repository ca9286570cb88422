"""Found columns against reference columns: who is whose partner, precision, recall and position error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.core.shown import one_line


@dataclass(frozen=True)
class Match:
    """Pairs of points of two sets; the arrays have one row per pair.

    Attributes
    ----------
    found, reference : (m,) int64 ndarray
        Row of the pair's point in each set; no row occurs twice.
    distance : (m,) float64 ndarray
        Their distance, px.

    Examples
    --------
    How far are found columns from where they really are?

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(128, 128))
    >>> match = motifgpu.match_points(motifgpu.find_columns(made.image).points, made.points, radius=5.0)
    >>> bool(match.rms < 1.0)
    True
    """

    found: np.ndarray
    reference: np.ndarray
    distance: np.ndarray

    __repr__ = one_line

    @property
    def rms(self) -> float:
        """Root mean square of the distance over both coordinates together, px; NaN without pairs."""
        return float(np.sqrt(np.mean(self.distance**2))) if len(self.distance) else float("nan")


def match_points(found: Any, reference: Any, radius: float) -> Match:
    """Pair points that are each other's nearest neighbour and no further apart than `radius`.

    Parameters
    ----------
    found, reference : (n, 2), (r, 2) array
        Points as (row, col), px.
    radius : float
        Largest distance of a pair, px; a third of the spacing of columns is usual.

    Returns
    -------
    Match

    Raises
    ------
    StageError
        If `radius` is not positive.

    Examples
    --------
    Two of three points are found again within 2 px:

    >>> import motifgpu
    >>> found = [[10.0, 10.0], [20.5, 10.0], [40.0, 40.0]]
    >>> reference = [[20.0, 10.0], [10.0, 11.0], [60.0, 60.0]]
    >>> match = motifgpu.match_points(found, reference, radius=2.0)
    >>> match.found.tolist(), match.reference.tolist()
    ([0, 1], [1, 0])
    >>> match.distance.tolist()
    [1.0, 0.5]
    """
    from scipy.spatial import cKDTree

    if not radius > 0:
        raise StageError("matching", f"radius is {radius}", "give a positive length in pixels")
    a, b = (np.asarray(to_numpy(x), np.float64).reshape(-1, 2) for x in (found, reference))
    if not len(a) or not len(b):
        empty = np.zeros(0, np.int64)
        return Match(empty, empty, np.zeros(0))
    distance, partner = cKDTree(b).query(a)
    back = cKDTree(a).query(b)[1]
    rows = np.flatnonzero((back[partner] == np.arange(len(a))) & (distance <= radius))
    return Match(rows, partner[rows], distance[rows])


@dataclass(frozen=True)
class Detection:
    """How well columns were found.

    Attributes
    ----------
    precision, recall : float
        NaN where there are no points, or no occupied sites, to count.
    rms : float
        Position error of the pairs, px, both coordinates together.
    match : Match

    Examples
    --------
    The mean position error of columns becomes smaller with the dose:

    >>> import motifgpu
    >>> errors = []
    >>> for counts in (3.0, 300.0):
    ...     made = motifgpu.simulate.monolayer(shape=(128, 128), counts=counts)
    ...     points = motifgpu.find_columns(made.image).points
    ...     score = motifgpu.score_detection(points, made.points, made.occupied, (128, 128), 5, 10)
    ...     errors.append(score.rms)
    >>> errors[1] < errors[0] / 2
    True
    """

    precision: float
    recall: float
    rms: float
    match: Match

    __repr__ = one_line


def score_detection(
    found: Any, sites: Any, occupied: Any, shape: tuple[int, int], radius: float, margin: float
) -> Detection:
    """Score found columns against the sites of a lattice.

    A point found at a site without an atom is neither right nor wrong, and points and sites within `margin`
    of the border, where columns are cut off, are left out.

    Parameters
    ----------
    found : (n, 2) array
        Points as (row, col), px.
    sites : (r, 2) array
        Every lattice site as (row, col), px.
    occupied : (r,) bool array
        Where an atom is.
    shape : (int, int)
        Rows and columns of the image, px.
    radius, margin : float
        Largest distance of a pair, and width of the border that is left out, px.

    Returns
    -------
    Detection

    Examples
    --------
    One of three columns was missed, and one point is no column:

    >>> import motifgpu
    >>> sites = [[20.0, 20.0], [20.0, 40.0], [40.0, 20.0]]
    >>> found = [[20.0, 20.5], [20.0, 40.5], [45.0, 45.0]]
    >>> score = motifgpu.score_detection(found, sites, [True] * 3, (64, 64), radius=3.0, margin=5.0)
    >>> round(score.precision, 2), round(score.recall, 2), score.rms
    (0.67, 0.67, 0.5)
    """
    points, truth = (np.asarray(to_numpy(x), np.float64).reshape(-1, 2) for x in (found, sites))
    atom = np.asarray(to_numpy(occupied), bool)
    match = match_points(points, truth, radius)

    def inside(x: np.ndarray) -> np.ndarray:
        within: np.ndarray = np.all((x >= margin) & (x <= np.array(shape) - 1 - margin), axis=1)
        return within

    scored_sites = inside(truth) & atom
    scored_points = inside(points)
    partner = np.full(len(points), -1)
    partner[match.found] = match.reference
    scored_points &= (partner < 0) | atom[partner]
    hit = np.zeros(len(truth), bool)
    hit[match.reference] = True
    good = scored_sites[match.reference]
    return Detection(
        precision=float(np.mean(partner[scored_points] >= 0)) if scored_points.any() else float("nan"),
        recall=float(np.mean(hit[scored_sites])) if scored_sites.any() else float("nan"),
        rms=Match(match.found[good], match.reference[good], match.distance[good]).rms,
        match=match,
    )
