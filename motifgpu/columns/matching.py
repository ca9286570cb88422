"""Found columns against reference columns: who is whose partner, precision, recall and position error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy


@dataclass(frozen=True)
class Match:
    """Partners among two sets of points; the arrays have a row a pair.

    Attributes
    ----------
    found, reference : (m,) int64 ndarray
        Row of the pair's point in each set; no row stands twice.
    distance : (m,) float64 ndarray
        Their distance, px.
    """

    found: np.ndarray
    reference: np.ndarray
    distance: np.ndarray

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
        NaN where nothing counts.
    rms : float
        Position error of the pairs, px, both coordinates together.
    match : Match
    """

    precision: float
    recall: float
    rms: float
    match: Match


def score_detection(
    found: Any, sites: Any, occupied: Any, shape: tuple[int, int], radius: float, margin: float
) -> Detection:
    """Score found columns against the sites of a lattice.

    Sites without an atom count neither for nor against a point that was found there, and nothing counts that
    lies within `margin` of the border, where a column is cut.

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
    """
    points, truth = (np.asarray(to_numpy(x), np.float64).reshape(-1, 2) for x in (found, sites))
    atom = np.asarray(to_numpy(occupied), bool)
    match = match_points(points, truth, radius)

    def inside(x: np.ndarray) -> np.ndarray:
        return np.all((x >= margin) & (x <= np.array(shape) - 1 - margin), axis=1)

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
