"""Fits of Gaussian columns on the CPU: all pixels of a window in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu import cpu
from motifgpu.core import fitting, namespace
from motifgpu.core.namespace import Array


def fit(
    image: Array,
    points: np.ndarray,
    heights: np.ndarray,
    sigma: Any,
    known: Array | None,
    steps: int,
    tether: float,
) -> tuple[np.ndarray, np.ndarray, Any]:
    """Fit position, height, local level and the common width of columns by Gauss-Newton steps.

    Parameters
    ----------
    image : (H, W) ndarray
    points : (n, 2) ndarray
        Where the columns start, as (row, col) in px.
    heights : (n,) ndarray
    sigma : float or () ndarray
        Standard deviation of all of them, px.
    known : (H, W) ndarray or None
        Weight of each pixel.
    steps : int
    tether : float
        What holds the columns to where they start, see `motifgpu.columns.refine.refine`.

    Returns
    -------
    points : (n, 2) ndarray
    heights : (n,) ndarray
    sigma : () ndarray
    """
    start = points
    for _ in range(steps):
        sums = _Sums(image, points, heights, sigma, known)
        away = points - start
        change, wider = sums.step(image - sums.model(heights), fitting.ridge(known), tether, away)
        middle = namespace.upper_median(heights)
        asked = namespace.upper_median(wider, heights >= middle)
        move = namespace.clip(change[:, 1:3], min=-fitting.LONGEST, max=fitting.LONGEST)
        points = (points + move).astype(start.dtype, copy=False)
        heights = np.maximum(heights + change[:, 0], fitting.LEAST * middle).astype(start.dtype, copy=False)
        sigma = namespace.clip(sigma + asked, min=fitting.NARROWEST, max=fitting.WIDEST)
    return points, heights, sigma


def measure(
    image: Array, points: np.ndarray, heights: np.ndarray, sigma: Any, known: Array | None, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit heights and local levels alone.

    The parameters are those of `fit`.

    Returns
    -------
    heights : (n,) ndarray
        They may be negative.
    errors : (n,) ndarray
        Their standard errors for noise of standard deviation 1, neighbours aside.
    """
    sums = _Sums(image, points, heights, sigma, known)
    square, both, level, whole = sums.height_and_level()
    share = fitting.ridge(known)
    # Where nothing is known both are small and not 0.
    square = square + share * (whole + fitting.LEAST_SQUARE)
    level = level + share * (2 * fitting.REACH + 1) ** 2
    determinant = square * level - both * both
    for _ in range(steps):
        by_height, by_level = sums.project_heights(image - sums.model(heights))
        heights = heights + (level * by_height - both * by_level) / determinant
    errors = np.sqrt(level / determinant)
    return heights.astype(image.dtype, copy=False), errors.astype(image.dtype, copy=False)


def draw(image: Array, points: np.ndarray, heights: np.ndarray, sigma: Any) -> Array:
    """Return columns drawn together, each in its window, on an image of the shape and dtype of `image`."""
    return _Sums(image, points, heights, sigma, None).model(heights)


