"""Which sublattice a column stands on.

A sublattice is recognised by the pattern of its patches. On a crystal in which some atoms are exchanged or
missing, patches of one sublattice are still correlated, and those of different sublattices are not; the
sublattices of a turned grain count as further ones. On simulated dichalcogenide monolayers the mean patches
of the two sublattices correlate by -0.3, and the two halves into which one sublattice splits best by 0.57 or
more, even where half the metal atoms are exchanged and at any dose from 1 count per pixel on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.features.windows import gaps, neighbor_positions, window

# Mean patches that correlate less are of two sublattices: between what single sublattices (0.57 and above)
# and different ones (0.33 and below, grains 25 degrees apart) were seen to do.
SUBLATTICE_CORRELATION = 0.45
# Share of the contrast of a sublattice's mean patch by which intensities must differ to be distinguished:
# columns of one kind differ by as much without any noise.
_RESOLUTION = 0.02
# Twins on one sublattice: the least share of one, the least distance of their means in standard deviations (a
# Gaussian halved has 2.65), and the least exchange of contrast, in standard deviations of the mean patch over
# its disc. Twins of MoSe2 have 0.46, 3.3 to 6.5 and 0.5 at 1 to 100 counts; single crystals with defects have
# one of the first two and the third or less.
_TWIN_SHARE, _TWIN_SEPARATION, _TWIN_CONTRAST = 0.2, 3.3, 0.3


@dataclass(frozen=True, eq=False)
class Split:
    """How the columns of one sublattice were divided into two, so that others can be divided likewise.

    Attributes
    ----------
    sublattice : int
        The sublattice that was divided, and the number of the first of the two.
    other : int
        Number of the second one.
    weights : (n_moments, k) float64 ndarray
        Their products with the moments are what columns are divided by.
    border : float
        Between the medians of the k products on the one sublattice and on the other.
    above : bool
        Whether those of the second sublattice are above the border.
    of_unit : bool
        Whether the products are those of moments scaled to length 1, A_00 aside.
    """

    sublattice: int
    other: int
    weights: np.ndarray
    border: float
    above: bool
    of_unit: bool


def contrast(mean: np.ndarray) -> float:
    """Return the standard deviation over its disc of a mean patch, given its moments (n_moments,)."""
    return float(np.linalg.norm(mean[1:]))


def resolution(mean: np.ndarray) -> float:
    """Return by how much intensities must differ to be distinguished, given a sublattice's mean moments."""
    return _RESOLUTION * contrast(mean)


