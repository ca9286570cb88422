"""Zernike moments of patches: projection, reconstruction, rotation and what stays under rotation.

The convention. A patch of s x s pixels has its pixel centres at ``(2k + 1 - s) / s``, x along +col and y
along -row, and the disc is what lies within radius 1. Functions are ordered by ``j = (p (p + 2) + q) / 2``
for p = 0, 1, ... and q = -p, -p + 2, ..., p:

    Z_pq = N R_p|q|(rho) cos(q theta)       q >= 0
    Z_pq = N R_p|q|(rho) sin(|q| theta)     q < 0          N = sqrt(2 (p + 1) / (1 + delta_q0))

so that the mean of Z_j Z_k over the disc is delta_jk and Z_00 = 1. Moments are the coefficients of the
least-squares fit of these functions to the pixels, which is exact for patches in their span where the sums
that approximate the moment integrals are not.

Coarse images. A patch of 14 px is too small for order 10, whose functions it does not distinguish. Resample
it finer (`extract_patches` with 24 samples over a side of 14) and keep the order. On TiWSe2 (adf2, single Se
vacancies by the class of nine nearest neighbours) order 10 on 24 samples finds them as well as order 9 on 14
if the image is smooth, and better in noise (mates among the neighbours 0.62 against 0.54): a condition number
of 2.4 instead of 5.7 leaves less noise in the moments. In noisy images that are not smoothed it is the order
that matters: 6 does best (0.68) with any number of samples.
"""

from __future__ import annotations

import functools
import math
from types import ModuleType
from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.products import TILE, in_tiles, tile_products
from motifgpu.features import disc


def zernike_indices(order: int) -> np.ndarray:
    """Return radial order and angular frequency of each Zernike function.

    Parameters
    ----------
    order : int
        Highest radial order p, at most 100.

    Returns
    -------
    (n_moments, 2) int64 ndarray
        Rows (p, q) in the order of j = (p (p + 2) + q) / 2; n_moments = (order + 1)(order + 2) / 2.

    Raises
    ------
    StageError
        If `order` is no whole number or out of range.
    """
    return disc.indices(_checked_order(order))


def zernike_basis(order: int, size: int) -> np.ndarray:
    """Return the Zernike functions on the pixels of a patch.

    Parameters
    ----------
    order : int
        Highest radial order p, at most 100.
    size : int
        Side of the patch in pixels.

    Returns
    -------
    (n_moments, size, size) float64 ndarray
        The functions in the order of `zernike_indices`, zero outside the disc.

    Raises
    ------
    StageError
        If `order` or `size` is no whole number or out of range.

    Notes
    -----
    F. Zernike, Physica 1, 689 (1934), in the normalisation of R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976).
    The radial part comes from a recurrence that keeps 1e-12 at order 100, where sums of factorials have lost
    all digits at order 30.

    Examples
    --------
    The 66 functions up to order 10 on a patch of 32 x 32 pixels. The first, A_00, is 1 on the disc:

    >>> import motifgpu
    >>> basis = motifgpu.zernike_basis(10, 32)
    >>> basis.shape
    (66, 32, 32)
    >>> float(basis[0, 16, 16]), float(basis[0, 0, 0])
    (1.0, 0.0)
    """
    order = _checked_order(order)
    size = _checked_size(size)
    rows, cols = disc.pixels(size, size)
    basis = np.zeros((disc.n_moments(order), size, size))
    basis[:, rows, cols] = disc.values(order, size, size)
    return basis


def usable_order(size: int, max_order: int = 10) -> int:
    """Return the highest order whose moments patches of a size determine well.

    The functions of that order have a condition number of at most 10 on the pixels of the disc. At order 10
    it is 4.1 on 16 pixels and 10.7 on 14, where order 9 is the highest usable.

    Parameters
    ----------
    size : int
        Side of the patch in pixels.
    max_order : int
        Highest order of interest, at most 100.

    Returns
    -------
    int
        At most `max_order`.

    Raises
    ------
    StageError
        If an argument is no whole number or out of range.
    """
    size = _checked_size(size)
    return disc.highest_order(size, size, _checked_order(max_order))


