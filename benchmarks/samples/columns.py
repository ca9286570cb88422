"""Scores of the columns that were found in one sample, as numbers that add up over samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.samples.limits import Limits, told
from motifgpu import match_points
from motifgpu.simulate import SampleSimulation

BINS = 10  # of confidences
Sums = dict[str, Any]


def depth(truth: SampleSimulation, points: np.ndarray) -> np.ndarray:
    """Return the distance (n,) of points from the nearest pixel that is no data, px."""
    distance = ndimage.distance_transform_edt(np.pad(truth.valid, 1))[1:-1, 1:-1]
    nearest = np.clip(np.round(points).astype(np.int64), 0, np.array(truth.valid.shape) - 1)
    result: np.ndarray = distance[nearest[:, 0], nearest[:, 1]]
    return result


def counted(truth: SampleSimulation, points: np.ndarray) -> np.ndarray:
    """Say which points count: those half a nearest distance from the border and from pixels without data."""
    return depth(truth, points) > truth.spacing_px / 2


def scores(truth: SampleSimulation, points: np.ndarray, least: Limits) -> Sums:
    """Return the scores of points that are called columns.

    A point without a column is false, also at an empty site. Pairs are each other's nearest and at most a
    third of the nearest distance apart.
    """
    atoms = np.flatnonzero(truth.occupied)
    match = match_points(points, truth.points[atoms], truth.spacing_px / 3)
    columns = counted(truth, truth.points[atoms])
    claims = counted(truth, points)
    partner = np.full(len(points), -1)
    partner[match.found] = match.reference
    hit = np.zeros(len(atoms), bool)
    hit[match.reference] = True
    pairs = columns[match.reference]
    return {
        "columns": int(columns.sum()),
        "hits": int((hit & columns).sum()),
        "claims": int(claims.sum()),
        "right_claims": int((claims & (partner >= 0)).sum()),
        "pairs": int(pairs.sum()),
        "square_error": float(np.sum(match.distance[pairs] ** 2)),
        "least_square_error": float(np.sum(least.position[atoms[match.reference[pairs]]])),
    }


def found(truth: SampleSimulation, columns: Any, least: Limits) -> Sums:
    """Return the scores of what `find_columns` or `analyze` found."""
    points = np.asarray(columns.points, np.float64).reshape(-1, 2)
    occupied = np.asarray(columns.occupied)
    undecided = np.asarray(getattr(columns, "undecided", np.zeros(len(points), bool)))
    result = scores(truth, points[occupied & ~undecided], least)

    sites = counted(truth, truth.points)
    radius = truth.spacing_px / 3
    open_sites = match_points(points[undecided], truth.points, radius).reference
    result["sites"] = int(sites.sum())
    result["undecided"] = int(sites[open_sites].sum())
    result["undecided_columns"] = int((sites & truth.occupied)[open_sites].sum())
    empty = points[~occupied & ~undecided]
    empty = empty[counted(truth, empty)]
    right = match_points(empty, truth.points[~truth.occupied], radius)
    result["empty_claims"] = len(empty)
    result["right_empty_claims"] = len(right.found)
    result["empty_sites"] = int((sites & ~truth.occupied).sum())
    result["oracle_hits"] = int((told(truth, least) & truth.occupied & sites).sum())
    if hasattr(columns, "probability"):
        match = match_points(points, truth.points, radius)
        column = np.zeros(len(points), bool)
        column[match.found] = truth.occupied[match.reference]
        claims = counted(truth, points)
        result["calibration_columns"] = calibration(np.asarray(columns.probability)[claims], column[claims])
    return result


def calibration(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return for each bin of confidence the number, the sum of confidences and how many are right."""
    place = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    weights = (np.ones(len(place)), confidence, right.astype(np.float64))
    return np.stack([np.bincount(place, weight, BINS) for weight in weights], axis=1)


def calibration_error(bins: np.ndarray) -> float:
    """Return the expected calibration error, NaN where there is no confidence."""
    number, confidence, right = bins.T
    return float(np.abs(confidence - right).sum() / number.sum()) if number.sum() else float("nan")


@dataclass(frozen=True)
class _NoColumns:
    """What was found in an image that was refused."""

    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    occupied: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))


NONE = _NoColumns()
