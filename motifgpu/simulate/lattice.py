"""Lattices that cover an image, and what of them is in view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree


def direction(degrees: float) -> np.ndarray:
    """Return the unit vector (row, col) at an angle from +col, counter-clockwise as displayed."""
    angle = np.deg2rad(degrees)
    return np.array([-np.sin(angle), np.cos(angle)])


def hexagonal_vectors(lattice_constant: float, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Return u at `degrees` from +col, counter-clockwise as displayed, and v 120 degrees on."""
    return lattice_constant * direction(degrees), lattice_constant * direction(degrees + 120)


def image_centre(shape: Sequence[int]) -> np.ndarray:
    """Return the (row, col) of the middle of an image."""
    return (np.array(shape, float) - 1) / 2


def half_diagonal(shape: Sequence[int]) -> float:
    """Return the distance from the middle of an image to its corners, px."""
    return float(np.hypot(*np.array(shape, float)) / 2)


def covering_indices(u: np.ndarray, v: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the grids i and j of the cells whose ``i u + j v`` cover a disc around 0, and one ring more."""
    inverse = np.linalg.inv(np.stack([u, v], axis=1))
    reach = [int(np.ceil(radius * np.hypot(*row))) + 1 for row in inverse]
    i, j = np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")
    return i, j


def in_view(points: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return the numbers of the points on the pixels of an image, in the order of row and then column."""
    seen = np.flatnonzero(((points >= -0.5) & (points < np.array(shape, float) - 0.5)).all(1))
    return seen[np.lexsort((points[seen, 1], points[seen, 0]))]


def apart(points: np.ndarray, grain: np.ndarray, distance: float) -> np.ndarray:
    """Say which points to keep so that no two of different grains are closer than `distance`."""
    keep = np.ones(len(points), bool)
    for a, b in sorted(cKDTree(points).query_pairs(distance)):
        if keep[a] and keep[b] and grain[a] != grain[b]:
            keep[b] = False
    return keep


def displaced(points: np.ndarray, largest: float, rng: np.random.Generator) -> np.ndarray:
    """Return the points, each moved by a random vector that is uniform in the disc of radius `largest`."""
    angle = rng.uniform(0, 2 * np.pi, len(points))
    length = largest * np.sqrt(rng.uniform(0, 1, len(points)))
    moved: np.ndarray = points + length[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return moved


def neighbour_environments(
    points: np.ndarray, labels: np.ndarray, distance: float, degrees: float
) -> np.ndarray:
    """Return one row of codes per point: its label, and the labels within `distance` in twelve directions.

    Directions are counted from `degrees` in sectors of 30 degrees centred on the directions of a hexagonal
    lattice; of several neighbours in one sector the last counts, so choose `distance` below the second shell.
    """
    table = np.zeros((len(points), 13), np.int64)
    table[:, 0] = labels
    pairs = cKDTree(points).query_pairs(distance, output_type="ndarray")
    for here, there in (pairs.T, pairs[:, ::-1].T):
        step = points[there] - points[here]
        angle = np.rad2deg(np.arctan2(-step[:, 0], step[:, 1])) - degrees
        table[here, 1 + np.round(angle / 30).astype(np.int64) % 12] = labels[there] + 1
    return table
