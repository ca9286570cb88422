"""Fits of Gaussian columns, all pixels of a window in one pass: the sums of `motifgpu.columns.refine`."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu import cpu


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

    def step(
        self, residual: np.ndarray, ridge: float, tether: float, away: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a Gauss-Newton step (n, 4) of every column, and that (n,) of the logarithm of its width.

        The parameters are those of the step in `motifgpu.columns.refine`.
        """
        number = len(self._corner)
        change, wider = np.empty((number, 4)), np.empty(number)
        slope, pull = self._heights / self._sigma, tether * away.astype(np.float64)
        window = self._corner, self._gauss, self._away, slope
        _step(change, wider, residual, self._known, *window, ridge, tether, pull)
        return change, wider


@cpu.compiled(needed=True, nogil=True, error_model="numpy")
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
def _moments(m: Any, residual: Any, known: Any, corner: Any, gauss: Any, away: Any, slope: float) -> bool:
    """Sum the residual times each derivative over a window into m (5,); say whether all of it is known."""
    width, weighted, whole = gauss.shape[1], known.size > 1, True
    m[:] = 0.0
    for r in range(width):
        total, drawn, by_col, by_width = 0.0, 0.0, 0.0, 0.0
        for c in range(width):
            value = np.float64(residual[corner[0] + r, corner[1] + c])
            if weighted:
                weight = known[corner[0] + r, corner[1] + c]
                whole = whole and weight == 1
                value *= weight
            right = away[1, c]
            total += value
            value *= gauss[1, c]
            drawn += value
            by_col += value * right
            by_width += value * right * right
        row, down = gauss[0, r], away[0, r]
        m[0] += row * drawn
        m[1] += slope * row * down * drawn
        m[2] += slope * row * by_col
        m[3] += total
        m[4] += slope * row * (down * down * drawn + by_width)
    return whole


@cpu.compiled(nogil=True, error_model="numpy")
def _normal_whole(n: Any, gauss: Any, away: Any, slope: float) -> None:
    """Sum products of derivatives over a window into the upper half of n (5, 5), by rows and columns."""
    width = gauss.shape[1]
    r, c, p, q = np.zeros(5), np.zeros(5), np.zeros(3), np.zeros(3)
    for axis in range(2):
        once, twice = (p, r) if axis == 0 else (q, c)
        for k in range(width):
            far, g = 1.0, gauss[axis, k]
            for power in range(5):
                twice[power] += g * g * far
                if power < 3:
                    once[power] += g * far
                far *= away[axis, k]
    t = slope * slope
    n[0, 0], n[0, 1], n[0, 2] = r[0] * c[0], slope * r[1] * c[0], slope * r[0] * c[1]
    n[0, 3], n[0, 4] = p[0] * q[0], slope * (r[2] * c[0] + r[0] * c[2])
    n[1, 1], n[1, 2], n[1, 3] = t * r[2] * c[0], t * r[1] * c[1], slope * p[1] * q[0]
    n[1, 4] = t * (r[3] * c[0] + r[1] * c[2])
    n[2, 2], n[2, 3], n[2, 4] = t * r[0] * c[2], slope * p[0] * q[1], t * (r[2] * c[1] + r[0] * c[3])
    n[3, 3], n[3, 4] = width * width, slope * (p[2] * q[0] + p[0] * q[2])
    n[4, 4] = t * (r[4] * c[0] + 2 * r[2] * c[2] + r[0] * c[4])


@cpu.compiled(nogil=True, error_model="numpy")
def _normal_known(n: Any, known: Any, corner: Any, gauss: Any, away: Any, slope: float) -> None:
    """The same, each pixel with its weight."""
    n[:] = 0.0
    by = np.empty(5)
    for r in range(gauss.shape[1]):
        for c in range(gauss.shape[1]):
            weight = known[corner[0] + r, corner[1] + c]
            if weight == 0:
                continue
            g = gauss[0, r] * gauss[1, c]
            down, right = away[0, r], away[1, c]
            by[0], by[1], by[2], by[3] = g, g * slope * down, g * slope * right, 1.0
            by[4] = g * slope * (down * down + right * right)
            for a in range(5):
                for b in range(a, 5):
                    n[a, b] += weight * by[a] * by[b]


@cpu.compiled(nogil=True, error_model="numpy")
def _step(
    change: Any,
    wider: Any,
    residual: Any,
    known: Any,
    corner: Any,
    gauss: Any,
    away: Any,
    slope: Any,
    ridge: float,
    tether: float,
    pull: Any,
) -> None:
    m, n = np.empty(5), np.empty((5, 5))  # of height, row, column, level, logarithm of the width
    for i in range(corner.shape[0]):
        whole = _moments(m, residual, known, corner[i], gauss[i], away[i], slope[i])
        _normal_whole(n, gauss[i], away[i], slope[i])
        added = ridge * (n[0, 0] + n[1, 1] + n[2, 2] + n[3, 3] + n[4, 4]) / 5
        if not whole:
            _normal_known(n, known, corner[i], gauss[i], away[i], slope[i])
        for a in range(5):
            n[a, a] += added
        for a in range(2):
            n[a + 1, a + 1] += tether
            m[a + 1] -= pull[i, a]
        for a in range(4):
            for b in range(a + 1, 5):
                share = n[a, b] / n[a, a]
                m[b] -= share * m[a]
                for c in range(b, 5):
                    n[b, c] -= share * n[a, c]
        wider[i] = m[4] / n[4, 4]
        for a in range(3, -1, -1):
            for b in range(a + 1, 4):
                m[a] -= n[a, b] * change[i, b]
            change[i, a] = m[a] / n[a, a]
