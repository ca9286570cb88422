"""Points near each other on an image, on the CPU: the loops of `motifgpu.columns.spacing`."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu import cpu

_MARKED = 2  # px around a place on which it is the nearest
_AT_ONCE = 2**15  # places looked up at a time


def outranked(
    points: np.ndarray,
    pixel: np.ndarray,
    rank: np.ndarray,
    others: np.ndarray,
    their_pixel: np.ndarray,
    their_rank: np.ndarray,
    shape: tuple[int, int],
    radius: float,
) -> np.ndarray:
    """Say which points (n, 2) have one of `others` (m, 2) within `radius` that is of higher rank.

    Parameters
    ----------
    points, others : (n, 2) and (m, 2) ndarray
    pixel, their_pixel : (n,) and (m,) int64 ndarray
        Flat index of the pixel under each; no two of the others share one.
    rank, their_rank : (n,) and (m,) int64 ndarray
    shape : (int, int)
        Rows and columns that hold all points.
    radius : float
        px.
    """
    found = np.zeros(len(points), np.bool_)
    ground = np.full(shape, -1, np.int32)
    ground.reshape(-1)[their_pixel] = np.arange(len(others), dtype=np.int32)
    _outranked(found, points, pixel, rank, others, their_rank, ground, int(radius + 1), radius * radius)
    return found


@cpu.compiled(nogil=True, error_model="numpy")
def _outranked(
    found: Any,
    points: Any,
    pixel: Any,
    rank: Any,
    others: Any,
    their_rank: Any,
    ground: Any,
    reach: int,
    most: float,
) -> None:
    height, width = ground.shape
    for i in range(points.shape[0]):
        row, col = pixel[i] // width, pixel[i] % width
        for r in range(max(row - reach, 0), min(row + reach + 1, height)):
            for c in range(max(col - reach, 0), min(col + reach + 1, width)):
                j = ground[r, c]
                if j >= 0 and their_rank[j] > rank[i]:
                    down, right = others[j, 0] - points[i, 0], others[j, 1] - points[i, 1]
                    if down * down + right * right <= most:
                        found[i] = True


class Nearest:
    """Which of some places is nearest, quicker than a tree for many questions.

    Each place is marked on the pixels around it. One is found where it is at most 1.5 px away.

    Parameters
    ----------
    places : (n, 2) float64 ndarray
        px.
    """

    def __init__(self, places: np.ndarray) -> None:
        self._places = places
        self._low = np.floor(places.min(axis=0)).astype(np.int64) - 2 * _MARKED
        rows, cols = (np.ceil(places.max(axis=0)).astype(np.int64) + 2 * _MARKED - self._low + 1).tolist()
        self._ground = np.full((rows, cols), -1, np.int32)
        row, col = (np.round(places).astype(np.int64) - self._low).T
        # The nearest last, which stays.
        for step in sorted(np.ndindex(2 * _MARKED + 1, 2 * _MARKED + 1), key=_far, reverse=True):
            self._ground[row + step[0] - _MARKED, col + step[1] - _MARKED] = np.arange(len(places))

    def to(self, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return distance and number (m,) of the place nearest to each of (m, 2), infinity without one."""
        distance, number = np.empty(len(ends)), np.empty(len(ends), np.int64)
        last = np.array(self._ground.shape) - 1
        for first in range(0, len(ends), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            row, col = np.clip(np.round(ends[some]).astype(np.int64) - self._low, 0, last).T
            number[some] = self._ground[row, col]
            away = ends[some] - self._places[number[some]]
            distance[some] = np.where(number[some] >= 0, np.sqrt(away[:, 0] ** 2 + away[:, 1] ** 2), np.inf)
        return distance, number


def _far(step: tuple[int, ...]) -> int:
    """Return how far a step from the corner of the marked pixels is from their middle, squared."""
    return sum((along - _MARKED) ** 2 for along in step)
