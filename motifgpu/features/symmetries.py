"""How symmetric patches are under rotations and mirrors, for each patch or at every pixel of an image.

The scores compare energies of Zernike moments with q != 0, the part of a patch that changes along the angle.
A patch without such a part (constant, or a lone round column in its centre) has no direction to be symmetric
about and scores 0 everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from scipy import fft

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.features import disc
from motifgpu.features.zernike import checked_moments

_AXES_PER_ORDER = 24  # trial axes for each order: so close that the highest lies at the highest peak


def symmetry(moments: Array, folds: int | Sequence[int]) -> Array:
    """Return how n-fold rotationally symmetric patches are.

    Parameters
    ----------
    moments : (n, n_moments) array
        Moments as `motifgpu.zernike_moments` gives them.
    folds : int or sequence of int
        Numbers of folds, each at least 1.

    Returns
    -------
    (n,) array, or (n, f) array for a sequence of f folds
        The sum of A^2 over the q != 0 that are divisible by the fold, over the sum over all q != 0: 1 for a
        patch that a rotation by 360 / fold degrees leaves as it is, 0 for one without angular structure.

    Raises
    ------
    StageError
        If the moments are not those of a whole order or not finite, or a fold is no whole number above 0.

    Notes
    -----
    White noise scores the fraction of the moments with q != 0 whose q is divisible by the fold: at order 10
    that is 0.50 for 2 folds, 0.27 for 3 and 0.10 for 6.

    Examples
    --------
    A three-fold and a four-fold patch, without noise:

    >>> import motifgpu
    >>> kinds = {"folds": (3, 4), "centers": (1.0, 1.0)}
    >>> made = motifgpu.simulate.patches((1, 1), **kinds, size=64, distance=16, sigma=4)
    >>> moments = motifgpu.zernike_moments(made.patches)
    >>> motifgpu.symmetry(moments, (3, 4)).round(1).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    several = isinstance(folds, Sequence | np.ndarray)
    wanted: Any = folds if several else [folds]
    each = [check_integer(fold, "symmetry", "folds", 1) for fold in wanted]
    if not each:
        raise StageError("symmetry", "folds is empty", "give at least one number of folds")
    xp, moments, order = checked_moments(moments)
    q = disc.indices(order)[:, 1]
    energy = moments * moments
    angular, has_angle = _angular_energy(energy, q, xp)
    scores = []
    for fold in each:
        kept = namespace.as_like((q != 0) & (q % fold == 0), moments)
        score = xp.clip(xp.sum(energy * kept, axis=1) / angular, max=1.0)
        scores.append(xp.where(has_angle, score, xp.zeros_like(score)))
    return xp.stack(scores, axis=1) if several else scores[0]


