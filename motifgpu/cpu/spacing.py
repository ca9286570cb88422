"""Points near each other on an image, on the CPU: the loops of `motifgpu.columns.spacing`."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu import cpu

_MARKED = 2  # px around a place on which it is the nearest


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


def sampled(image: np.ndarray, points: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Return an image between its pixels, linearly, at steps (2, m) from points (n, 2): (n, m).

    Beyond the image its outermost pixels stand.
    """
    values = np.empty((len(points), around.shape[1]), image.dtype)
    _sample(values, image, points, around)
    return values


@cpu.compiled(nogil=True, error_model="numpy")
def _sample(values: Any, image: Any, points: Any, around: Any) -> None:
    last_row, last_col = image.shape[0] - 1, image.shape[1] - 1
    for i in range(points.shape[0]):
        for k in range(around.shape[1]):
            row, col = points[i, 0] + around[0, k], points[i, 1] + around[1, k]
            top, left = np.floor(row), np.floor(col)
            down, right = row - top, col - left
            r0, c0 = int(top), int(left)
            r1, c1 = min(max(r0 + 1, 0), last_row), min(max(c0 + 1, 0), last_col)
            r0, c0 = min(max(r0, 0), last_row), min(max(c0, 0), last_col)
            one = np.float32(1)
            total = (one - down) * (one - right) * image[r0, c0]
            total += (one - down) * right * image[r0, c1]
            total += down * (one - right) * image[r1, c0]
            values[i, k] = total + down * right * image[r1, c1]


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
        _mark(self._ground, places, self._low)

    def to(self, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return distance and number (m,) of the place nearest to each of (m, 2), infinity without one."""
        distance, number = np.empty(len(ends)), np.empty(len(ends), np.int64)
        _look_up(distance, number, self._ground, self._places, ends, self._low)
        return distance, number


@cpu.compiled(nogil=True, error_model="numpy")
def _mark(ground: Any, places: Any, low: Any) -> None:
    """Write the number of each place on the pixels around it, the nearest where several do."""
    for far in range(2 * _MARKED * _MARKED, -1, -1):
        for r in range(-_MARKED, _MARKED + 1):
            for c in range(-_MARKED, _MARKED + 1):
                if r * r + c * c == far:
                    for i in range(places.shape[0]):
                        row, col = round(places[i, 0]) - low[0] + r, round(places[i, 1]) - low[1] + c
                        ground[row, col] = i


@cpu.compiled(nogil=True, error_model="numpy")
def _look_up(distance: Any, number: Any, ground: Any, places: Any, ends: Any, low: Any) -> None:
    for i in range(ends.shape[0]):
        row = min(max(round(ends[i, 0]) - low[0], 0), ground.shape[0] - 1)
        col = min(max(round(ends[i, 1]) - low[1], 0), ground.shape[1] - 1)
        j = ground[row, col]
        number[i], distance[i] = j, np.inf
        if j >= 0:
            distance[i] = np.sqrt((ends[i, 0] - places[j, 0]) ** 2 + (ends[i, 1] - places[j, 1]) ** 2)


def sums_around(
    image: np.ndarray, centre: np.ndarray, steps: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum an image over the pixels at each step (2, m) from the points of each of k kinds.

    Parameters
    ----------
    image : (H, W) ndarray
    centre : (n, 2) int64 ndarray
        Pixels; beyond the image its outermost pixels stand.
    steps : (2, m) int64 ndarray
    kind : (n,) int64 ndarray

    Returns
    -------
    total : (k, m) float64 ndarray
        Sums of the values.
    square : (k,) float64 ndarray
        Sums of the squares, over all steps.
    """
    number = int(kind.max()) + 1
    total, square = np.zeros((number, steps.shape[1])), np.zeros(number)
    _sum_around(total, square, image, centre, steps, kind)
    return total, square


@cpu.compiled(nogil=True, error_model="numpy")
def _sum_around(total: Any, square: Any, image: Any, centre: Any, steps: Any, kind: Any) -> None:
    for i in range(centre.shape[0]):
        for k in range(steps.shape[1]):
            row = min(max(centre[i, 0] + steps[0, k], 0), image.shape[0] - 1)
            col = min(max(centre[i, 1] + steps[1, k], 0), image.shape[1] - 1)
            value = np.float64(image[row, col])
            total[kind[i], k] += value
            square[kind[i]] += value * value
