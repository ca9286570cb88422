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
    for i in range(corner.shape[0]):
        m0, m1, m2, m3, m4 = 0.0, 0.0, 0.0, 0.0, 0.0
        n00, n01, n02, n03, n04 = 0.0, 0.0, 0.0, 0.0, 0.0
        n11, n12, n13, n14 = 0.0, 0.0, 0.0, 0.0
        n22, n23, n24 = 0.0, 0.0, 0.0
        n33, n34, n44, square = 0.0, 0.0, 0.0, 0.0
        for r in range(width):
            row, down = corner[i, 0] + r, away[i, 0, r]
            for c in range(width):
                col, right = corner[i, 1] + c, away[i, 1, c]
                w = np.float64(known[row, col]) if weighted else 1.0
                value = w * residual[row, col]
                g = gauss[i, 0, r] * gauss[i, 1, c]
                steep = g * slope[i]
                d1, d2 = steep * down, steep * right
                d4 = steep * (down * down + right * right)
                square += g * g + d1 * d1 + d2 * d2 + 1.0 + d4 * d4
                m0 += g * value
                m1 += d1 * value
                m2 += d2 * value
                m3 += value
                m4 += d4 * value
                wg, w1, w2, w4 = w * g, w * d1, w * d2, w * d4
                n00 += wg * g
                n01 += wg * d1
                n02 += wg * d2
                n03 += wg
                n04 += wg * d4
                n11 += w1 * d1
                n12 += w1 * d2
                n13 += w1
                n14 += w1 * d4
                n22 += w2 * d2
                n23 += w2
                n24 += w2 * d4
                n33 += w
                n34 += w4
                n44 += w4 * d4
        whole[i] = square / 5.0
        m = moments[i]
        m[0], m[1], m[2], m[3], m[4] = m0, m1, m2, m3, m4
        n = matrix[i]
        n[0, 0], n[0, 1], n[0, 2], n[0, 3], n[0, 4] = n00, n01, n02, n03, n04
        n[1, 1], n[1, 2], n[1, 3], n[1, 4] = n11, n12, n13, n14
        n[2, 2], n[2, 3], n[2, 4] = n22, n23, n24
        n[3, 3], n[3, 4], n[4, 4] = n33, n34, n44
        for a in range(5):
            for b in range(a):
                n[a, b] = n[b, a]