class _Sums:
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
    """

    def __init__(
        self, image: np.ndarray, points: np.ndarray, heights: np.ndarray, sigma: Any, known: np.ndarray | None
    ) -> None:
        reach = fitting.REACH
        self._shape, self._dtype = image.shape, image.dtype
        self._slope = heights.astype(np.float64) / sigma
        limit = np.array(image.shape) - 1 - reach
        centre = np.clip(np.round(points).astype(np.int64), reach, np.maximum(limit, reach))
        self._corner = centre - reach
        steps = np.arange(2 * reach + 1)
        away = (self._corner[:, :, None] + steps - points[:, :, None].astype(np.float64)) / sigma
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
        once, twice = (each.sum(axis=2).T for each in (self._gauss, self._gauss**2))
        whole = twice[0] * twice[1]
        sums = np.stack([whole, once[0] * once[1], np.full_like(whole, self._gauss.shape[2] ** 2), whole])
        if self._known.size > 1:
            cut = ~self._moments(self._known)[1]
            weight, gauss = self._weights(cut), self._drawn(cut)
            sums[:3, cut] = [np.sum(weight * each, axis=(1, 2)) for each in (gauss * gauss, gauss, 1.0)]
        return sums

    def project_heights(self, residual: np.ndarray) -> np.ndarray:
        """Return the inner products (2, n) of the residual (H, W) by height and by level."""
        return self._moments(residual)[0][[0, 3]]

    def _moments(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return inner products (5, n) of an image (H, W) by all derivatives, and which windows are known."""
        moments, whole = np.empty((5, len(self._corner))), np.empty(len(self._corner), np.bool_)
        _moments(moments, whole, values, self._known, self._corner, self._gauss, self._away, self._slope)
        return moments, whole

    def _weights(self, rows: np.ndarray) -> np.ndarray:
        """Return the weights (m, w, w) of the pixels in some windows."""
        corner = self._corner[rows][:, :, None] + np.arange(self._gauss.shape[2])
        weight: np.ndarray = self._known[corner[:, 0, :, None], corner[:, 1, None, :]]
        return weight

    def _drawn(self, rows: np.ndarray) -> np.ndarray:
        """Return some columns of height 1 (m, w, w) in their windows."""
        drawn: np.ndarray = self._gauss[rows, 0, :, None] * self._gauss[rows, 1, None, :]
        return drawn

    def step(
        self, residual: np.ndarray, ridge: float, tether: float, away: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a Gauss-Newton step of every column on what all leave of the image.

        Parameters
        ----------
        residual : (H, W) ndarray
        ridge : float
            Share of what the mean diagonal of a normal matrix is if all is known that is added to it. It
            keeps columns of which little is known near where they are.
        tether : float
            See `fit`.
        away : (n, 2) ndarray
            How far each is from where it started, px.

        Returns
        -------
        change : (n, 4) ndarray
            Of height, row, column and level, at the same width.
        wider : (n,) ndarray
            Of the logarithm of the width.
        """
        moments, whole = self._moments(residual)
        normal = _normal(self._gauss, self._away, self._slope)
        added = ridge * sum(normal[a, a] for a in range(5)) / 5
        if not whole.all():
            self._weigh(normal, ~whole)
        for a in range(5):
            normal[a, a] += added
        for a in range(1, 3):
            normal[a, a] += tether
            moments[a] -= tether * away[:, a - 1]
        return _solved(normal, moments)

    def _weigh(self, normal: dict[tuple[int, int], np.ndarray], rows: np.ndarray) -> None:
        """Sum products of derivatives again, each pixel with its weight, in the windows of `rows`."""
        weight, gauss = self._weights(rows), self._drawn(rows)
        by_place = gauss * self._slope[rows, None, None]
        down, right = self._away[rows, 0, :, None], self._away[rows, 1, None, :]
        by = [gauss, by_place * down, by_place * right, np.ones_like(gauss)]
        by.append(by_place * (down * down + right * right))
        for (a, b), total in normal.items():
            total[rows] = np.sum(weight * by[a] * by[b], axis=(1, 2))


@cpu.compiled(needed=True, nogil=True, error_model="numpy")
def _draw(total: Any, corner: Any, gauss: Any, heights: Any) -> None:
    width = gauss.shape[2]
    for i in range(corner.shape[0]):
        for r in range(width):
            row = heights[i] * gauss[i, 0, r]
            for c in range(width):
                total[corner[i, 0] + r, corner[i, 1] + c] += row * gauss[i, 1, c]


@cpu.compiled(nogil=True, error_model="numpy")
def _moments(
    moments: Any, whole: Any, residual: Any, known: Any, corner: Any, gauss: Any, away: Any, slope: Any
) -> None:
    """Sum the residual times each derivative over windows into moments (5, n); say which are all known."""
    width, weighted = gauss.shape[2], known.size > 1
    for i in range(corner.shape[0]):
        by_height, by_down, by_right, by_level, by_width, all_known = 0.0, 0.0, 0.0, 0.0, 0.0, True
        for r in range(width):
            total, drawn, aside, further = 0.0, 0.0, 0.0, 0.0
            for c in range(width):
                value = np.float64(residual[corner[i, 0] + r, corner[i, 1] + c])
                if weighted:
                    weight = known[corner[i, 0] + r, corner[i, 1] + c]
                    all_known = all_known and weight == 1
                    value *= weight
                right = away[i, 1, c]
                total += value
                value *= gauss[i, 1, c]
                drawn += value
                aside += value * right
                further += value * right * right
            row, down = gauss[i, 0, r], away[i, 0, r]
            by_height += row * drawn
            by_down += row * down * drawn
            by_right += row * aside
            by_level += total
            by_width += row * (down * down * drawn + further)
        moments[0, i], moments[1, i], moments[2, i] = by_height, slope[i] * by_down, slope[i] * by_right
        moments[3, i], moments[4, i], whole[i] = by_level, slope[i] * by_width, all_known


def _normal(gauss: np.ndarray, away: np.ndarray, slope: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Sum products (n,) of derivatives over whole windows, by rows and columns: the upper half of 5 x 5."""
    # Along rows and columns, with all columns side by side: (2, w, n).
    once, away = (np.ascontiguousarray(each.transpose(1, 2, 0)) for each in (gauss, away))
    twice = once * once
    p, q = np.stack([(once * power).sum(axis=1) for power in (1.0, away, away * away)], axis=1)
    sums = []
    for _ in range(5):
        sums.append(twice.sum(axis=1))
        twice *= away
    r, c = np.stack(sums, axis=1)
    t = slope * slope
    return {
        (0, 0): r[0] * c[0],
        (0, 1): slope * r[1] * c[0],
        (0, 2): slope * r[0] * c[1],
        (0, 3): p[0] * q[0],
        (0, 4): slope * (r[2] * c[0] + r[0] * c[2]),
        (1, 1): t * r[2] * c[0],
        (1, 2): t * r[1] * c[1],
        (1, 3): slope * p[1] * q[0],
        (1, 4): t * (r[3] * c[0] + r[1] * c[2]),
        (2, 2): t * r[0] * c[2],
        (2, 3): slope * p[0] * q[1],
        (2, 4): t * (r[2] * c[1] + r[0] * c[3]),
        (3, 3): np.full_like(slope, gauss.shape[2] ** 2),
        (3, 4): slope * (p[2] * q[0] + p[0] * q[2]),
        (4, 4): t * (r[4] * c[0] + 2 * r[2] * c[2] + r[0] * c[4]),
    }


def _solved(n: dict[tuple[int, int], np.ndarray], m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first four of five unknowns (k, 4) at a fifth of 0, and the fifth; uses up what is given."""
    for a in range(4):
        for b in range(a + 1, 5):
            share = n[a, b] / n[a, a]
            m[b] -= share * m[a]
            for c in range(b, 5):
                n[b, c] -= share * n[a, c]
    wider = m[4] / n[4, 4]
    for a in range(3, -1, -1):
        for b in range(a + 1, 4):
            m[a] -= n[a, b] * m[b]
        m[a] /= n[a, a]
    return m[:4].T, wider
