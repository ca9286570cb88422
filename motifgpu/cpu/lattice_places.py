"""Which place of a lattice is nearest, on the CPU: the loops of `motifgpu.columns.lattice_places`."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu import cpu

_MARKED = 2  # px around a place on which it is the nearest


def nearest(places: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distance (m,) and number of the place (n, 2) nearest to each end, infinity where none is near.

    Places are marked on the pixels around them, quicker than a tree for the many ends of translations.
    """
    low = np.floor(places.min(axis=0)).astype(np.int64) - 2 * _MARKED
    shape = np.ceil(places.max(axis=0)).astype(np.int64) + 2 * _MARKED - low + 1
    ground = np.full((int(shape[0]), int(shape[1])), -1, np.int32)
    distance, number = np.empty(len(ends)), np.empty(len(ends), np.int64)
    _mark(ground, places, low)
    _look_up(distance, number, ground, places, ends, low)
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
