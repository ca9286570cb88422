"""Fits of Gaussian columns, all pixels of a window in one pass: the sums of `motifgpu.columns.refine`."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu import cpu

_UNKNOWNS = 5  # height, row, column, level, logarithm of the width


class HostFit:
    """The windows of all columns, with the sums over their pixels that a fit needs.

    Parameters
    ----------
    image : (H, W) ndarray
        Of which the shape and the dtype are taken.
    points : (n, 2) ndarray
        Centres as (row, col), px.
    heights : (n,) ndarray
    sigma : float
        Standard deviation of all columns, px.
    known : (H, W) ndarray or None
        Weight of each pixel.
    reach : int
        Half the side of a window, px.
    """

    def __init__(
        self,
        image: np.ndarray,
        points: np.ndarray,
        heights: np.ndarray,
        sigma: float,
        known: np.ndarray | None,
        reach: int,
    ) -> None:
        self._shape, self._dtype = image.shape, image.dtype
        self._heights, self._sigma = heights.astype(np.float64), float(sigma)
        limit = np.array(image.shape) - 1 - reach
        centre = np.clip(np.round(points).astype(np.int64), reach, np.maximum(limit, reach))
        self._corner = centre - reach
        steps = np.arange(2 * reach + 1)
        away = (self._corner[:, :, None] + steps - points[:, :, None].astype(np.float64)) / self._sigma
        self._away = np.ascontiguousarray(away)
        self._gauss = np.exp(-0.5 * self._away**2)
        self._known = np.ones((1, 1), image.dtype) if known is None else known

    def model(self, heights: np.ndarray) -> np.ndarray:
        """All columns drawn together: (H, W)."""
        total = np.zeros(self._shape, self._dtype)
        _draw(total, self._corner, self._gauss, heights.astype(np.float64))
        return total

    def height_and_level(self) -> np.ndarray:
        """Return sums (4, n): of the square by height, of both, by level, and of the first were all known."""
        sums = np.empty((4, len(self._corner)))
        _height_and_level(sums, self._known, self._corner, self._gauss)
        return sums

    def project_heights(self, residual: np.ndarray) -> np.ndarray:
        """Return the inner products (2, n) of the residual (H, W) by height and by level."""
        sums = np.empty((2, len(self._corner)))
        _project_heights(sums, residual, self._known, self._corner, self._gauss)
        return sums

    def project(self, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inner products (n, 5), normal matrices (n, 5, 5), and their mean diagonal were all known."""
        number = len(self._corner)
        moments, matrix = np.zeros((number, _UNKNOWNS)), np.zeros((number, _UNKNOWNS, _UNKNOWNS))
        whole = np.zeros(number)
        slope = self._heights / self._sigma
        _project(moments, matrix, whole, residual, self._known, self._corner, self._gauss, self._away, slope)
        return moments, matrix, whole


@cpu.compiled(nogil=True, error_model="numpy")
def _draw(total: Any, corner: Any, gauss: Any, heights: Any) -> None:
    width = gauss.shape[2]
    for i in range(corner.shape[0]):
        for r in range(width):
            row = heights[i] * gauss[i, 0, r]
            for c in range(width):
                total[corner[i, 0] + r, corner[i, 1] + c] += row * gauss[i, 1, c]


@cpu.compiled(nogil=True, error_model="numpy")
def _height_and_level(sums: Any, known: Any, corner: Any, gauss: Any) -> None:
    width, weighted = gauss.shape[2], known.size > 1
    for i in range(corner.shape[0]):
        square, both, level, whole = 0.0, 0.0, 0.0, 0.0
        for r in range(width):
            for c in range(width):
                drawn = gauss[i, 0, r] * gauss[i, 1, c]
                weight = known[corner[i, 0] + r, corner[i, 1] + c] if weighted else known[0, 0]
                square += weight * drawn * drawn
                both += weight * drawn
                level += weight
                whole += drawn * drawn
        sums[0, i], sums[1, i], sums[2, i], sums[3, i] = square, both, level, whole


@cpu.compiled(nogil=True, error_model="numpy")
def _project_heights(sums: Any, residual: Any, known: Any, corner: Any, gauss: Any) -> None:
    width, weighted = gauss.shape[2], known.size > 1
    for i in range(corner.shape[0]):
        by_height, by_level = 0.0, 0.0
        for r in range(width):
            for c in range(width):
                row, col = corner[i, 0] + r, corner[i, 1] + c
                value = residual[row, col] * (known[row, col] if weighted else known[0, 0])
                by_height += value * gauss[i, 0, r] * gauss[i, 1, c]
                by_level += value
        sums[0, i], sums[1, i] = by_height, by_level


@cpu.compiled(nogil=True, error_model="numpy")
def _project(
    moments: Any,
    matrix: Any,
    whole: Any,
    residual: Any,
    known: Any,
    corner: Any,
    gauss: Any,
    away: Any,
    slope: Any,
) -> None:
    width, weighted = gauss.shape[2], known.size > 1
    by = np.empty(5)
    for i in range(corner.shape[0]):
        for r in range(width):
            for c in range(width):
                row, col = corner[i, 0] + r, corner[i, 1] + c
                weight = known[row, col] if weighted else known[0, 0]
                value = residual[row, col]
                drawn = gauss[i, 0, r] * gauss[i, 1, c]
                down, right = away[i, 0, r], away[i, 1, c]
                by[0], by[3] = drawn, 1.0
                by[1], by[2] = drawn * slope[i] * down, drawn * slope[i] * right
                by[4] = drawn * slope[i] * (down * down + right * right)
                for a in range(5):
                    whole[i] += by[a] * by[a] / 5.0
                    heavy = weight * by[a]
                    moments[i, a] += heavy * value
                    for b in range(a + 1):
                        matrix[i, a, b] += heavy * by[b]
        for a in range(5):
            for b in range(a):
                matrix[i, b, a] = matrix[i, a, b]
