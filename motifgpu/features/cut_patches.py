"""Patches that the frame or missing pixels cut: their moments by least squares over what is there.

The pixels of half a disc do not determine 66 moments. What whole patches of the same micrograph are like
does the rest: moments are fitted along the principal directions of theirs in which they differ by more than
noise, and each direction is held by their spread along it (a ridge in the units of the data, as in gappy
principal component analysis: Everson and Sirovich, J. Opt. Soc. Am. A 12, 1657, 1995). So the normal matrices
are well conditioned however little is seen; what is not seen at all comes out as the mean of whole patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.features import disc
from motifgpu.features.windows import window

# Share of the disc that may be missing: at the corner of a frame three quarters of it are.
LARGEST_CUT = 0.76
# Principal directions that are fitted: at most so many, with a variance of so many times that of noise.
_MOST_MODES, _ABOVE_NOISE = 24, 1.5
# Least part of a direction that is the same all round the centre, for it to count.
_ROUND = 1e-3
# Whole patches that the noise is measured in.
_SAMPLE = 64
# Least variance of the noise, as a share of that of the patches: what moments of the order cannot hold.
_LEAST_NOISE = 1e-6


@dataclass(frozen=True, eq=False)
class Modes:
    """How the whole patches of a micrograph differ, on the host.

    Attributes
    ----------
    mean : (n_moments,) float64 ndarray
        Their mean moments.
    directions : (k, n_moments) float64 ndarray
        Principal directions of their moments, orthonormal.
    variance : (k,) float64 ndarray
        Of their moments along each.
    noise : float
        Variance of a sample of a patch about its moments, as if samples were independent.
    """

    mean: np.ndarray
    directions: np.ndarray
    variance: np.ndarray
    noise: float

    @classmethod
    def of(cls, patches: Array, moments: Array, side: float) -> Modes:
        """Measure them.

        Parameters
        ----------
        patches : (n, s, s) array
            Whole patches.
        moments : (n, n_moments) array
            Theirs.
        side : float
            Of a patch, px.
        """
        count, size = patches.shape[0], patches.shape[1]
        order = _order(moments)
        step = -(-count // _SAMPLE)
        rows, cols = disc.pixels(size, size)
        some = to_numpy(patches[::step, :, :])[:, rows, cols].astype(np.float64)
        host = to_numpy(moments).astype(np.float64)
        left = some - host[::step] @ disc.values(order, size, size)
        # Samples finer than pixels share their noise.
        noise = float(np.mean(left**2)) * max(1.0, (size / side) ** 2)
        noise = max(noise, _LEAST_NOISE * float(some.var()), float(np.finfo(np.float32).tiny))
        mean = host.mean(axis=0)
        variance, directions = np.linalg.eigh((host - mean).T @ (host - mean) / count)
        variance, directions = variance[::-1], directions[:, ::-1].T
        seen = variance > _ABOVE_NOISE * noise / rows.size
        seen[0], seen[_MOST_MODES:] = variance[0] > 0, False
        return cls(mean, directions[seen], variance[seen], noise)

    @cached_property
    def round_about(self) -> np.ndarray:
        """What of the directions is the same all round the centre, as orthonormal rows (r, k)."""
        order = _order(self.mean[None, :])
        even = self.directions[:, disc.indices(order)[:, 1] == 0]
        left, values, _ = np.linalg.svd(even, full_matrices=False)
        rows: np.ndarray = left[:, values > _ROUND].T
        return rows

    @cached_property
    def middle(self) -> np.ndarray:
        """Direction (k,) in which the column in the middle makes a patch differ, of length 1 or 0."""
        along = self.directions @ window(_order(self.mean[None, :]))
        length = float(np.linalg.norm(along))
        middle: np.ndarray = along / (length or 1.0)
        return middle


@dataclass(frozen=True, eq=False)
class Seen:
    """What the pixels of cut patches say of their moments along the modes, in the units of the noise.

    Attributes
    ----------
    modes : Modes
    gram : (n, k, k) float64 ndarray
        Normal matrices of the directions on the pixels that are there.
    right : (n, k) float64 ndarray
        Products of the directions with those pixels, less the mean of whole patches.
    missing : (n,) float64 ndarray
        Share of the disc that is not there.
    """

    modes: Modes
    gram: np.ndarray
    right: np.ndarray
    missing: np.ndarray

    def fitted(self, mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the likeliest moments along the modes, and their covariance, given what they may be.

        Parameters
        ----------
        mean : (k,) ndarray
        covariance : (k, k) ndarray

        Returns
        -------
        (n, k) and (n, k, k) ndarray
        """
        root = _root(covariance)
        inner = np.linalg.inv(np.eye(len(mean)) + root.T @ self.gram @ root)
        left = (self.right - self.gram @ mean) @ root
        spread = root @ inner @ root.T
        return mean + np.einsum("nij,nj->ni", root @ inner, left), spread

    def log_likelihood(self, means: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """Return the logarithm (n, c) of the likelihood of what is seen, but for a constant of each patch.

        Parameters
        ----------
        means : (c, k) ndarray
            Of kinds of patches.
        covariance : (k, k) ndarray
            Of patches of one kind.
        """
        root = _root(covariance)
        inner = np.eye(len(root)) + root.T @ self.gram @ root
        residual = self.right[:, None, :] - np.einsum("nij,cj->nci", self.gram, means)
        left = residual @ root
        explained = (left * (left @ np.linalg.inv(inner))).sum(axis=2)
        match = ((self.right[:, None, :] + residual) * means).sum(axis=2)
        found: np.ndarray = 0.5 * (match + explained)
        return found

    def moments(self) -> np.ndarray:
        """Return the moments (n, n_moments) that fit, all whole patches being one kind.

        Of the column in the middle nothing is presumed: there rare kinds, such as vacancies, differ from the
        usual, and a part of the disc determines it.
        """
        variance, middle = self.modes.variance, self.modes.middle
        free = variance.sum() * np.outer(middle, middle)
        fitted, _ = self.fitted(np.zeros(len(variance)), np.diag(variance) + free)
        found: np.ndarray = self.modes.mean + fitted @ self.modes.directions
        return found


def seen_of(patches: Array, present: Array, missing: Array, modes: Modes) -> Seen:
    """Sum up what cut patches say.

    Parameters
    ----------
    patches : (n, s, s) array
        Of any finite values where they are not present.
    present : (n, s, s) bool array
        Which samples are there.
    missing : (n,) array
        Share of the disc that is not.
    modes : Modes
    """
    xp = namespace.array_namespace(patches)
    number, size = patches.shape[0], patches.shape[1]
    order = _order(modes.mean[None, :])
    rows, cols = disc.pixels(size, size)
    functions = disc.values(order, size, size)
    places = namespace.from_numpy(rows * size + cols, patches)

    def on_disc(x: Array) -> Array:
        return xp.take(xp.reshape(x, (number, size * size)), places, axis=1)

    there = xp.astype(on_disc(present), patches.dtype)
    ground = namespace.as_like(modes.mean @ functions, patches)
    left = (on_disc(patches) - ground) * there
    basis = modes.directions @ functions
    count = basis.shape[0]
    first, second = np.triu_indices(count)
    # One product of arrays makes all normal matrices: of what is there with the products of directions.
    products = namespace.as_like((basis[first] * basis[second]).T, patches)
    entries = to_numpy(xp.matmul(there, products)).astype(np.float64)
    gram = np.empty((number, count, count))
    gram[:, first, second] = gram[:, second, first] = entries / modes.noise
    right = to_numpy(xp.matmul(left, namespace.as_like(basis.T, patches))).astype(np.float64)
    return Seen(modes, gram, right / modes.noise, to_numpy(missing).astype(np.float64))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return a matrix whose product with its transpose is a covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = vectors * np.sqrt(np.clip(values, 0, None))
    return root


def _order(moments: Array) -> int:
    count = moments.shape[1]
    return next(order for order in range(disc.MAX_ORDER + 1) if disc.n_moments(order) == count)
