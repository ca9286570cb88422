"""Windows on the columns that a patch shows, as weights of its moments.

A weighted mean of the pixels of a patch is a dot product with its moments. Such are the intensity of the
column at the centre, those of its neighbours, which stand where the mean patch of a sublattice has its
maxima, and that of the gaps between columns. Everything here is a small float64 constant of the host.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import ndimage

from motifgpu.features import disc
from motifgpu.features.disc import PICTURE

# Radius of the parabolic window on a column, in patch radii: 0.35 lattice constants on hexagonal lattices.
# It tells vacancies from their hosts as well as the best of the radii and shapes tried, at any dose.
_WINDOW = 0.4
# Distances at which a neighbour is searched for, in patch radii: beyond, its window leaves the disc.
_NEAREST, _FARTHEST = 0.4, 0.85
_GAPS = 0.2  # share of the disc taken for gaps between columns


@functools.lru_cache(maxsize=64)
def window(order: int, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """Return the weights (n_moments,) whose product with moments is the mean intensity around a place.

    Parameters
    ----------
    order : int
        Highest radial order of the moments.
    x, y : float
        The place, in patch radii from the centre, y upwards. The mean is weighted by 1 - (r / 0.4)^2, r the
        distance from it.
    """
    rows, cols = disc.pixels(PICTURE, PICTURE)
    along_x, along_y = (
        (2 * cols + 1 - PICTURE) / PICTURE - x,
        -(2 * rows + 1 - PICTURE) / PICTURE - y,
    )
    weight = np.maximum(1.0 - (along_x**2 + along_y**2) / _WINDOW**2, 0.0)
    result: np.ndarray = disc.values(order, PICTURE, PICTURE) @ (weight / weight.sum())
    result.flags.writeable = False
    return result


def gaps(mean: np.ndarray, order: int) -> np.ndarray:
    """Return the weights (n_moments,) whose product with moments is the mean intensity between columns.

    Parameters
    ----------
    mean : (n_moments,) float64 ndarray
        Moments of the mean patch of a sublattice; the gaps are its darkest fifth.
    order : int
        Highest radial order of the moments.
    """
    values = disc.values(order, PICTURE, PICTURE)
    patch = mean @ values
    darkest = patch <= np.quantile(patch, _GAPS)
    weights: np.ndarray = values @ (darkest / darkest.sum())
    return weights


def neighbor_positions(mean: np.ndarray, order: int) -> np.ndarray:
    """Find the columns around the one in the centre of a mean patch.

    Parameters
    ----------
    mean : (n_moments,) float64 ndarray
        Moments of the mean patch of a sublattice.
    order : int
        Highest radial order of the moments.

    Returns
    -------
    (m, 2) float64 ndarray
        Maxima of the patch as (x, y) in patch radii, y upwards, counter-clockwise from +x. A maximum counts
        when it is brighter than the patch is on average at its distance from the centre, since between bright
        columns a patch of few moments has faint spurious maxima.
    """
    rows, cols = disc.pixels(PICTURE, PICTURE)
    inside = np.zeros((PICTURE, PICTURE))
    picture = np.zeros((PICTURE, PICTURE))
    inside[rows, cols] = 1.0
    picture[rows, cols] = mean @ disc.values(order, PICTURE, PICTURE)
    smoothed, norm = (
        ndimage.gaussian_filter(a, 0.08 * PICTURE / 2, mode="constant") for a in (picture, inside)
    )
    smoothed = np.where(inside > 0, smoothed / np.maximum(norm, 1e-9), -np.inf)
    offset = (2 * np.arange(PICTURE) + 1 - PICTURE) / PICTURE
    x, y = np.meshgrid(offset, -offset)
    distance = np.hypot(x, y)
    reach = int(0.16 * PICTURE / 2)  # farther off, the rim shows the tails of the second neighbours
    near = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach
    highest = smoothed == ndimage.maximum_filter(smoothed, footprint=near, mode="constant", cval=-np.inf)
    ring = np.round(distance[rows, cols] * PICTURE / 2).astype(int)
    around = np.bincount(ring, smoothed[rows, cols]) / np.maximum(np.bincount(ring), 1)
    usual = around[np.minimum(np.round(distance * PICTURE / 2).astype(int), around.size - 1)]
    span = float(np.ptp(smoothed[rows, cols]))
    peak = highest & (distance >= _NEAREST) & (distance <= _FARTHEST) & (smoothed > usual + 0.02 * span)
    found = np.stack([x[peak], y[peak]], axis=1)
    return found[np.argsort(np.round(np.arctan2(found[:, 1], found[:, 0]) % (2 * np.pi), 6), kind="stable")]


def turned_correlation(a: np.ndarray, b: np.ndarray, order: int) -> float:
    """Return the highest correlation of two patterns over all angles by which one is turned.

    Parameters
    ----------
    a, b : (n_moments,) float64 ndarray
        Moments; A_00, the mean intensity, is not used.
    order : int
        Highest radial order of the moments.
    """
    q = disc.indices(order)[:, 1]
    cosine = np.flatnonzero(q >= 0)
    sine = cosine - q[cosine]
    turning = np.where(q[cosine] > 0, 1.0, 0.0)

    def as_complex(v: np.ndarray) -> np.ndarray:
        pattern: np.ndarray = v[cosine] + 1j * turning * v[sine]
        return pattern

    product = np.conj(as_complex(a)) * as_complex(b)
    product[0] = 0.0
    by_frequency = np.bincount(q[cosine], product.real) + 1j * np.bincount(q[cosine], product.imag)
    # Each angle of one degree: the highest frequency is an order of magnitude below what that resolves.
    spectrum = np.zeros(360, dtype=complex)
    spectrum[: by_frequency.size] = by_frequency
    best = float(np.fft.fft(spectrum).real.max())
    return best / max(float(np.linalg.norm(a[1:]) * np.linalg.norm(b[1:])), 1e-300)