class Sublattices:
    """Columns by sublattice, with what is read from their patches; the numbers are on the host.

    Parameters
    ----------
    moments : (n, n_moments) array
        Zernike moments of patches that show the nearest columns around.
    order : int
        Highest radial order of the moments.
    min_size : int
        Least number of columns of a sublattice.
    of_column : (n,) int64 ndarray, optional
        Sublattice of each column, 0 to the last without a gap, where known; found by `divide` when not given.
    patterns : (s,) int64 ndarray, optional
        Equal numbers for sublattices of one pattern that take turns; different ones when not given.

    Attributes
    ----------
    of_column : (n,) int64 ndarray
        Sublattice of each column.
    rows : list of (n_sublattice,) ndarray
        Columns of each sublattice.
    patterns : (s,) int64 ndarray
        As given.
    splits : list of Split
        The divisions that made the sublattices, in their order; none where they were given.
    means : list of (n_moments,) float64 ndarray
        Mean moments of each sublattice.
    gaps : list of (n_moments,) float64 ndarray
        Weights of the moments that give the intensity in the gaps between columns, for each sublattice.
    slope : float
        Share of the intensity in the gaps that is background, 0 to 1, see Notes.
    background : (n,) float64 ndarray
        How much of an intensity in each patch is not its column's, see Notes.

    Notes
    -----
    A slow background adds to a column as it does to the gaps between columns, the darkest fifth of the mean
    patch of the sublattice. Where there is none, what is read in the gaps is noise, which should not be
    subtracted. So it is subtracted times the slope, from 0 to 1, by which columns of one kind follow it: 0
    without a background; about 0.8 on contaminated images, whose labels are then as good as after the
    background was filtered out, while filtering costs others some of their vacancies.
    """

    def __init__(
        self,
        moments: Array,
        order: int,
        min_size: int,
        of_column: np.ndarray | None = None,
        patterns: np.ndarray | None = None,
    ) -> None:
        self.moments, self.order = moments, order
        if of_column is None:
            self.of_column, self.splits = divide(moments, order, min_size)
        else:
            self.of_column, self.splits = of_column, []
        self.rows = [np.flatnonzero(self.of_column == s) for s in range(int(self.of_column.max()) + 1)]
        self.patterns = np.arange(len(self.rows)) if patterns is None else patterns
        self._there = [namespace.from_numpy(rows, moments) for rows in self.rows]  # where the moments are
        self.means = [self._mean(index) for index in self._there]
        self.gaps = [gaps(mean, order) for mean in self.means]
        self.background = np.zeros(self.of_column.size)
        dark = np.empty(self.of_column.size)
        shared, spread = 0.0, 0.0
        for sublattice, rows in enumerate(self.rows):
            dark[rows] = self._products(sublattice, self.gaps[sublattice][:, None])[:, 0]
            column = self.read(sublattice)[:, 0]
            excess = column - dark[rows]
            # The slope is that of the commonest kind, vacancies and dopants aside: 2.5 standard deviations.
            deviation = np.abs(excess - np.median(excess))
            usual = deviation <= 3.7 * np.median(deviation)
            from_mean = dark[rows][usual] - dark[rows][usual].mean()
            shared += float(from_mean @ column[usual])
            spread += float(from_mean @ from_mean)
        self.slope = min(max(shared / max(spread, 1e-300), 0.0), 1.0)
        self.background = self.slope * dark

    def contrast(self, sublattice: int) -> float:
        """Return the standard deviation of a sublattice's mean patch over its disc."""
        return contrast(self.means[sublattice])

    def resolution(self, sublattice: int) -> float:
        """Return by how much intensities on a sublattice must differ to be distinguished."""
        return resolution(self.means[sublattice])

    def mean(self, rows: np.ndarray) -> np.ndarray:
        """Return the mean moments (n_moments,) of columns."""
        return self._mean(namespace.from_numpy(rows, self.moments))

    def read(self, sublattice: int, positions: ArrayLike = ((0.0, 0.0),)) -> np.ndarray:
        """Return intensities (n_sublattice, m) at m positions (x, y) in the patches of a sublattice."""
        weights = np.stack([window(self.order, x, y) for x, y in np.asarray(positions).tolist()], axis=1)
        return self._products(sublattice, weights) - self.background[self.rows[sublattice], None]

    def _mean(self, index: Array) -> np.ndarray:
        xp = namespace.array_namespace(self.moments)
        return namespace.to_numpy(xp.mean(self._take(index), axis=0)).astype(np.float64)

    def _products(self, sublattice: int, weights: np.ndarray) -> np.ndarray:
        xp = namespace.array_namespace(self.moments)
        product = xp.matmul(self._take(self._there[sublattice]), namespace.as_like(weights, self.moments))
        return namespace.to_numpy(product).astype(np.float64)

    def _take(self, index: Array) -> Array:
        if index.shape[0] == self.of_column.size:
            return self.moments
        return namespace.array_namespace(self.moments).take(self.moments, index, axis=0)


def find_sublattices(moments: Array, order: int, min_size: int) -> np.ndarray:
    """Return the sublattice (n,) of each column, see `divide`."""
    return divide(moments, order, min_size)[0]


def divide(moments: Array, order: int, min_size: int) -> tuple[np.ndarray, list[Split]]:
    """Divide columns by the pattern of their patches.

    Parameters
    ----------
    moments : (n, n_moments) array
        Moments of patches that show the nearest columns around.
    order : int
        Highest radial order of the moments.
    min_size : int
        Least number of columns of a sublattice.

    Returns
    -------
    sublattice : (n,) int64 ndarray
        Sublattice of each column, 0 the first; on the host.
    splits : list of Split
        How they were divided, for `follow`.

    Notes
    -----
    Two-means of the unit vectors of the moments without A_00, which is correlation distance, applied again to
    each part until the parts' means correlate by `SUBLATTICE_CORRELATION` or more. Then two-means of the
    moments themselves, for twins: where a grain is turned by 60 degrees, the one sublattice looks like the
    other one of the first grain, but with bright and dark exchanged between the column and its neighbours.
    """
    xp = namespace.array_namespace(moments)
    pattern = moments[:, 1:]
    length = xp.sqrt(xp.sum(pattern * pattern, axis=1, keepdims=True))
    unit = pattern / xp.where(length > 0, length, xp.ones_like(length))
    sublattice = np.zeros(moments.shape[0], dtype=np.int64)
    waiting, splits = [0], list[Split]()
    while waiting:
        rows = np.flatnonzero(sublattice == waiting[-1])
        a, b = unit, moments
        if rows.size < sublattice.size:
            index = namespace.from_numpy(rows, moments)
            a, b = (xp.take(x, index, axis=0) for x in (unit, moments))
        divided = _divided(a, b, order) if rows.size >= 2 * min_size else None
        if divided is None or min(divided[0].sum(), (~divided[0]).sum()) < min_size:
            waiting.pop()
            continue
        other, rule = divided[0], divided[1:]
        splits.append(Split(waiting[-1], len(splits) + 1, *rule))
        sublattice[rows[other]] = splits[-1].other
        waiting.append(splits[-1].other)
    return sublattice, splits


