"""Two hexagonal lattices fitted to the Fourier coefficients around their Bragg peaks.

Each layer is a hexagonal lattice, seen through one linear distortion that the scan gives to both. Its peaks
on the first three rings (1, sqrt 3 and 2; the next one, sqrt 7, would let a lattice turned by 21.79 degrees
pass for another) are those of a rigid pattern of six numbers: the distortion (4), the twist and the ratio of
the lattice constants. The pattern is fitted to the complex Fourier coefficients around all peaks at once, in
which the shape of a peak is known (the transform of the window) and only its amplitude is not, so that peaks
that overlap are separated. What is fitted are some thousand coefficients, on the host.
"""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
from scipy.optimize import least_squares

from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# Coefficients on each side of a peak that are fitted, and how far lattice constants may differ.
REACH, MISFIT = 4, 0.06
_RINGS = ((1.0, 0.0), (math.sqrt(3.0), 30.0), (2.0, 0.0))


class Block:
    """The Fourier coefficients around zero frequency, with phases counted from the middle of the image.

    `radius` (2,) is how many there are on each side of it, along rows and columns.
    """

    def __init__(self, x: Array, radius: list[int], xp: ModuleType) -> None:
        self.shape, self.radius = np.array(x.shape), np.array(radius)
        down, across = radius
        rows, cols = (np.cos(np.pi * _centred(length) / length) for length in x.shape)
        window = namespace.as_like(rows, x)[:, None] * namespace.as_like(cols, x)[None, :]
        x = (x - xp.sum(x * window) / xp.sum(window)) * window
        half = namespace.fft(xp).rfftn(x, axes=(0, 1))[:, : across + 1]
        half = xp.concat([half[-down:, :], half[: down + 1, :]], axis=0)
        right = namespace.to_numpy(half).astype(np.complex128)
        whole = np.concatenate([np.conj(right[::-1, :0:-1]), right], axis=1)
        rows, cols = (
            np.exp(1j * np.pi * np.arange(-last, last + 1) * (length - 1) / length)
            for last, length in zip(radius, x.shape, strict=True)
        )
        self.values = whole * rows[:, None] * cols[None, :]


def _centred(length: int) -> np.ndarray:
    return np.arange(length) - (length - 1) / 2


def _kernel(offset: np.ndarray, length: int) -> np.ndarray:
    """Transform of the cosine window at offsets from a peak, counted in coefficients.

    It leaves less noise in the angle than the Hann window, which uses less of the image, by 20 to 40 %.
    """
    result = np.zeros_like(offset)
    for shift in (-0.5, 0.5):
        at = offset + shift
        safe = np.where(np.abs(at) < 1e-9, 1e-9, at)
        result += 0.5 * np.sin(np.pi * safe) / np.sin(np.pi * safe / length)
    return result


def _pattern() -> np.ndarray:
    """Peaks (9, 2) of a hexagonal lattice in half the plane, (right, up), the first ring at radius 1."""
    angles = [(radius, math.radians(start + 60 * k)) for radius, start in _RINGS for k in range(3)]
    return np.array([[radius * math.cos(a), radius * math.sin(a)] for radius, a in angles])


_PATTERN = _pattern()


def peak_positions(parameters: np.ndarray) -> np.ndarray:
    """Return the peaks (2, 9, 2) of both layers as (row, col), cycles per pixel."""
    distortion = parameters[:4].reshape(2, 2)
    layers = []
    for sign in (-0.5, 0.5):
        turn = sign * parameters[4]
        rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        right_up = _PATTERN @ (distortion @ rotation * (1 + sign * parameters[5])).T
        layers.append(np.stack([-right_up[:, 1], right_up[:, 0]], axis=1))
    return np.stack(layers)


