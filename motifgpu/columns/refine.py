"""Least-squares fits of Gaussian columns to an image, all columns at once.

Images are on any device, and columns, a few numbers each, on the host.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType

import array_api_compat
import numpy as np

from motifgpu.core import namespace
from motifgpu.core.fitting import REACH, USUAL
from motifgpu.core.namespace import Array
from motifgpu.core.on_points import mean_and_values_at

# Gauss-Newton steps of a fit, and how far it moves at most without having left its column, px.
STEPS, LONGEST_MOVE = 4, 1.5


@dataclass(frozen=True)
class Peaks:
    """Gaussian columns on an image.

    Attributes
    ----------
    points : (n, 2) ndarray
        Centres as (row, col), px.
    heights : (n,) ndarray
        Above the level around each.
    sigma : () ndarray
        Standard deviation of all of them, px.
    """

    points: np.ndarray
    heights: np.ndarray
    sigma: np.ndarray

    def select(self, mask: np.ndarray) -> Peaks:
        """Return the peaks where `mask` (n,) is True."""
        return Peaks(self.points[mask], self.heights[mask], self.sigma)

    def distance(self, others: Peaks) -> np.ndarray:
        """Return how far (n,) each is from its counterpart among others, px."""
        away: np.ndarray = np.sqrt(np.sum((self.points - others.points) ** 2, axis=1))
        return away


def tallest_tenth(peaks: Peaks) -> float:
    """Return the height that a tenth of the peaks has or exceeds."""
    ordered = np.sort(peaks.heights)
    return float(ordered[int(0.9 * ordered.shape[0])])


def start_peaks(image: Array, points: np.ndarray) -> Peaks:
    """Return peaks of a usual width at `points` (n, 2), as high as the image there is above its mean."""
    limit = np.array(image.shape) - 1 - REACH
    row, col = np.clip(np.round(points).astype(np.int64), REACH, np.maximum(limit, REACH)).T
    level, heights = mean_and_values_at(image, row * image.shape[1] + col)
    width = np.asarray(USUAL, heights.dtype)
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
    twin, image, known = _twin(image, known)
    return Peaks(*twin.fit(image, peaks.points, peaks.heights, peaks.sigma, known, steps, tether))


def settle(
    image: Array, start: Peaks, steps: int = STEPS, *, tether: float = 0.0, known: Array | None = None
) -> tuple[Peaks, np.ndarray]:
    """Fit as `refine` does, those that leave their column being put back; also return how far each moved."""
    peaks = refine(image, start, steps, tether=tether, known=known)
    moved = peaks.distance(start)
    points = np.where((moved <= LONGEST_MOVE)[:, None], peaks.points, start.points)
    return replace(peaks, points=points), moved


def measure(
    image: Array, peaks: Peaks, known: Array | None = None, steps: int = 4
) -> tuple[np.ndarray, np.ndarray]:
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
    heights : (n,) ndarray
    errors : (n,) ndarray
        Their standard errors for noise of standard deviation 1, neighbours aside.
    """
    twin, image, known = _twin(image, known)
    found: tuple[np.ndarray, np.ndarray] = twin.measure(
        image, peaks.points, peaks.heights, peaks.sigma, known, steps
    )
    return found


def measure_heights(image: Array, peaks: Peaks, known: Array | None = None, steps: int = 4) -> np.ndarray:
    """Return the heights (n,) of `measure`."""
    return measure(image, peaks, known, steps)[0]


def render(peaks: Peaks, image: Array) -> Array:
    """Draw the columns, each in its window of 7 x 7 px, on an image of the shape and the kind of `image`."""
    twin, there, _ = _twin(image, None)
    drawn = twin.draw(there, peaks.points, peaks.heights, peaks.sigma)
    return drawn if there is image else namespace.from_numpy(drawn, image)


def _twin(image: Array, known: Array | None) -> tuple[ModuleType, Array, Array | None]:
    """Return what fits columns to an image, and the image and its weights as that takes them."""
    if namespace.is_cupy(namespace.array_namespace(image)):
        from motifgpu.cuda import refine as on_device

        return on_device, image, known
    from motifgpu.cpu import refine as on_host

    if array_api_compat.is_numpy_array(image):
        return on_host, image, known
    return on_host, namespace.to_numpy(image), None if known is None else namespace.to_numpy(known)
