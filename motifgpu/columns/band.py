"""A micrograph limited to the band of its structure, on the coarsest grid that holds it.

An image sampled finely for its lattice says no more about the columns than that grid does; noise beyond the
band is gone, what is left is white again, a length that belongs to the lattice is the same number of grid
pixels in every micrograph, and everything costs a fraction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len

from motifgpu.core import namespace
from motifgpu.core.cached import cached_property
from motifgpu.core.namespace import Array

# Period of the fastest background over that of the first ring: about two lattice constants.
BACKGROUND = 2.5


@dataclass(frozen=True)
class Band:
    """The low frequencies of an image that was continued beyond its borders by reflection.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the image, px.
    cutoff : float
        Highest frequency on either axis that is held, cycles per pixel.
    extended : (int, int)
        Rows and columns of the continued image, px.
    size : (int, int)
        Rows and columns of the grid.
    pad : (int, int)
        Rows above and columns left of the image in the continued one, px.
    coefficients : (h, w // 2 + 1) complex array
        Transform of the grid.
    """

    shape: tuple[int, int]
    cutoff: float
    extended: tuple[int, int]
    size: tuple[int, int]
    pad: tuple[int, int]
    coefficients: Array

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the image to a pixel of the grid, along rows and along columns."""
        return self.extended[0] / self.size[0], self.extended[1] / self.size[1]

    @property
    def noise_gain(self) -> float:
        """Variance of white noise on the grid over that in the image."""
        return 1 / (self.scale[0] * self.scale[1])

    @cached_property
    def frequency(self) -> Array:
        """|f| of the coefficients, cycles per pixel of the image."""
        rows = np.fft.fftfreq(self.size[0], self.scale[0])
        cols = np.fft.rfftfreq(self.size[1], self.scale[1])
        xp = namespace.array_namespace(self._real)
        return xp.hypot(*self._sides(rows, cols))

    @cached_property
    def inside(self) -> Array:
        """1 on the pixels of the grid that lie in the image, 0 elsewhere: (h, w)."""
        return self.within(0)

    @cached_property
    def coverage(self) -> Array:
        """Share of each pixel of the grid that lies in the image: (h, w)."""
        sides = []
        for axis in (0, 1):
            middle = np.arange(self.size[axis]) * self.scale[axis] - self.pad[axis]
            low = np.clip(middle - 0.5 * self.scale[axis], -0.5, self.shape[axis] - 0.5)
            high = np.clip(middle + 0.5 * self.scale[axis], -0.5, self.shape[axis] - 0.5)
            sides.append((high - low) / self.scale[axis])
        rows, cols = self._sides(*sides)
        return rows * cols

    def within(self, reach: float) -> Array:
        """1 on the pixels of the grid in the image or at most `reach` grid pixels beyond, 0 elsewhere."""
        sides = []
        for axis in (0, 1):
            beyond = reach * self.scale[axis]
            position = np.arange(self.size[axis]) * self.scale[axis] - self.pad[axis]
            sides.append((position > -1 - beyond) & (position < self.shape[axis] + beyond))
        rows, cols = self._sides(*sides)
        return rows * cols

    @cached_property
    def taper(self) -> Array:
        """Hann window over the image, 0 beyond it: (h, w)."""
        windows = []
        for axis in (0, 1):
            position = np.arange(self.size[axis]) * self.scale[axis] - self.pad[axis]
            share = np.clip((position + 0.5) / self.shape[axis], 0, 1)
            windows.append(np.sin(np.pi * share) ** 2)
        rows, cols = self._sides(*windows)
        return rows * cols

    def _sides(self, rows: np.ndarray, cols: np.ndarray) -> tuple[Array, Array]:
        """Bring what depends on row or column alone to the device, (h, 1) and (1, w), to be spread there."""
        return namespace.as_like(rows[:, None], self._real), namespace.as_like(cols[None, :], self._real)

    @cached_property
    def _real(self) -> Array:
        return namespace.array_namespace(self.coefficients).real(self.coefficients)

    def background_response(self, frequency: float) -> Array:
        """Return the response that passes the slow background under a first ring at `frequency`."""
        xp = namespace.array_namespace(self.frequency)
        return xp.exp(-((self.frequency * (BACKGROUND / frequency)) ** 4))

    def grid(self, response: Array | None = None) -> Array:
        """Return the band on its grid (h, w), its coefficients multiplied by `response` if one is given."""
        product = self.coefficients if response is None else self.coefficients * response
        return self.inverse(product)

    def transform(self, grid: Array) -> Array:
        """Return the transform of values on the grid."""
        return namespace.fft(namespace.array_namespace(grid)).rfftn(grid, axes=(0, 1))

    def inverse(self, coefficients: Array) -> Array:
        """Return values on the grid (h, w) from their transform."""
        xp = namespace.array_namespace(coefficients)
        return namespace.fft(xp).irfftn(coefficients, s=self.size, axes=(0, 1))

    def autocorrelation(self, grid: Array) -> Array:
        """Return the periodic autocorrelation (h, w) of values on the grid, lag 0 first."""
        transform = self.transform(grid)
        return self.inverse(transform * namespace.array_namespace(grid).conj(transform))

    def gaussian(self, sigma: float) -> Array:
        """Return the response (h, w // 2 + 1) of a Gaussian of `sigma` grid pixels."""
        rows, cols = np.fft.fftfreq(self.size[0]), np.fft.rfftfreq(self.size[1])
        rows, cols = self._sides(*(np.exp(-2 * (np.pi * sigma * f) ** 2) for f in (rows, cols)))
        return rows * cols

    def blur(self, grid: Array, sigma: float) -> Array:
        """Convolve values on the grid with a Gaussian of `sigma` grid pixels, periodically."""
        return self.inverse(self.transform(grid) * self.gaussian(sigma))

    def image(self, response: Array) -> Array:
        """Return the band multiplied by `response` on the pixels of the image, (H, W)."""
        xp = namespace.array_namespace(self.coefficients)
        wide = _resize(self.coefficients * response, self.size, self.extended)
        full = namespace.fft(xp).irfftn(wide, s=self.extended, axes=(0, 1))
        (top, left), (rows, cols) = self.pad, self.shape
        return full[top : top + rows, left : left + cols]

    def sampled(self, x: Array) -> Array:
        """Return the nearest values of an image (H, W), continued by reflection, on the grid (h, w)."""
        xp = namespace.array_namespace(x)
        for axis in (0, 1):
            position = np.rint(np.arange(self.size[axis]) * self.scale[axis]).astype(np.int64)
            index = _mirrored(position - self.pad[axis], self.shape[axis])
            x = xp.take(x, namespace.from_numpy(index, x), axis=axis)
        return x

    def to_pixels(self, points: Array) -> Array:
        """Return points (n, 2) on the grid as (row, col) in pixels of the image."""
        return points * self._pair(self.scale, points) - self._pair(self.pad, points)

    def to_grid(self, points: Array) -> Array:
        """Return points (n, 2) in pixels of the image as (row, col) on the grid."""
        return (points + self._pair(self.pad, points)) / self._pair(self.scale, points)

    def _pair(self, values: tuple[float, float], like: Array) -> Array:
        return namespace.as_like(np.array(values, np.float64), like)


def band_of(x: Array, cutoff: float, margin: float) -> Band:
    """Limit an image to frequencies up to `cutoff` along either axis.

    Parameters
    ----------
    x : (H, W) array
    cutoff : float
        Cycles per pixel. Above 0.5 the grid is finer than the image.
    margin : float
        Least width of the reflected border, px; not more than the longer side is taken.

    Returns
    -------
    Band
    """
    xp = namespace.array_namespace(x)
    shape = (x.shape[0], x.shape[1])
    margin = min(margin, max(shape))
    extended, size, pad = [], [], []
    for axis, length in enumerate(shape):
        padded = 2 * next_fast_len(math.ceil(length / 2 + margin), real=True)
        before = (padded - length) // 2
        extended.append(padded)
        pad.append(before)
        size.append(2 * next_fast_len(math.ceil(cutoff * padded), real=True))
        mirrored = _mirrored(np.arange(padded) - before, length)
        x = xp.take(x, namespace.from_numpy(mirrored, x), axis=axis)
    whole, small = (extended[0], extended[1]), (size[0], size[1])
    coefficients = _resize(namespace.fft(xp).rfftn(x, axes=(0, 1)), whole, small)
    return Band(shape, cutoff, whole, small, (pad[0], pad[1]), coefficients)


def _mirrored(position: np.ndarray, length: int) -> np.ndarray:
    """Return which pixels of a line stand at positions (n,) of the line that its mirror image continues."""
    index = np.abs(position) % (2 * (length - 1))
    mirrored: np.ndarray = np.minimum(index, 2 * (length - 1) - index)
    return mirrored


def _resize(coefficients: Array, size: tuple[int, int], wanted: tuple[int, int]) -> Array:
    """Crop or fill the transform (h, w // 2 + 1) of a real array of `size` to that of the `wanted` size.

    The frequency at half the sampling rate is dropped, since it represents two.
    """
    xp = namespace.array_namespace(coefficients)
    like = coefficients
    rows, cols = min(size[0], wanted[0]) // 2, min(size[1], wanted[1]) // 2

    def zeros(shape: tuple[int, int]) -> Array:
        return xp.zeros(shape, dtype=like.dtype, device=namespace.device(like))

    kept = coefficients[:, :cols]
    upper, lower = kept[:rows, :], kept[size[0] - rows + 1 :, :]
    result = xp.concat([upper, zeros((wanted[0] - 2 * rows + 1, cols)), lower], axis=0)
    result = xp.concat([result, zeros((wanted[0], wanted[1] // 2 + 1 - cols))], axis=1)
    return result * (wanted[0] * wanted[1] / (size[0] * size[1]))
