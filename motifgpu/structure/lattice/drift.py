"""A smooth map from lattice coordinates to pixels: the affine lattice and its slow distortion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from motifgpu.core.shown import one_line

# Residuals beyond this many standard deviations count linearly (Huber's usual 95 % efficiency).
_HUBER = 1.345
_ITERATIONS = 25


def _exponents(degree: int) -> np.ndarray:
    """Return the powers (k, 2) of all monomials up to a degree, the constant and the linear ones first."""
    return np.array([(total - b, b) for total in range(degree + 1) for b in range(total + 1)])


@dataclass(frozen=True, eq=False)
class DriftMap:
    """A polynomial map from lattice coordinates to (row, col), px.

    Attributes
    ----------
    degree : int
        1 is a lattice without drift.
    centre : (2,) float64 ndarray
        Lattice coordinates of the middle of the points, where the polynomial is expanded.
    scale : float
        Lattice coordinates are divided by it before their powers are taken.
    coefficients : (k, 2) float64 ndarray
        Row and column coefficient of each monomial of ``(q - centre) / scale``, by total degree and then by
        the power of the second coordinate.
    """

    degree: int
    centre: np.ndarray
    scale: float
    coefficients: np.ndarray

    __repr__ = one_line

    def __call__(self, q: np.ndarray) -> np.ndarray:
        """Return the pixels (n, 2) at lattice coordinates (n, 2)."""
        pixels: np.ndarray = _monomials((q - self.centre) / self.scale, self.degree) @ self.coefficients
        return pixels

    def jacobian(self, q: np.ndarray) -> np.ndarray:
        """Return the local lattice vectors (n, 2, 2), u in the first column and v in the second."""
        table, exponents = _powers((q - self.centre) / self.scale, self.degree), _exponents(self.degree)
        result = np.empty((len(q), 2, 2))
        for axis in (0, 1):
            lowered = exponents.copy()
            lowered[:, axis] = np.maximum(lowered[:, axis] - 1, 0)
            terms = table[0][:, lowered[:, 0]] * table[1][:, lowered[:, 1]]
            result[:, :, axis] = terms @ (exponents[:, axis, None] * self.coefficients) / self.scale
        return result

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """Return the lattice coordinates (n, 2) of pixels (n, 2), by Newton's method from the affine part."""
        slope = self.coefficients[1:3].T / self.scale
        q = self.centre + np.linalg.solve(slope, (points - self.coefficients[0]).T).T
        if self.degree > 1:
            for _ in range(8):
                step = np.linalg.solve(self.jacobian(q), (points - self(q))[..., None])[..., 0]
                q = q + np.clip(step, -2.0, 2.0)
                if np.abs(step).max(initial=0.0) < 1e-9:
                    break
        return q

    def departure(self, q: np.ndarray) -> np.ndarray:
        """Return how far (n, 2) px the map moves lattice coordinates from its affine part."""
        affine = self.coefficients.copy()
        affine[3:] = 0.0
        moved: np.ndarray = self(q) - DriftMap(self.degree, self.centre, self.scale, affine)(q)
        return moved

    @cached_property
    def n_parameters(self) -> int:
        """Number of real coefficients."""
        return self.coefficients.size


def _powers(x: np.ndarray, degree: int) -> np.ndarray:
    """Return the powers 0 to `degree` (2, n, degree + 1) of both coordinates, by repeated multiplication."""
    table = np.ones((2, len(x), degree + 1))
    for power in range(1, degree + 1):
        table[:, :, power] = table[:, :, power - 1] * x.T
    return table


def _monomials(x: np.ndarray, degree: int) -> np.ndarray:
    table, exponents = _powers(x, degree), _exponents(degree)
    products: np.ndarray = table[0][:, exponents[:, 0]] * table[1][:, exponents[:, 1]]
    return products


def fit_drift(q: np.ndarray, points: np.ndarray, degree: int) -> tuple[DriftMap, np.ndarray]:
    """Fit a polynomial map robustly.

    Parameters
    ----------
    q, points : (n, 2) float64 ndarray
        Lattice coordinates and pixels of the same points.
    degree : int
        Total degree of the polynomial.

    Returns
    -------
    DriftMap
    (n,) float64 ndarray
        Distance of each point from the map, px.

    Notes
    -----
    Iteratively reweighted least squares with Huber's weights on the distance; the scale is the
    median distance over 1.1774, the standard deviation per axis of a two-dimensional normal distribution.
    """
    centre = np.median(q, axis=0)
    scale = max(float(np.abs(q - centre).max()), 1.0)
    design = _monomials((q - centre) / scale, degree)
    weight = np.ones(len(q))
    for _ in range(_ITERATIONS):
        # Normal equations do: monomials of at most 1 up to degree 4 square to a condition number of 450.
        weighted = design * weight[:, None]
        coefficients = np.linalg.solve(weighted.T @ design, weighted.T @ points)
        distance = np.linalg.norm(points - design @ coefficients, axis=1)
        spread = max(float(np.median(distance)) / 1.1774, 1e-9)
        new = np.minimum(1.0, _HUBER * spread / np.maximum(distance, 1e-12))
        if np.abs(new - weight).max() < 1e-4:
            break
        weight = new
    return DriftMap(degree, centre, scale, coefficients), distance


def choose_drift(q: np.ndarray, points: np.ndarray, highest: int) -> tuple[DriftMap, np.ndarray]:
    """Fit maps of degree 1 to `highest` and return the one that the Bayesian information criterion prefers.

    Parameters
    ----------
    q, points : (n, 2) float64 ndarray
        Lattice coordinates and pixels of the same points.
    highest : int
        Highest degree tried; degrees with more than a third as many coefficients as points are not.

    Returns
    -------
    DriftMap
    (n,) float64 ndarray
        Distance of each point from the map, px.
    """
    best, least = None, np.inf
    for degree in range(1, highest + 1):
        if degree > 1 and 3 * len(_exponents(degree)) > len(q):
            break
        fitted = fit_drift(q, points, degree)
        # The trimmed mean square is the scale that a tenth of outliers does not move.
        inner = np.sort(fitted[1])[: max(int(0.85 * len(q)), 3)]
        variance = max(float(np.mean(inner**2)), 1e-12)
        criterion = 2 * len(q) * np.log(variance) + fitted[0].n_parameters * np.log(2 * len(q))
        if criterion < least:
            best, least = fitted, criterion
    assert best is not None
    return best