class Fit:
    """Least squares of two lattices against the coefficients around their peaks."""

    def __init__(self, block: Block, start: np.ndarray, weight: np.ndarray | None = None) -> None:
        self.shape, self.radius = block.shape, block.radius
        step = np.arange(-REACH, REACH + 1)
        near = np.stack(np.meshgrid(step, step, indexing="ij"), axis=-1).reshape(-1, 2)
        centres = np.round(peak_positions(start) * self.shape).astype(np.int64)  # (2, 9, 2)
        places = (centres[..., None, :] + near).reshape(-1, 2)
        # A coefficient near several peaks counts once; that of the opposite frequency is the same number.
        places = np.unique(places[(np.abs(places) <= block.radius).all(1)], axis=0)
        self.rows, self.cols = places.T
        values = block.values[tuple((places + block.radius).T)]
        self.data = np.concatenate([values.real, values.imag])
        away = np.linalg.norm(centres.reshape(-1, 1, 2) - places, axis=2)
        self.ring = away.argmin(0) % 9 // 3
        self.weight = np.ones(3) if weight is None else weight
        self.of_ring = self.weight[self.ring]

    def shapes(self, parameters: np.ndarray) -> np.ndarray:
        """Return the shapes (18, 2 m) of all peaks, the first layer's before the second's.

        The image is real, so each peak has its conjugate at the opposite frequency: what the two add up to
        differs between the real parts, which come first, and the imaginary ones.
        """
        peaks = (peak_positions(parameters) * self.shape).reshape(-1, 2)
        by_row, by_col = (
            _kernel(np.arange(-last, last + 1) - peaks[:, axis, None], int(self.shape[axis]))
            for axis, last in enumerate(self.radius)
        )
        down, across = self.radius
        here, opposite = (
            by_row[:, down + sign * self.rows] * by_col[:, across + sign * self.cols]
            for sign in (1, -1)  # the kernel is even
        )
        return np.concatenate([here + opposite, here - opposite], axis=1)

    def explained_part(self, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the power (peaks,) of each shape and their sum (2 m,), both of least squared residual."""
        power, parts = np.zeros(len(shapes)), []
        count = len(self.rows)
        for part in (slice(0, count), slice(count, None)):
            shape = shapes[:, part]
            weighted = shape * self.of_ring
            gram = weighted @ weighted.T
            gram[np.diag_indices_from(gram)] *= 1 + 1e-9
            amplitude = np.linalg.solve(gram, weighted @ (self.of_ring * self.data[part]))
            parts.append(amplitude @ shape)
            power += amplitude**2 * np.sum(shape**2, axis=1)
        return power, np.concatenate(parts)

    def left(self, parameters: np.ndarray, peaks: slice = slice(None)) -> np.ndarray:
        """Return the residual (2 m,) of the coefficients after some of the peaks."""
        left: np.ndarray = self.data - self.explained_part(self.shapes(parameters)[peaks])[1]
        return left

    def residual(self, parameters: np.ndarray) -> np.ndarray:
        """Return the weighted residual (2 m,) after all peaks."""
        weighted: np.ndarray = self.left(parameters) * np.tile(self.of_ring, 2)
        return weighted

    def explained(self, parameters: np.ndarray) -> float:
        """Return the power that all peaks explain."""
        return float(np.sum(self.data**2) - np.sum(self.left(parameters) ** 2))

    def solve(self, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the six numbers of least squares near `start` and their covariance for white noise."""
        scale = np.array([np.linalg.norm(start[:4])] * 4 + [1.0, 1.0])
        norm = np.linalg.norm(self.data * np.tile(self.of_ring, 2))
        solution = least_squares(
            lambda p: self.residual(p * scale) / norm, start / scale, method="lm", xtol=1e-9, max_nfev=120
        )
        covariance = np.linalg.pinv(solution.jac.T @ solution.jac) * 2 * solution.cost / self.freedom
        return solution.x * scale, covariance * scale[:, None] * scale

    @property
    def freedom(self) -> float:
        """Real numbers that are fitted, less those that are adjusted."""
        return 2.0 * len(self.rows) - 6 - 4 * 9


def _start(frequency: float, angle: float, twist: float = 0.0, mismatch: float = 0.0) -> np.ndarray:
    """Return parameters of a lattice at `angle` (radians) and another turned from it by `twist`."""
    middle, scale = angle + twist / 2, frequency * (1 + mismatch / 2)
    c, s = scale * math.cos(middle), scale * math.sin(middle)
    return np.array([c, -s, s, c, twist, mismatch])


def _brightest(values: np.ndarray, block: Block, frequency: float, shape: np.ndarray) -> tuple[float, float]:
    """Return frequency and angle of the hexagonal lattice with the strongest peaks on a grid of trials."""
    step = 0.5 / (2.0 * frequency * float(np.max(shape)))
    angles = np.arange(0.0, math.pi / 3, step)
    radii = frequency * (1 + np.arange(-MISFIT, MISFIT + step, step))
    power = np.abs(values)
    score = np.zeros((len(radii), len(angles)))
    for ring in range(3):
        part = _PATTERN[3 * ring : 3 * ring + 3]
        c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
        right, up = part[:, 0] * c - part[:, 1] * s, part[:, 0] * s + part[:, 1] * c  # (angles, 3)
        rows = -up * radii[:, None, None] * shape[0] + block.radius[0]
        cols = right * radii[:, None, None] * shape[1] + block.radius[1]
        sampled = _bilinear(power, rows, cols).sum(-1)
        score += sampled / math.sqrt(float((sampled**2).mean()) + 1e-300)
    best = np.unravel_index(int(np.argmax(score)), score.shape)
    return float(radii[best[0]]), float(angles[best[1]])


def _bilinear(grid: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    r, c = np.floor(rows).astype(np.int64), np.floor(cols).astype(np.int64)
    r, c = np.clip(r, 0, grid.shape[0] - 2), np.clip(c, 0, grid.shape[1] - 2)
    a, b = rows - r, cols - c
    upper = grid[r, c] * (1 - b) + grid[r, c + 1] * b
    lower = grid[r + 1, c] * (1 - b) + grid[r + 1, c + 1] * b
    between: np.ndarray = upper * (1 - a) + lower * a
    return between


def _without(block: Block, parameters: np.ndarray) -> np.ndarray:
    """Return the coefficients without the peaks of the first layer."""
    fit = Fit(block, parameters)
    real, imaginary = np.split(fit.left(parameters, slice(0, 9)), 2)
    left = real + 1j * imaginary
    values: np.ndarray = block.values.copy()
    down, across = block.radius
    values[down + fit.rows, across + fit.cols] = left
    values[down - fit.rows, across - fit.cols] = np.conj(left)
    return values


def fit_two_lattices(block: Block, frequency: float) -> tuple[Fit, np.ndarray, np.ndarray]:
    """Fit both lattices from several starts, with the rings weighted by the residual.

    Parameters
    ----------
    block : Block
    frequency : float
        About the radius of the first ring, cycles per pixel.

    Returns
    -------
    fit : Fit
    parameters : (6,) ndarray
        The linear distortion by rows, the twist in radians and the mismatch of the layers.
    covariance : (6, 6) ndarray
        Of those, for noise that is white among the coefficients.
    """
    radius, angle = _brightest(block.values, block, frequency, block.shape)
    rest = _without(block, _start(radius, angle))
    other_radius, other_angle = _brightest(rest, block, frequency, block.shape)
    turn = (other_angle - angle + math.pi / 6) % (math.pi / 3) - math.pi / 6
    one = 1.0 / (radius * float(np.mean(block.shape)))  # a coefficient at the first ring, in radians
    starts = [_start(radius, angle, turn, other_radius / radius - 1)]
    starts += [_start(radius, angle, step * one) for step in (-1.6, -0.8, 0.8, 1.6)]
    starts += [_start(radius, angle - 0.5 * step * one, step * one) for step in (1.0, 2.0)]
    # Different starts look at different coefficients, so what counts is the power explained.
    starts.sort(key=lambda start: -Fit(block, start).explained(start))
    best: tuple[float, np.ndarray] | None = None
    for start in starts[:3]:
        parameters, _ = Fit(block, start).solve(start)
        fit = Fit(block, parameters)
        explained = fit.explained(parameters)
        if best is None or explained > best[0]:
            best = explained, parameters
    assert best is not None
    parameters = best[1]
    fit = Fit(block, parameters)
    left = (fit.left(parameters) ** 2).reshape(2, -1).sum(0)
    power = np.array([left[fit.ring == ring].mean() for ring in range(3)])
    # Disorder scatters more between the outer rings; a floor, because a fit to no noise has nothing to weigh.
    fit = Fit(block, parameters, 1 / np.sqrt(power + 1e-3 * power.max()))
    parameters, covariance = fit.solve(parameters)
    return fit, parameters, covariance
