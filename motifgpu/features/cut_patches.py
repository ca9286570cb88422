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
from motifgpu.features import disc, zernike
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
    def of(cls, patches: Array, moments: Array, side: float, rows: Array | None = None) -> Modes:
        """Measure them.

        Parameters
        ----------
        patches : (k, s, s) array
            Whole patches.
        moments : (n, n_moments) array
            Of whole patches.
        side : float
            Of a patch, px.
        rows : (k,) int array, optional
            Which of the moments are those of the patches, where there are moments of more.
        """
        xp = namespace.array_namespace(moments)
        count, size = moments.shape[0], patches.shape[1]
        order = _order(moments)
        functions, pixels = _functions(order, size, moments)
        step = -(-patches.shape[0] // _SAMPLE)
        some = xp.reshape(patches[::step, :, :], (-1, size * size))
        own = moments if rows is None else xp.take(moments, rows, axis=0)
        left = xp.where(pixels, some - xp.matmul(own[::step, :], functions), 0.0)
        inside = xp.where(pixels, some - xp.mean(some), 0.0)
        number = float(disc.pixels(size, size)[0].size)
        samples = number * some.shape[0]
        unexplained, contrast = to_numpy(xp.stack([xp.sum(left * left), xp.sum(inside * inside)])).tolist()
        # Samples finer than pixels share their noise.
        noise = unexplained / samples * max(1.0, (size / side) ** 2)
        noise = max(noise, _LEAST_NOISE * contrast / samples, float(np.finfo(np.float32).tiny))
        exact = to_numpy(moments).astype(np.float64)
        mean = np.mean(exact, axis=0)
        apart = exact - mean
        covariance = _symmetric(apart.T @ apart / count)
        variance, directions = np.linalg.eigh(covariance)
        variance, directions = variance[::-1], directions[:, ::-1].T
        seen = variance > _ABOVE_NOISE * noise / number
        seen[0], seen[_MOST_MODES:] = variance[0] > 0, False
        return cls(mean, directions[seen], variance[seen], noise)

    def first(self, number: int) -> Modes:
        """Return the modes of largest variance."""
        return Modes(self.mean, self.directions[:number], self.variance[:number], self.noise)

    def along(self, moments: np.ndarray) -> np.ndarray:
        """Return where moments (n, n_moments) lie along the directions, (n, k)."""
        along: np.ndarray = (moments.astype(np.float64) - self.mean) @ np.ascontiguousarray(self.directions.T)
        return along

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

    The arrays are of float64, on the host: some hundred numbers a cut patch.

    Attributes
    ----------
    modes : Modes
    gram : (n, k, k) ndarray
        Normal matrices of the directions on the pixels that are there.
    right : (n, k) ndarray
        Products of the directions with those pixels, less the mean of whole patches.
    """

    modes: Modes
    gram: np.ndarray
    right: np.ndarray

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
        root, inner = self._inner(covariance)
        left = self.right - (self.gram @ mean[:, None])[:, :, 0]
        spread = root @ np.linalg.inv(inner) @ root.T
        return mean + (spread @ left[:, :, None])[:, :, 0], spread

    def log_likelihood(self, means: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """Return the logarithm (n, c) of the likelihood of what is seen, but for a constant of each patch.

        Parameters
        ----------
        means : (c, k) ndarray
            Of kinds of patches.
        covariance : (k, k) ndarray
            Of patches of one kind.
        """
        root, inner = self._inner(covariance)
        residual = self.right[:, None, :] - means @ self.gram
        left = residual @ root
        explained = (left * (left @ np.linalg.inv(inner))).sum(axis=2)
        match = ((self.right[:, None, :] + residual) * means).sum(axis=2)
        likelihood: np.ndarray = 0.5 * (match + explained)
        return likelihood

    def _inner(self, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        root = _root(covariance)
        return root, np.eye(len(covariance)) + root.T @ (self.gram @ root)

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


def seen_of(patches: Array, present: Array, modes: Modes) -> Seen:
    """Sum up what cut patches say.

    Parameters
    ----------
    patches : (n, s, s) array
        Of any finite values where they are not present.
    present : (n, s, s) bool array
        Which samples are there.
    modes : Modes
    """
    xp = namespace.array_namespace(patches)
    number, size = patches.shape[0], patches.shape[1]
    functions, _ = _functions(_order(modes.mean[None, :]), size, patches)
    there = xp.astype(xp.reshape(present, (number, size * size)), patches.dtype)
    ground = xp.matmul(namespace.as_like(modes.mean[None, :], patches), functions)
    left = (xp.reshape(patches, (number, size * size)) - ground) * there
    basis = xp.matmul(namespace.as_like(modes.directions, patches), functions)
    count = basis.shape[0]
    first, second = np.triu_indices(count)
    # One product of arrays makes all normal matrices: of what is there with the products of directions.
    one, other = (xp.take(basis, namespace.from_numpy(rows, patches), axis=0) for rows in (first, second))
    entries = xp.matmul(there, xp.matrix_transpose(one * other))
    both = xp.concat([entries, xp.matmul(left, xp.matrix_transpose(basis))], axis=1)
    half, right = np.split(to_numpy(both).astype(np.float64) / modes.noise, [len(first)], axis=1)
    gram = np.empty((number, count, count))
    gram[:, first, second] = gram[:, second, first] = half
    return Seen(modes, gram, np.ascontiguousarray(right))


def _functions(order: int, size: int, like: Array) -> tuple[Array, Array]:
    """Return the Zernike functions (n_moments, size * size), and which samples are on the disc."""
    (functions,) = zernike.function_tables(order, size).on(like)
    return functions, functions[0, :] != 0


def _symmetric(x: np.ndarray) -> np.ndarray:
    """Return a symmetric matrix (k, k) of which one half is copied."""
    upper = np.triu(x)
    full: np.ndarray = upper + np.triu(x, 1).T
    return full


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return a matrix whose product with its transpose is a covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = vectors * np.sqrt(np.clip(values, 0, None))
    return root


def _order(moments: Array) -> int:
    count = moments.shape[1]
    return next(order for order in range(disc.MAX_ORDER + 1) if disc.n_moments(order) == count)