def mirror_symmetry(moments: Array) -> tuple[Array, Array]:
    """Return how mirror symmetric patches are, and about which axis.

    Parameters
    ----------
    moments : (n, n_moments) array
        Moments as `motifgpu.zernike_moments` gives them.

    Returns
    -------
    score : (n,) array
        The correlation of a patch's q != 0 part with its mirror image about the best axis: 1 if they are the
        same, and at least 0. A patch without angular structure scores 0.
    axis : (n,) array
        The angle of that axis in degrees from +col, counter-clockwise as seen on the displayed image, from 0
        to below 180. A patch of n-fold symmetry has n equivalent axes, of which this is one.

    Raises
    ------
    StageError
        If the moments are not those of a whole order or not finite.

    Notes
    -----
    With A_pq for cosines and A_p-q for sines, the correlation about an axis at angle alpha is
    ``sum_q (C_q cos(2 q alpha) + D_q sin(2 q alpha))`` over the energy, where C_q sums A_pq^2 - A_p-q^2 and
    D_q sums 2 A_pq A_p-q over p. The best of equally spaced axes is refined by Newton's method.

    Examples
    --------
    Three columns around one have mirror axes 60 degrees apart; turning the patch by 10 degrees turns them:

    >>> import motifgpu
    >>> made = motifgpu.simulate.patches((1,), folds=3, centers=(1.0,), size=64, distance=16, sigma=4)
    >>> moments = motifgpu.zernike_moments(made.patches)
    >>> score, axis = motifgpu.mirror_symmetry(moments)
    >>> score.round(2).tolist()
    [1.0]
    >>> _, turned = motifgpu.mirror_symmetry(motifgpu.rotate_moments(moments, 10.0))
    >>> ((turned - axis) % 60).round().tolist()
    [10.0]
    """
    xp, moments, order = checked_moments(moments)
    q = disc.indices(order)[:, 1]
    angular, has_angle = _angular_energy(moments * moments, q, xp)
    terms = []
    for frequency in range(1, order + 1):
        c, d = xp.zeros_like(angular), xp.zeros_like(angular)
        for place in np.flatnonzero(q == frequency).tolist():
            a, b = moments[:, place], moments[:, place - frequency]
            c += a * a - b * b
            d += 2.0 * a * b
        terms.append((frequency, c, d))
    if not terms:
        return xp.zeros_like(angular), xp.zeros_like(angular)
    trial = np.arange(_AXES_PER_ORDER * order) * (2.0 * math.pi / (_AXES_PER_ORDER * order))
    waves = [
        namespace.as_like(wave(frequency * trial), moments)
        for wave in (np.cos, np.sin)
        for frequency, _, _ in terms
    ]
    parts = [c for _, c, _ in terms] + [d for _, _, d in terms]
    correlation = xp.matmul(xp.stack(parts, axis=1), xp.stack(waves, axis=0))
    phi = xp.take(namespace.as_like(trial, moments), xp.argmax(correlation, axis=1))  # twice the axis' angle
    largest_step = 2.0 * math.pi / trial.size
    for _ in range(3):
        _, slope, bend = _derivatives(terms, phi, xp)
        step = xp.where(
            bend < 0.0, -slope / xp.where(bend < 0.0, bend, xp.ones_like(bend)), xp.zeros_like(bend)
        )
        phi = phi + xp.clip(step, min=-largest_step, max=largest_step)
    best, _, _ = _derivatives(terms, phi, xp)
    score = xp.clip(best / angular, min=0.0, max=1.0)
    axis = phi * (90.0 / math.pi) % 180.0
    axis = xp.where(axis >= 180.0, xp.zeros_like(axis), axis)  # what rounding makes of a tiny negative angle
    nothing = xp.zeros_like(score)
    return xp.where(has_angle, score, nothing), xp.where(has_angle, axis, nothing)


def symmetry_map(image: Array, size: float, folds: int | Sequence[int], order: int = 10) -> Array:
    """Return how n-fold rotationally symmetric the patch around every pixel is.

    Parameters
    ----------
    image : (H, W) array
        Micrograph.
    size : float
        Diameter of the disc around a pixel, in pixels.
    folds : int or sequence of int
        Numbers of folds, as for `symmetry`.
    order : int
        Highest radial order of the moments.

    Returns
    -------
    (H, W) array, or (H, W, f) array for a sequence of f folds
        The score of `symmetry`. Within half a disc of the border it sees the image mirrored.

    Raises
    ------
    StageError
        If the image is not finite and 2-D or smaller than the disc, the disc is too small for the order, or
        a fold is no whole number of at least 1.

    Examples
    --------
    In a perfect monolayer every atom column is a centre of three-fold symmetry and none of two-fold symmetry:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(96, 96), counts=None)
    >>> scores = motifgpu.symmetry_map(made.image, 38, (2, 3))
    >>> scores.shape
    (96, 96, 2)
    >>> row, col = made.points[abs(made.points - 48).max(axis=1).argmin()].round().astype(int)
    >>> bool(scores[row, col, 1] > 0.9 > scores[row, col, 0])
    True
    """
    (score,) = _dense(image, size, order, lambda moments: (symmetry(moments, folds),))
    return score


def mirror_symmetry_map(image: Array, size: float, order: int = 10) -> tuple[Array, Array]:
    """Return how mirror symmetric the patch around every pixel is, and about which axis.

    Parameters
    ----------
    image : (H, W) array
        Micrograph.
    size : float
        Diameter of the disc around a pixel, in pixels.
    order : int
        Highest radial order of the moments.

    Returns
    -------
    score, axis : (H, W) arrays
        Score and axis in degrees of `mirror_symmetry`. Within half a disc of the border they see the image
        mirrored.

    Raises
    ------
    StageError
        If the image is not finite and 2-D or smaller than the disc, or the disc is too small for the order.

    Examples
    --------
    A mirror axis of a perfect monolayer passes through every atom column:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(96, 96), counts=None)
    >>> score, axis = motifgpu.mirror_symmetry_map(made.image, 38)
    >>> score.shape, axis.shape
    ((96, 96), (96, 96))
    >>> row, col = made.points[abs(made.points - 48).max(axis=1).argmin()].round().astype(int)
    >>> bool(score[row, col] > 0.9)
    True
    """
    score, axis = _dense(image, size, order, mirror_symmetry)
    return score, axis