def follow(splits: Sequence[Split], products: Sequence[Array], length: Array) -> Array:
    """Divide columns as others were divided.

    Parameters
    ----------
    splits : sequence of Split
        As `divide` returns them, one at least.
    products : sequence of (n, k) array
        Those of the moments with the weights of each.
    length : (n,) array
        Of the moments without A_00.

    Returns
    -------
    (n,) int32 array
        Sublattice of each column.
    """
    xp = namespace.array_namespace(length)
    some = xp.where(length > 0, length, xp.ones_like(length))
    sublattice = xp.zeros(length.shape, dtype=xp.int32, device=namespace.device(length))
    for split, product in zip(splits, products, strict=True):
        ordered, k = xp.sort(product, axis=1), product.shape[1]
        usual = 0.5 * (ordered[:, (k - 1) // 2] + ordered[:, k // 2])
        usual = usual / some if split.of_unit else usual
        second = (usual > split.border) == split.above
        sublattice = xp.where(
            (sublattice == split.sublattice) & second, xp.full_like(sublattice, split.other), sublattice
        )
    return sublattice


_Rule = tuple[np.ndarray, np.ndarray, float, bool, bool]


def _divided(unit: Array, moments: Array, order: int) -> _Rule | None:
    """Return which columns are on the second of two sublattices and why, or None when all are on one.

    After the mask (n,) come the weights, the border, and the flags of `Split`.
    """
    xp = namespace.array_namespace(moments)
    halves = _two_means(unit)
    if halves is None:
        return None
    second, means = halves
    lengths = np.linalg.norm(means, axis=1)
    if means[0] @ means[1] < SUBLATTICE_CORRELATION * lengths[0] * lengths[1]:
        apart = means[1] - means[0]
        border = float(0.5 * (means[1] + means[0]) @ apart)
        return second, np.append(0.0, apart)[:, None], border, True, True

    halves = _two_means(moments[:, 1:])
    if halves is None:
        return None
    second, means = halves
    share = second.mean()
    apart = means[1] - means[0]
    along = namespace.to_numpy(xp.matmul(moments[:, 1:], namespace.as_like(apart, moments))).astype(
        np.float64
    )
    variance = share * along[second].var() + (1 - share) * along[~second].var()
    if min(share, 1 - share) < _TWIN_SHARE or apart @ apart < _TWIN_SEPARATION * variance**0.5:
        return None
    mean = np.append(0.0, share * means[1] + (1 - share) * means[0])
    neighbors = neighbor_positions(mean, order).tolist()
    if not neighbors:
        return None
    weights = np.stack([window(order, x, y) for x, y in [(0.0, 0.0), *neighbors]]) - gaps(mean, order)
    centre, *ring = weights[:, 1:] @ apart
    exchanged, least = np.mean(ring), _TWIN_CONTRAST * np.linalg.norm(mean)
    if centre * exchanged >= 0 or min(abs(centre), abs(exchanged)) < least:
        return None
    # Whose twin a column is, its neighbours show: in their median, should one be missing or another atom.
    around = namespace.to_numpy(xp.matmul(moments, namespace.as_like(weights[1:].T, moments)))
    usual = np.median(around, axis=1)
    border = 0.5 * (np.median(usual[second]) + np.median(usual[~second]))
    above = bool(exchanged > 0)
    second = (usual > border) == above
    if min(second.mean(), 1 - second.mean()) < _TWIN_SHARE:
        return None
    return second, weights[1:].T, float(border), above, False


def _two_means(x: Array) -> tuple[np.ndarray, np.ndarray] | None:
    """Halve rows by two-means from the principal axis on: the second half's mask and both means.

    The mask (n,) and the means (2, d) are on the host. None where one half is empty.
    """
    xp = namespace.array_namespace(x)
    number = x.shape[0]
    mean = xp.mean(x, axis=0)
    gram = namespace.to_numpy(xp.matmul(x.T, x) / number).astype(np.float64)
    centre = namespace.to_numpy(mean).astype(np.float64)
    axis = np.linalg.eigh(gram - np.outer(centre, centre))[1][:, -1]
    axis = axis * np.sign(axis[np.argmax(np.abs(axis))])
    second = xp.matmul(x - mean, namespace.as_like(axis, x)) > 0
    for _ in range(20):
        mask = xp.astype(second, x.dtype)
        size = float(xp.sum(mask))
        if not 0 < size < number:
            return None
        total = xp.matmul(mask, x)
        upper, lower = total / size, (mean * number - total) / (number - size)
        moved = xp.matmul(x - 0.5 * (upper + lower), upper - lower) > 0
        if bool(xp.all(moved == second)):
            break
        second = moved
    means = np.stack([namespace.to_numpy(lower), namespace.to_numpy(upper)]).astype(np.float64)
    return namespace.to_numpy(second), means
