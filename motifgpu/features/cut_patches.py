"""Patches that the frame or missing pixels cut: their moments by least squares over what is there.

The pixels of half a disc do not determine 66 moments. What whole patches of the same micrograph are like
does the rest: moments are fitted along the principal directions of theirs in which they differ by more than
noise, and each direction is held by their spread along it (a ridge in the units of the data, as in gappy
principal component analysis: Everson and Sirovich, J. Opt. Soc. Am. A 12, 1657, 1995). So the normal matrices
are well conditioned however little is seen; what is not seen at all comes out as the mean of whole patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.cached import cached_property
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.core.rows import piecewise
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
        moments, size = to_numpy(moments), patches.shape[1]
        count, step = len(moments), -(-patches.shape[0] // _SAMPLE)
        some = patches[::step, :, :]
        samples = disc.pixels(size, size)[0].size * some.shape[0]
        number = float(disc.pixels(size, size)[0].size)
        own = moments if rows is None else moments[to_numpy(rows)]
        unexplained, contrast = _squares(some, own[::step, :])
        # Samples finer than pixels share their noise.
        noise = unexplained / samples * max(1.0, (size / side) ** 2)
        noise = max(noise, _LEAST_NOISE * contrast / samples, float(np.finfo(np.float32).tiny))
        exact = moments.astype(np.float64)
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
    number, size = patches.shape[0], patches.shape[1]
    functions = _functions(_order(modes.mean[None, :]), size, np.empty(0, namespace.dtype_name(patches)))[0]
    there = to_numpy(present).reshape(number, size * size).astype(functions.dtype)
    mean, directions = (x.astype(functions.dtype) for x in (modes.mean[None, :], modes.directions))
    basis = directions @ functions
    count = basis.shape[0]
    first, second = np.triu_indices(count)
    # One product of arrays makes all normal matrices: of what is there with the products of directions.
    half = (there @ (basis[first] * basis[second]).T).astype(np.float64) / modes.noise
    right = _along(patches, there, mean @ functions, directions)
    gram = np.empty((number, count, count))
    gram[:, first, second] = gram[:, second, first] = half
    return Seen(modes, gram, right.astype(np.float64) / modes.noise)


def _squares(patches: Array, moments: np.ndarray) -> tuple[float, float]:
    """Return the sums of squares, over the discs of patches, of what moments leave and of the contrast."""
    if isinstance(patches, np.ndarray):
        size = patches.shape[1]
        functions, pixels = _functions(_order(moments), size, moments)
        some = np.reshape(patches, (-1, size * size))
        left = np.where(pixels, some - np.matmul(moments, functions), 0.0)
        inside = np.where(pixels, some - np.mean(some), 0.0)
        return float(np.sum(left * left)), float(np.sum(inside * inside))
    sums = piecewise(_squares_of_rows, patches, namespace.from_numpy(moments, patches))
    left, mean, apart, square = to_numpy(sums).astype(np.float64).T
    off, number = mean - mean.mean(), disc.pixels(patches.shape[1], patches.shape[1])[0].size
    return float(left.sum()), float((square + 2 * off * apart + number * off**2).sum())


def _squares_of_rows(patches: Array, moments: Array) -> Array:
    """Return of each patch: squares of what moments leave, its mean, and sums of the rest and its squares."""
    xp, size = namespace.array_namespace(patches), patches.shape[1]
    functions, pixels = _functions(_order(moments), size, patches)
    some = xp.reshape(patches, (-1, size * size))
    left = xp.where(pixels, some - xp.matmul(moments, functions), 0.0)
    mean = xp.mean(some, axis=1)
    inside = xp.where(pixels, some - mean[:, None], 0.0)
    sums = [xp.sum(x, axis=1) for x in (left * left, inside, inside * inside)]
    return xp.stack([sums[0], mean, *sums[1:]], axis=1)


def _along(patches: Array, there: np.ndarray, ground: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return products (n, k) of patches less a ground, where there is one, with directions (k, n_moments)."""
    order, size = _order(directions), patches.shape[1]
    if isinstance(patches, np.ndarray):
        left = (patches.reshape(there.shape) - ground) * there
        products: np.ndarray = left @ (directions @ _functions(order, size, patches)[0]).T
        return products

    def moments(x: Array, y: Array) -> Array:
        xp = namespace.array_namespace(x)
        seen = xp.reshape(x, y.shape) * xp.astype(y, x.dtype)
        return xp.matmul(seen, xp.matrix_transpose(_functions(order, size, x)[0]))

    weights = namespace.from_numpy(there != 0, patches)
    functions = _functions(order, size, there)[0]
    found = to_numpy(piecewise(moments, patches, weights, key=order)) - (ground * there) @ functions.T
    products = found @ directions.T
    return products


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