def _angular_energy(energy: Array, q: np.ndarray, xp: ModuleType) -> tuple[Array, Array]:
    """Return the energy of the moments with q != 0, or 1 where it is rounding noise, and where it is not."""
    angular = xp.sum(energy * namespace.as_like(q != 0, energy), axis=1)
    rounding = 16.0 * float(xp.finfo(energy.dtype).eps)
    has_angle = angular > rounding**2 * xp.sum(energy, axis=1)
    return xp.where(has_angle, angular, xp.ones_like(angular)), has_angle


def _derivatives(
    terms: list[tuple[int, Array, Array]], phi: Array, xp: ModuleType
) -> tuple[Array, Array, Array]:
    """Return a trigonometric polynomial and its first two derivatives at `phi`."""
    value, slope, bend = (xp.zeros_like(phi) for _ in range(3))
    for frequency, c, d in terms:
        cosine, sine = xp.cos(frequency * phi), xp.sin(frequency * phi)
        value = value + c * cosine + d * sine
        slope = slope + frequency * (d * cosine - c * sine)
        bend = bend - frequency**2 * (c * cosine + d * sine)
    return value, slope, bend


def _dense(
    image: Array, size: float, order: int, score: Callable[[Array], tuple[Array, ...]]
) -> tuple[Array, ...]:
    """Return maps of what `score` makes of the moments (pixels, n_moments) around every pixel.

    Moments are correlations of the image with the pseudo-inverse, here by FFT in tiles that overlap, so that
    memory does not grow with the image.
    """
    xp, image = check_array(image, "symmetry", "image", 2)
    order = check_integer(order, "symmetry", "order", 0, disc.MAX_ORDER)
    real = isinstance(size, int | float | np.integer | np.floating)
    if not real or not 1 <= size < float("inf"):
        raise StageError(
            "symmetry", f"size is {size!r}", "give the diameter of the disc in pixels, 1 or more"
        )
    height, width = image.shape
    window = 2 * int(size / 2) + 1
    if window > min(height, width):
        raise StageError(
            "symmetry",
            f"the disc is {window} px wide and the image is {height} x {width} px",
            "take a smaller disc or a larger image",
        )
    disc.check_condition(order, window, float(size))
    rows, fft_rows = _tiling(height, window)
    cols, fft_cols = _tiling(width, window)
    shape = fft_rows, fft_cols
    filters = namespace.as_like(disc.pseudo_inverse(order, window, float(size)), image)
    spectra = xp.conj(namespace.fft(xp).rfftn(filters, s=shape, axes=(1, 2)))
    image = image - xp.mean(image)
    bands = []
    for row in range(0, height, rows):
        stop_row = min(row + rows, height)
        pieces = []
        for col in range(0, width, cols):
            stop_col = min(col + cols, width)
            tile = _mirrored(image, row - window // 2, fft_rows, 0, xp)
            tile = _mirrored(tile, col - window // 2, fft_cols, 1, xp)
            responses = namespace.fft(xp).irfftn(
                namespace.fft(xp).rfftn(tile)[None, :, :] * spectra, s=shape, axes=(1, 2)
            )
            responses = responses[:, : stop_row - row, : stop_col - col]
            # What the FFT spills over from elsewhere in the tile is no structure of a flat place.
            rounding = 16.0 * float(xp.finfo(image.dtype).eps) * xp.max(xp.abs(tile))
            responses = xp.where(xp.abs(responses) > rounding, responses, xp.zeros_like(responses))
            moments = xp.matrix_transpose(xp.reshape(responses, (responses.shape[0], -1)))
            pieces.append(
                [xp.reshape(s, (stop_row - row, stop_col - col, *s.shape[1:])) for s in score(moments)]
            )
        bands.append([xp.concat(maps, axis=1) for maps in zip(*pieces, strict=True)])
    return tuple(xp.concat(maps, axis=0) for maps in zip(*bands, strict=True))


def _tiling(length: int, window: int) -> tuple[int, int]:
    """Return how many pixels of an axis a tile yields, and the length of its FFT."""
    count = math.ceil(length / max(3 * window, 128))
    inner = math.ceil(length / count)
    return inner, fft.next_fast_len(inner + window - 1, real=True)


def _mirrored(image: Array, first: int, count: int, axis: int, xp: ModuleType) -> Array:
    """Return `count` rows or columns from `first` on, mirrored at the outermost pixels."""
    period = max(2 * (image.shape[axis] - 1), 1)
    index = np.arange(first, first + count) % period
    return xp.take(image, namespace.from_numpy(np.minimum(index, period - index), image), axis=axis)
