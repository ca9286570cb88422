"""Strain and rotation of each cell of a lattice, from the columns around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from motifgpu.core.shown import one_line

# Standard deviation, in cells, of the weight of the columns around a cell.
_REACH = 1.0


@dataclass(frozen=True, eq=False)
class CellStrain:
    """Local deformation against the mean lattice; the arrays have one row per cell of ``lattice.cells``.

    Attributes
    ----------
    gradient : (c, 2, 2) float64 ndarray
        Displacement gradient: the derivative of the displacement (row, col) with respect to (row, col). NaN
        where there are too few columns around.
    """

    gradient: np.ndarray

    __repr__ = one_line

    @property
    def strain(self) -> np.ndarray:
        """Symmetric part (c, 2, 2): rows, columns, and shear off the diagonal."""
        symmetric: np.ndarray = (self.gradient + self.gradient.transpose(0, 2, 1)) / 2
        return symmetric

    @property
    def rotation(self) -> np.ndarray:
        """Rotation (c,) in degrees, counter-clockwise as displayed."""
        degrees: np.ndarray = np.rad2deg(self.gradient[:, 1, 0] - self.gradient[:, 0, 1]) / 2
        return degrees


def cell_strain(
    coordinates: np.ndarray,
    indices: np.ndarray,
    displacement: np.ndarray,
    vectors: np.ndarray,
    cells: np.ndarray,
) -> CellStrain:
    """Measure the displacement gradient in each cell of a lattice.

    Parameters
    ----------
    coordinates : (n, 2) ndarray
        Lattice coordinates of the sites of n columns.
    indices : (n, 2) int64 ndarray
        Cell (i, j) of each.
    displacement : (n, 2) ndarray
        Of each column from its site on the mean lattice, px.
    vectors : (2, 2) ndarray
        The lattice vectors u and v as columns, px.
    cells : (c, 2) int64 ndarray
        Where to measure, within the cells of the columns.

    Returns
    -------
    CellStrain

    Notes
    -----
    A weighted least-squares plane through the displacements of the columns from the mean lattice,
    with Gaussian weights of one cell, around each cell; each sublattice counts from its own mean place. Drift
    is not taken out: subtract the gradient of `Lattice.drift` for that.
    """
    first = indices.min(axis=0) - 1
    size = indices.max(axis=0) + 2 - first

    # Moments of the columns in each cell, smoothed over cells, give the normal equations around each cell.
    def around(values: np.ndarray) -> np.ndarray:
        total = np.zeros(size)
        np.add.at(total, tuple((indices - first).T), values)
        smooth: np.ndarray = ndimage.gaussian_filter(total, _REACH, mode="constant", truncate=2.0)
        return smooth

    middle = coordinates.mean(axis=0)
    x = [np.ones(len(coordinates)), *(coordinates - middle).T]
    normal = np.empty((*size, 3, 3))
    right = np.empty((*size, 3, 2))
    for a in range(3):
        for b in range(a, 3):
            normal[..., a, b] = normal[..., b, a] = around(x[a] * x[b])
        for axis in (0, 1):
            right[..., a, axis] = around(x[a] * displacement[:, axis])
    at = tuple((cells - first).T)
    normal, right = normal[at], right[at]
    # About the cell's own weighted mean, so that large coordinates cancel before the inverse.
    weight = normal[:, 0, 0]
    mean = normal[:, 0, 1:] / weight[:, None]
    covariance = normal[:, 1:, 1:] / weight[:, None, None] - mean[:, :, None] * mean[:, None, :]
    joint = right[:, 1:] / weight[:, None, None] - mean[:, :, None] * (right[:, :1] / weight[:, None, None])
    solvable = np.linalg.det(covariance) > 1e-3
    slope = np.full((len(at[0]), 2, 2), np.nan)
    slope[solvable] = np.linalg.solve(covariance[solvable], joint[solvable])
    return CellStrain(slope.transpose(0, 2, 1) @ np.linalg.inv(vectors))
