"""Least-squares fits of Gaussian columns to an image, all columns at once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# Half the side of the window a column is fitted in, px of the band's grid; columns stand about 5 px apart.
REACH = 3
_NARROWEST, USUAL, WIDEST = 0.6, 1.1, 2.5
# Longest move along an axis in a step, px.
_LONGEST = 0.7
# Gauss-Newton steps of a fit, and how far it moves at most without having left its column, px.
STEPS, LONGEST_MOVE = 4, 1.5
# The derivatives by height, row, column, level and width as sums of (factor along rows, along columns), the
# factors being the Gaussian, its derivative by position, that by the logarithm of the width, and 1.
_TERMS = [[(0, 0)], [(1, 0)], [(0, 1)], [(3, 3)], [(2, 0), (0, 2)]]
_HEIGHT, _LEVEL, _WIDTH = 0, 3, 4


@dataclass(frozen=True)
class Peaks:
    """Gaussian columns on an image.

    Attributes
    ----------
    points : (n, 2) array
        Centres as (row, col), px.
    heights : (n,) array
        Above the level around each.
    sigma : () array
        Standard deviation of all of them, px.
    """

    points: Array
    heights: Array
    sigma: Array

    def select(self, mask: Array) -> Peaks:
        """Return the peaks where `mask` (n,) is True."""
        points, heights = (namespace.take_rows(x, mask) for x in (self.points, self.heights))
        return Peaks(points, heights, self.sigma)

    def distance(self, others: Peaks) -> Array:
        """Return how far (n,) each is from its counterpart among others, px."""
        xp = namespace.array_namespace(self.points)
        return xp.sqrt(xp.sum((self.points - others.points) ** 2, axis=1))


def start_peaks(image: Array, points: Array) -> Peaks:
    """Return peaks of a usual width at `points` (n, 2), as high as the image there is above its mean."""
    xp = namespace.array_namespace(image)
    windows = _windows(xp.round(points), image.shape)
    heights = xp.take(xp.reshape(image, (-1,)), windows[:, REACH, REACH])
    level = xp.mean(image)
    width = xp.asarray(USUAL, dtype=image.dtype, device=namespace.device(image))
    return Peaks(points, xp.clip(heights - level, min=0.0), width)


def refine(image: Array, peaks: Peaks, steps: int) -> Peaks:
    """Fit position, height, local level and the common width by Gauss-Newton steps.

    A step solves for every column on what all the others leave of the image, so neighbours that overlap are
    fitted together. The width is one for all: it changes by the median of the corrections of the taller half.

    Parameters
    ----------
    image : (H, W) array
        Every window of 7 x 7 px must lie inside, or it is moved there.
    peaks : Peaks
    steps : int

    Returns
    -------
    Peaks
    """
    xp = namespace.array_namespace(image)
    for _ in range(steps):
        fit = _Fit(image, peaks)
        moments, normal = fit.project(image - fit.model()), fit.normal()
        cross = normal[:, :_WIDTH, _WIDTH]
        right = xp.stack([moments[:, :_WIDTH], cross], axis=2)
        solved = xp.linalg.solve(normal[:, :_WIDTH, :_WIDTH], right)
        change, coupled = solved[:, :, 0], solved[:, :, 1]
        wider = moments[:, _WIDTH] - xp.sum(cross * change, axis=1)
        wider = wider / (normal[:, _WIDTH, _WIDTH] - xp.sum(cross * coupled, axis=1))
        middle = namespace.upper_median(peaks.heights)
        asked = namespace.upper_median(namespace.take_rows(wider, peaks.heights >= middle))
        move = xp.clip(change[:, 1:3], min=-_LONGEST, max=_LONGEST)
        peaks = Peaks(
            peaks.points + move,
            xp.maximum(peaks.heights + change[:, _HEIGHT], 0.02 * middle),
            xp.clip(peaks.sigma + asked, min=_NARROWEST, max=WIDEST),
        )
    return peaks


def settle(image: Array, start: Peaks, steps: int = STEPS) -> tuple[Peaks, Array]:
    """Fit as `refine` does, those that leave their column being put back; also return how far each moved."""
    xp = namespace.array_namespace(image)
    peaks = refine(image, start, steps)
    moved = peaks.distance(start)
    points = xp.where((moved <= LONGEST_MOVE)[:, None], peaks.points, start.points)
    return replace(peaks, points=points), moved


def measure_heights(image: Array, peaks: Peaks, steps: int = 3) -> Array:
    """Fit heights and local levels alone; heights may come out negative.

    Parameters
    ----------
    image : (H, W) array
    peaks : Peaks
        Where, and how wide.
    steps : int

    Returns
    -------
    (n,) array
    """
    xp = namespace.array_namespace(image)
    peaks = replace(peaks, heights=xp.zeros_like(peaks.heights))
    for _ in range(steps):
        fit = _Fit(image, peaks)
        moments = fit.project(image - fit.model())
        normal = fit.normal()
        a, b, c = normal[:, _HEIGHT, _HEIGHT], normal[:, _HEIGHT, _LEVEL], normal[:, _LEVEL, _LEVEL]
        change = (c * moments[:, _HEIGHT] - b * moments[:, _LEVEL]) / (a * c - b * b)
        peaks = replace(peaks, heights=peaks.heights + change)
    return peaks.heights


def render(peaks: Peaks, shape: tuple[int, int]) -> Array:
    """Draw the columns, each in its window of 7 x 7 px: (H, W)."""
    xp = namespace.array_namespace(peaks.points)
    image = xp.zeros(shape, dtype=peaks.points.dtype, device=namespace.device(peaks.points))
    return _Fit(image, peaks).model()


def _windows(corner: Array, shape: tuple[int, int]) -> Array:
    """Flat indices (n, 7, 7) of the pixels around whole-numbered centres (n, 2)."""
    xp = namespace.array_namespace(corner)
    steps = xp.arange(-REACH, REACH + 1, dtype=xp.int64, device=namespace.device(corner))
    centre = xp.astype(corner, xp.int64)
    row = xp.clip(centre[:, 0], min=REACH, max=shape[0] - 1 - REACH)
    col = xp.clip(centre[:, 1], min=REACH, max=shape[1] - 1 - REACH)
    return (row[:, None] + steps)[:, :, None] * shape[1] + (col[:, None] + steps)[:, None, :]


class _Fit:
    """The windows of all columns and, factor by factor along rows and columns, the Gaussians in them."""

    def __init__(self, image: Array, peaks: Peaks) -> None:
        xp = self.xp = namespace.array_namespace(image)
        self.peaks, self.shape = peaks, image.shape
        self.windows = _windows(xp.round(peaks.points), image.shape)
        corner = self.windows[:, 0, 0]
        steps = xp.arange(2 * REACH + 1, dtype=image.dtype, device=namespace.device(image))
        self.factors = []
        for axis, first in enumerate((corner // image.shape[1], corner % image.shape[1])):
            away = (xp.astype(first, image.dtype) - peaks.points[:, axis])[:, None] + steps
            away = away / peaks.sigma
            gauss = xp.exp(-0.5 * away * away)
            self.factors.append([gauss, gauss * away / peaks.sigma, gauss * away * away, xp.ones_like(gauss)])

    def model(self) -> Array:
        """All columns drawn together."""
        xp = self.xp
        (rows, *_), (cols, *_) = self.factors
        drawn = (self.peaks.heights[:, None] * rows)[:, :, None] * cols[:, None, :]
        total = namespace.bincount(
            xp.reshape(self.windows, (-1,)), xp.reshape(drawn, (-1,)), self.shape[0] * self.shape[1]
        )
        return xp.reshape(total, self.shape)

    def _weights(self) -> list[Array]:
        """What the sums of factors in `_TERMS` are to be multiplied by to be derivatives."""
        one, heights = self.xp.ones_like(self.peaks.heights), self.peaks.heights
        return [one, heights, heights, one, heights / self.peaks.sigma]

    def project(self, residual: Array) -> Array:
        """Return the inner products (n, 5) of the residual with the derivatives by each unknown."""
        xp = self.xp
        there = xp.take(xp.reshape(residual, (-1,)), xp.reshape(self.windows, (-1,)))
        rows, cols = (xp.stack(f, axis=1) for f in self.factors)
        table = rows @ xp.reshape(there, self.windows.shape) @ xp.matrix_transpose(cols)
        sums = [sum(table[:, r, c] for r, c in terms) for terms in _TERMS]
        return xp.stack([w * s for w, s in zip(self._weights(), sums, strict=True)], axis=1)

    def normal(self) -> Array:
        """Return the normal matrices (n, 5, 5), a millionth of their mean diagonal added to it."""
        xp = self.xp
        rows, cols = (xp.stack(f, axis=1) for f in self.factors)
        gram_rows, gram_cols = rows @ xp.matrix_transpose(rows), cols @ xp.matrix_transpose(cols)
        weights, unknowns = self._weights(), range(len(_TERMS))
        entries = {}
        for i, j in itertools.combinations_with_replacement(unknowns, 2):
            pairs = itertools.product(_TERMS[i], _TERMS[j])
            entry = sum(gram_rows[:, ri, rj] * gram_cols[:, ci, cj] for (ri, ci), (rj, cj) in pairs)
            entries[i, j] = entries[j, i] = weights[i] * weights[j] * entry
        ridge = sum(entries[i, i] for i in unknowns) * (1e-6 / len(_TERMS))
        for i in unknowns:
            entries[i, i] = entries[i, i] + ridge
        matrix = xp.stack([entries[i, j] for i in unknowns for j in unknowns], axis=1)
        return xp.reshape(matrix, (-1, len(_TERMS), len(_TERMS)))