def zernike_moments(patches: Array, order: int = 10) -> Array:
    """Return the Zernike moments of patches.

    Parameters
    ----------
    patches : (n, s, s) array
        Patches. Pixels outside the disc must be finite and have no effect.
    order : int
        Highest radial order p, at most 100. The functions up to this order must be distinguishable on the
        pixels (condition number of at most 10), see `usable_order`.

    Returns
    -------
    (n, n_moments) array
        Moments in the order of `zernike_indices`, 66 for order 10; the first is the mean over the disc. The
        dtype is float64 for float64 patches and float32 otherwise.

    Raises
    ------
    StageError
        If the patches are not square and real, hold NaN or infinity, or are too small for the order; the
        message says which size or which order is sufficient.

    Notes
    -----
    The moments of a patch are the same bits whatever else is in the batch, for a given number of BLAS
    threads. The mean over the disc is subtracted before the projection and added back afterwards, so that the
    other moments lose no digits to it. Cosine moments of a patch that is odd in y, and sine moments of an
    even one, are exactly zero.

    Examples
    --------
    Describe every column of a micrograph by the 66 moments of its patch:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(128, 128), seed=0)
    >>> patches, inside = motifgpu.extract_patches(made.image, made.points, 38)
    >>> moments = motifgpu.zernike_moments(patches)
    >>> moments.shape == (inside.sum(), 66)
    True

    Fewer moments do for small patches; order 6 has 28:

    >>> coarse, _ = motifgpu.extract_patches(made.image, made.points, 12)
    >>> motifgpu.zernike_moments(coarse, order=6).shape[1]
    28
    """
    order = _checked_order(order)
    xp, patches = check_array(patches, "zernike", "patches", 3, finite=False)
    n, size, width = patches.shape
    if size != width:
        raise StageError(
            "zernike", f"patches have shape {tuple(patches.shape)}", "give square ones, (n, s, s)"
        )
    disc.check_condition(order, size, size)
    even, odd, disc_mean, places = _projector(order, size).on(patches)
    count, half = disc.n_moments(order), (size + 1) // 2
    tile, shape = _tile(xp, size), (-1, half * size)
    step = max(tile, namespace.block_size(xp) // (tile * size**2) * tile)
    moments = xp.empty((n, count), dtype=patches.dtype, device=namespace.device(patches))
    with np.errstate(invalid="ignore", over="ignore"):  # found in the moments
        for begin in range(0, n, step):
            end = min(begin + step, n)
            part = patches[begin:end, :, :]
            upper = part[:, :half, :]
            lower = xp.flip(part[:, size - half :, :], axis=1)
            sums = in_tiles(xp.reshape(upper + lower, shape), xp, tile)
            differences = in_tiles(xp.reshape(upper - lower, shape), xp, tile)
            mean = tile_products(sums, disc_mean, xp)
            sums -= 2.0 * mean
            cosines = tile_products(sums, even, xp)
            cosines[..., 0] += mean[..., 0]
            by_patch = xp.concat([cosines, tile_products(differences, odd, xp)], axis=-1)
            moments[begin:end, :] = xp.reshape(by_patch, (-1, count))[: end - begin, :]
    _check_finite(moments, patches, xp)
    return xp.take(moments, places, axis=1)


def _tile(xp: ModuleType, size: int) -> int:
    """Return how many patches make a tile: on a GPU as many as one product of them keeps it busy."""
    return max(TILE, namespace.block_size(xp) // size**2 // TILE * TILE) if namespace.is_cupy(xp) else TILE


def _check_finite(moments: Array, patches: Array, xp: ModuleType) -> None:
    """Refuse patches with NaN or infinity, which one pixel brings to the moments, weighted by zero or not."""
    finite = xp.isfinite(moments)
    if bool(xp.all(finite)):
        return
    bad = int(xp.argmin(xp.astype(xp.all(finite, axis=1), xp.int8)))
    if bool(xp.all(xp.isfinite(patches[bad, :, :]))):
        raise StageError(
            "zernike",
            f"patch {bad} has values up to {float(xp.max(xp.abs(patches[bad, :, :]))):.1e}, "
            f"whose sums {namespace.dtype_name(patches)} does not hold",
            "scale the patches down",
        )
    raise StageError(
        "zernike",
        f"patch {bad} has values that are NaN or infinite",
        "replace them first, for instance by the median of their neighbours",
    )


class _Projector:
    """The pseudo-inverse for patches that are folded about their middle row, and its copies on devices.

    Cosines are even and sines odd in y, so the sums of both halves give the ones and their differences the
    others, at half the arithmetic. Leaving out the pixels beyond the disc as well does not pay: gathering the
    others takes as long as the multiplications that it saves.
    """

    def __init__(self, order: int, size: int) -> None:
        half = (size + 1) // 2
        folded = disc.pseudo_inverse(order, size, size)[:, :half, :]
        rows, cols = disc.pixels(size, size)
        mean = np.zeros((half, size))
        mean[rows[rows < half], cols[rows < half]] = 1.0 / rows.size
        if size % 2:  # the middle row is added to itself
            folded[:, -1, :] *= 0.5
            mean[-1, :] *= 0.5
        sine = disc.indices(order)[:, 1] < 0
        parts = folded[~sine], folded[sine], mean
        even, odd, mean = (part.reshape(-1, half * size) for part in parts)
        self._tables = _Tables(even, odd, mean, np.argsort(np.argsort(sine, kind="stable")))

    def on(self, like: Array) -> tuple[Array, ...]:
        """Return both halves, the mean's weights and the place of each moment, for arrays like `like`."""
        return self._tables.on(like)


class _Tables:
    """Arrays on the host and their copies for every device and dtype that needed them."""

    def __init__(self, *host: np.ndarray) -> None:
        self._host = host
        self._copies: dict[tuple[str, str, str], tuple[Array, ...]] = {}

    def on(self, like: Array) -> tuple[Array, ...]:
        """Return the arrays on the device of `like`, those of real numbers in its dtype."""
        key = (
            namespace.array_namespace(like).__name__,
            str(namespace.device(like)),
            namespace.dtype_name(like),
        )
        if key not in self._copies:
            self._copies[key] = tuple(
                namespace.as_like(part, like) if part.dtype.kind == "f" else namespace.from_numpy(part, like)
                for part in self._host
            )
        return self._copies[key]


@functools.lru_cache(maxsize=16)
def _projector(order: int, size: int) -> _Projector:
    return _Projector(order, size)


@functools.lru_cache(maxsize=4)
def function_tables(order: int, size: int) -> _Tables:
    """Return the functions on the samples of a patch (n_moments, size * size), kept on every device."""
    return _Tables(zernike_basis(order, size).reshape(-1, size * size))


def reconstruct_patches(moments: Array, size: int) -> Array:
    """Return the patches that moments describe.

    Parameters
    ----------
    moments : (n, n_moments) array
        Moments as `zernike_moments` gives them.
    size : int
        Side of the patches in pixels. Any size is possible, because the functions are continuous.

    Returns
    -------
    (n, size, size) array
        The sum of the Zernike functions, zero outside the disc.

    Raises
    ------
    StageError
        If the moments are not those of a whole order or not finite, or `size` is no whole number above 0.

    Examples
    --------
    How far is the patch that its moments describe from the patch itself? Order 10 keeps six columns around a
    seventh, order 2 does not:

    >>> import motifgpu
    >>> made = motifgpu.simulate.patches((1,), folds=6, centers=(0.8,), size=64, distance=12, sigma=8)
    >>> disc = motifgpu.zernike_basis(0, 64)[0] > 0
    >>> for order in (10, 2):
    ...     rebuilt = motifgpu.reconstruct_patches(motifgpu.zernike_moments(made.patches, order), 64)
    ...     print(order, round(float(abs(rebuilt - made.patches)[0, disc].mean()), 1))
    10 0.0
    2 0.2
    """
    xp, moments, order = checked_moments(moments)
    size = _checked_size(size)
    (functions,) = function_tables(order, size).on(moments)
    return xp.reshape(xp.matmul(moments, functions), (moments.shape[0], size, size))


def rotation_invariants(moments: Array) -> Array:
    """Return the lengths ``|A_p|q||``, which do not change when a patch is turned or mirrored.

    Parameters
    ----------
    moments : (n, n_moments) array
        Moments as `zernike_moments` gives them.

    Returns
    -------
    (n, m) array
        ``hypot(A_p,q, A_p,-q)``, and ``abs(A_p0)`` where q = 0, by p and then q: 36 values for order 10.

    Raises
    ------
    StageError
        If the moments are not those of a whole order or not finite.

    Examples
    --------
    The lengths are the same for a patch and for the same patch turned by 20 degrees; the moments are not:

    >>> import motifgpu
    >>> made = motifgpu.simulate.patches((1,), centers=(1.0,), size=64, distance=16, sigma=4)
    >>> moments = motifgpu.zernike_moments(made.patches)
    >>> turned = motifgpu.rotate_moments(moments, 20.0)
    >>> invariants = motifgpu.rotation_invariants(moments)
    >>> invariants.shape
    (1, 36)
    >>> bool(abs(motifgpu.rotation_invariants(turned) - invariants).max() < 1e-4)
    True
    >>> bool(abs(turned - moments).max() < 1e-4)
    False
    """
    xp, moments, order = checked_moments(moments)
    q = disc.indices(order)[:, 1]
    cosine = np.flatnonzero(q >= 0)
    a = xp.take(moments, namespace.from_numpy(cosine, moments), axis=1)
    b = xp.take(moments, namespace.from_numpy(cosine - q[cosine], moments), axis=1)
    return xp.where(namespace.from_numpy(q[cosine] == 0, moments), xp.abs(a), xp.hypot(a, b))


def rotate_moments(moments: Array, degrees: Any) -> Array:
    """Return the moments of patches turned about their centres.

    Parameters
    ----------
    moments : (n, n_moments) array
        Moments as `zernike_moments` gives them.
    degrees : float or (n,) array
        Angle of rotation, counter-clockwise as seen on the displayed image.

    Returns
    -------
    (n, n_moments) array

    Raises
    ------
    StageError
        If the moments are not those of a whole order, or the angles are not finite or not one or n.

    Examples
    --------
    A patch of three-fold symmetry is the same after a turn by 120 degrees and another one after 60 degrees:

    >>> import motifgpu
    >>> made = motifgpu.simulate.patches((1,), centers=(1.0,), size=64, distance=16, sigma=4)
    >>> moments = motifgpu.zernike_moments(made.patches)
    >>> for degrees in (120.0, 60.0):
    ...     turned = motifgpu.rotate_moments(moments, degrees)
    ...     print(degrees, bool(abs(turned - moments).max() < 0.01))
    120.0 True
    60.0 False
    """
    xp, moments, order = checked_moments(moments)
    angles_xp, degrees = check_array(degrees, "zernike", "degrees", (0, 1))
    if degrees.ndim == 1 and degrees.shape[0] != moments.shape[0]:
        raise StageError(
            "zernike",
            f"there are {degrees.shape[0]} angles for {moments.shape[0]} patches",
            "give one angle, or one for each patch",
        )
    if angles_xp is not xp:
        degrees = namespace.as_like(namespace.to_numpy(degrees), moments)
    q = disc.indices(order)[:, 1]
    radians = xp.reshape(xp.astype(degrees, moments.dtype), (-1, 1)) * (math.pi / 180.0)
    angle = radians * namespace.as_like(q, moments)
    # With its own sign of q, each moment loses sin(q phi) times the one of -q, which stands q places before.
    partners = xp.take(moments, namespace.from_numpy(np.arange(q.size) - q, moments), axis=1)
    return xp.cos(angle) * moments - xp.sin(angle) * partners


def checked_moments(moments: Array) -> tuple[ModuleType, Array, int]:
    """Return the namespace of moments, the moments as floats, and the order that their number means."""
    xp, moments = check_array(moments, "zernike", "moments", 2)
    count = moments.shape[1]
    order = (math.isqrt(8 * count + 1) - 3) // 2
    if disc.n_moments(order) != count or order > disc.MAX_ORDER:
        raise StageError(
            "zernike",
            f"moments have shape {tuple(moments.shape)}",
            "give all moments up to an order p, (p + 1)(p + 2) / 2 of them: 66 for order 10",
        )
    return xp, moments, order


def _checked_order(order: int) -> int:
    return check_integer(order, "zernike", "order", 0, disc.MAX_ORDER)


def _checked_size(size: int) -> int:
    return check_integer(size, "zernike", "size", 1)
