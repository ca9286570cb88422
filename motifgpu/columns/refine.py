"""Least-squares fits of Gaussian columns to an image, all columns at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import array_api_compat

from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# Half the side of the window a column is fitted in, px of the band's grid; columns stand about 5 px apart.
REACH = 3
_NARROWEST, USUAL, WIDEST = 0.6, 1.1, 2.5
# Longest move along an axis in a step, px.
_LONGEST = 0.7
# Gauss-Newton steps of a fit, and how far it moves at most without having left its column, px.
STEPS, LONGEST_MOVE = 4, 1.5
# What is added to the normal matrices, where all pixels are known and where some may not be.
_RIDGE, _RIDGE_UNKNOWN = 1e-6, 1e-4
_WIDTH = 4  # place of the logarithm of the width among a column's unknowns, the last


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


def tallest_tenth(peaks: Peaks) -> float:
    """Return the height that a tenth of the peaks has or exceeds."""
    ordered = namespace.array_namespace(peaks.heights).sort(peaks.heights, stable=False)
    return float(ordered[int(0.9 * ordered.shape[0])])


def start_peaks(image: Array, points: Array) -> Peaks:
    """Return peaks of a usual width at `points` (n, 2), as high as the image there is above its mean."""
    xp = namespace.array_namespace(image)
    windows = _windows(xp.round(points), image.shape)
    heights = xp.take(xp.reshape(image, (-1,)), windows[:, REACH, REACH])
    level = xp.mean(image)
    width = xp.asarray(USUAL, dtype=image.dtype, device=namespace.device(image))
    return Peaks(points, namespace.clip(heights - level, min=0.0), width)


def refine(
    image: Array, peaks: Peaks, steps: int, *, tether: float = 0.0, known: Array | None = None
) -> Peaks:
    """Fit position, height, local level and the common width by Gauss-Newton steps.

    A step solves for every column on what all the others leave of the image, so neighbours that overlap are
    fitted together. The width is one for all: it changes by the median of the corrections of the taller half.

    Parameters
    ----------
    image : (H, W) array
        Every window of 7 x 7 px must lie inside, or it is moved there.
    peaks : Peaks
    steps : int
    tether : float
        Variance of the noise over that of the columns about where they start: it keeps those that the noise
        hides near there.
    known : (H, W) array, optional
        Weight of each pixel: 0 where there are no data.

    Returns
    -------
    Peaks
    """
    xp = namespace.array_namespace(image)
    start = peaks.points
    for _ in range(steps):
        fit = _fit(image, peaks, known)
        away = peaks.points - start
        change, wider = fit.step(image - fit.model(peaks.heights), _ridge(known), tether, away)
        middle = namespace.upper_median(peaks.heights)
        asked = namespace.upper_median(wider, peaks.heights >= middle)
        move = namespace.clip(change[:, 1:3], min=-_LONGEST, max=_LONGEST)
        points, heights = peaks.points + move, peaks.heights + change[:, 0]
        peaks = Peaks(
            xp.astype(points, start.dtype, copy=False),
            xp.astype(xp.maximum(heights, 0.02 * middle), start.dtype, copy=False),
            namespace.clip(peaks.sigma + asked, min=_NARROWEST, max=WIDEST),
        )
    return peaks


def settle(
    image: Array, start: Peaks, steps: int = STEPS, *, tether: float = 0.0, known: Array | None = None
) -> tuple[Peaks, Array]:
    """Fit as `refine` does, those that leave their column being put back; also return how far each moved."""
    xp = namespace.array_namespace(image)
    peaks = refine(image, start, steps, tether=tether, known=known)
    moved = peaks.distance(start)
    points = xp.where((moved <= LONGEST_MOVE)[:, None], peaks.points, start.points)
    return replace(peaks, points=points), moved


def measure_heights(image: Array, peaks: Peaks, known: Array | None = None, steps: int = 4) -> Array:
    """Fit heights and local levels alone, from the heights of the peaks on; heights may come out negative.

    Parameters
    ----------
    image : (H, W) array
    peaks : Peaks
        Where, how wide, and about how high.
    known : (H, W) array, optional
        Weight of each pixel.
    steps : int

    Returns
    -------
    (n,) array
    """
    fit = _fit(image, peaks, known)
    a, b, c = _height_and_level(fit, known)
    heights = peaks.heights
    for _ in range(steps):
        by_height, by_level = fit.project_heights(image - fit.model(heights))
        heights = heights + (c * by_height - b * by_level) / (a * c - b * b)
    return namespace.array_namespace(image).astype(heights, image.dtype, copy=False)


def height_errors(image: Array, peaks: Peaks, known: Array) -> Array:
    """Return the standard errors (n,) of heights for noise of standard deviation 1, neighbours aside."""
    xp = namespace.array_namespace(image)
    a, b, c = _height_and_level(_fit(image, peaks, known), known)
    return xp.astype(xp.sqrt(c / (a * c - b * b)), image.dtype, copy=False)


def render(peaks: Peaks, shape: tuple[int, int]) -> Array:
    """Draw the columns, each in its window of 7 x 7 px: (H, W)."""
    xp = namespace.array_namespace(peaks.points)
    image = xp.zeros(shape, dtype=peaks.points.dtype, device=namespace.device(peaks.points))
    return _fit(image, peaks).model(peaks.heights)


def _windows(corner: Array, shape: tuple[int, int]) -> Array:
    """Flat indices (n, 7, 7) of the pixels around whole-numbered centres (n, 2)."""
    xp = namespace.array_namespace(corner)
    steps = xp.arange(-REACH, REACH + 1, dtype=xp.int64, device=namespace.device(corner))
    centre = xp.astype(corner, xp.int64)
    row = namespace.clip(centre[:, 0], min=REACH, max=shape[0] - 1 - REACH)
    col = namespace.clip(centre[:, 1], min=REACH, max=shape[1] - 1 - REACH)
    return (row[:, None] + steps)[:, :, None] * shape[1] + (col[:, None] + steps)[:, None, :]


class _Fit:
    """The windows of all columns, and in each the Gaussian and its derivatives by every unknown."""

    def __init__(self, image: Array, peaks: Peaks, known: Array | None = None) -> None:
        xp = self.xp = namespace.array_namespace(image)
        self.peaks, self.shape, self.known = peaks, image.shape, known
        self.windows = _windows(xp.round(peaks.points), image.shape)
        corner = self.windows[:, 0, 0]
        steps = xp.arange(2 * REACH + 1, dtype=image.dtype, device=namespace.device(image))
        self.gauss, self.away = [], []
        for axis, first in enumerate((corner // image.shape[1], corner % image.shape[1])):
            away = (xp.astype(first, image.dtype) - peaks.points[:, axis])[:, None] + steps
            self.away.append(away / peaks.sigma)
            self.gauss.append(xp.exp(-0.5 * self.away[axis] * self.away[axis]))

    @cached_property
    def _drawn(self) -> Array:
        """The columns of height 1 (n, 7, 7)."""
        rows, cols = self.gauss
        return rows[:, :, None] * cols[:, None, :]

    @cached_property
    def _derivatives(self) -> Array:
        """Derivatives (n, 5, 49) by height, row, column, level and logarithm of the width."""
        xp, gauss, heights = self.xp, self._drawn, self.peaks.heights[:, None, None]
        row, col = self.away[0][:, :, None], self.away[1][:, None, :]
        by_place = gauss * (heights / self.peaks.sigma)
        parts = [
            *(gauss, by_place * row, by_place * col, xp.ones_like(gauss)),
            by_place * (row * row + col * col),
        ]
        return xp.reshape(xp.stack(parts, axis=1), (gauss.shape[0], len(parts), -1))

    def model(self, heights: Array) -> Array:
        """All columns drawn together."""
        xp = self.xp
        drawn = heights[:, None, None] * self._drawn
        total = namespace.bincount(
            xp.reshape(self.windows, (-1,)), xp.reshape(drawn, (-1,)), self.shape[0] * self.shape[1]
        )
        return xp.reshape(total, self.shape)

    @cached_property
    def _weighted(self) -> tuple[Array, Array]:
        """Weights (n, 49) of pixels in the inner products by height and by level."""
        xp = self.xp
        drawn = xp.reshape(self._drawn, (self._drawn.shape[0], -1))
        level = xp.ones_like(drawn) if self.known is None else self._there(self.known)
        return drawn * level, level

    def height_and_level(self) -> tuple[Array, ...]:
        """Return sums (n,): of the square by height, of both, by level, and of the first were all known."""
        xp = self.xp
        (gauss, level), drawn = self._weighted, xp.reshape(self._drawn, (self._drawn.shape[0], -1))
        sums = (gauss * drawn, gauss, level, drawn * drawn)
        return tuple(xp.sum(each, axis=1) for each in sums)

    def project_heights(self, residual: Array) -> tuple[Array, Array]:
        """Return the inner products (n,) of the residual by height and by level."""
        xp, there = self.xp, self._there(residual)
        gauss, level = self._weighted
        return xp.sum(gauss * there, axis=1), xp.sum(level * there, axis=1)

    def _there(self, values: Array) -> Array:
        """Return an image's values (n, 49) in the windows."""
        xp = self.xp
        flat = xp.take(xp.reshape(values, (-1,)), xp.reshape(self.windows, (-1,)))
        return xp.reshape(flat, (self.windows.shape[0], -1))

    def step(self, residual: Array, ridge: float, tether: float, away: Array) -> tuple[Array, Array]:
        """Return a Gauss-Newton step of every column on what all leave of the image.

        Parameters
        ----------
        residual : (H, W) array
        ridge : float
            Share of what the mean diagonal of a normal matrix is if all is known that is added to it. It
            keeps columns of which little is known near where they are.
        tether : float
            See `refine`.
        away : (n, 2) array
            How far each is from where it started, px.

        Returns
        -------
        change : (n, 4) array
            Of height, row, column and level, at the same width.
        wider : (n,) array
            Of the logarithm of the width.
        """
        xp, by, width = self.xp, self._derivatives, _WIDTH
        weighted = by if self.known is None else by * self._there(self.known)[:, None, :]
        moments = xp.matmul(weighted, self._there(residual)[:, :, None])[:, :, 0]
        normal = xp.matmul(weighted, xp.matrix_transpose(by))
        unit = xp.eye(width + 1, dtype=normal.dtype, device=namespace.device(normal))
        added = ridge * xp.mean(xp.sum(by * by, axis=2), axis=1)[:, None] + xp.zeros_like(unit[:1, :])
        if tether:
            moments = xp.concat([moments[:, :1], moments[:, 1:3] - tether * away, moments[:, 3:]], axis=1)
            added = added + tether * xp.sum(unit[1:3, :], axis=0)
        normal = normal + added[:, :, None] * unit
        cross = normal[:, :width, width]
        right = xp.stack([moments[:, :width], cross], axis=2)
        solved = xp.linalg.solve(normal[:, :width, :width], right)
        change, coupled = solved[:, :, 0], solved[:, :, 1]
        wider = moments[:, width] - xp.sum(cross * change, axis=1)
        return change, wider / (normal[:, width, width] - xp.sum(cross * coupled, axis=1))


def _fit(image: Array, peaks: Peaks, known: Array | None = None) -> Any:
    """Return the sums over the windows of columns, compiled where arrays are NumPy's or CuPy's."""
    if array_api_compat.is_numpy_array(image):
        from motifgpu.cpu.refine import HostFit

        return HostFit(image, peaks.points, peaks.heights, float(peaks.sigma), known, REACH)
    if namespace.is_cupy(namespace.array_namespace(image)):
        from motifgpu.cuda.refine import DeviceFit

        return DeviceFit(image, peaks.points, peaks.heights, peaks.sigma, known, REACH)
    return _Fit(image, peaks, known)


def _height_and_level(fit: Any, known: Array | None) -> tuple[Array, Array, Array]:
    """Return the entries (n,) of the normal matrices by height, by both and by level."""
    a, b, c, whole = fit.height_and_level()
    share = _ridge(known)
    # Where nothing is known both are small and not 0.
    return a + share * (whole + 1e-3), b, c + share * (2 * REACH + 1) ** 2


def _ridge(known: Array | None) -> float:
    """Return the share that is added to normal matrices."""
    return _RIDGE if known is None else _RIDGE_UNKNOWN
