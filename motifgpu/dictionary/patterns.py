"""Whether the patch of a column is one that a sublattice can have.

What may differ between the patches of one sublattice is spanned by a few patterns: the column in the centre
or one of its neighbours brighter or dimmer, a patch off its centre by a little, a background, and whatever
else differed most among the columns that were learned. The part of a patch outside that span is noise on a
column of the sublattice, and more than noise on anything else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.core.products import row_products
from motifgpu.features import disc
from motifgpu.features.disc import PICTURE
from motifgpu.features.windows import gaps, neighbor_positions, window

_WIDTHS = np.linspace(0.08, 0.35, 28)  # of a column, patch radii
_COMPONENTS = 10  # principal components of the sublattice's patches
_SHIFT = 0.02  # patch radii, over which the derivative of a pattern is taken
# A part outside the span is allowed up to the learned median plus this many times the distance from there to
# the upper decile; on simulations less than one column in 300 has more.
_DECILES = 4.0
_LEAST_LIMIT = 2.0  # in lower quartiles; those of Gaussian noise outside a span have 1.5 in one of 1,000
# And as much of the standard deviation of the sublattice's mean patch, however little noise there is: what
# the span misses of columns of another width and of defects that were not among those learned.
_TOLERANCE = 0.15


@dataclass(frozen=True, eq=False)
class Patterns:
    """What patches the columns of s sublattices have.

    Attributes
    ----------
    means : (s, n_moments) float64 ndarray
        The usual patch of each sublattice, the median of its moments.
    spans : (s, n_moments, r) float64 ndarray
        Orthonormal patterns by which patches differ; zero columns where there are fewer than r.
    scales : (s,) float64 ndarray
        Lower quartile of the length of what is outside the span.
    limits : (s,) float64 ndarray
        By how many scales that length may be larger.
    floors : (s,) float64 ndarray
        Length that is always allowed.
    rings : tuple of (n_moments, k) float64 ndarray
        Weights of the moments that give the intensities of the neighbours of each sublattice above its gaps.
    ring_means, ring_spreads : (s,) float64 ndarray
        Median and standard deviation of the median of them.
    """

    means: np.ndarray
    spans: np.ndarray
    scales: np.ndarray
    limits: np.ndarray
    floors: np.ndarray
    rings: tuple[np.ndarray, ...]
    ring_means: np.ndarray
    ring_spreads: np.ndarray

    @classmethod
    def fit(cls, moments: np.ndarray, sublattice: np.ndarray, order: int, noise: np.ndarray) -> Patterns:
        """Learn from columns.

        Parameters
        ----------
        moments : (n, n_moments) ndarray
        sublattice : (n,) int ndarray
            The sublattice of each, from 0 on, each with one column at least.
        order : int
            Highest Zernike order of the moments.
        noise : (n,) ndarray
            How much more than usual the patch of each is known to scatter.
        """
        found = []
        for s in range(int(sublattice.max()) + 1):
            own = moments[sublattice == s].astype(np.float64)
            mean = np.median(own, axis=0)
            span = _span(own, mean, order)
            outside = own - mean
            outside = np.linalg.norm(outside - (outside @ span) @ span.T, axis=1) / noise[sublattice == s]
            quarter, half, decile = np.quantile(outside, (0.25, 0.5, 0.9))
            scale = max(quarter, 1e-6 * np.linalg.norm(mean), 1e-30)
            ring = _ring(mean, order)
            around = np.median(own @ ring, axis=1) if ring.shape[1] else np.zeros(len(own))
            usual = np.median(around)
            spread = 1.4826 * np.median(np.abs(around - usual))
            floor = _TOLERANCE * np.linalg.norm(mean[1:])
            # What is above the floor is noise and grows with it; below, little can be said of its tail.
            most = max(half + _DECILES * (decile - half), floor)
            limit = max((most**2 - floor**2) ** 0.5 / scale, _LEAST_LIMIT)
            found.append((mean, span, scale, limit, floor, ring, usual, max(spread, 0.1 * floor)))
        means, spans, scales, limits, floors, rings, usuals, spreads = zip(*found, strict=True)
        widest = max(span.shape[1] for span in spans)
        return cls(
            means=np.stack(means),
            spans=np.stack([np.pad(span, ((0, 0), (0, widest - span.shape[1]))) for span in spans]),
            scales=np.array(scales),
            limits=np.array(limits),
            floors=np.array(floors),
            rings=tuple(rings),
            ring_means=np.array(usuals),
            ring_spreads=np.array(spreads),
        )

    def outside(self, moments: Array, sublattice: Array, means: np.ndarray | None = None) -> Array:
        """Return the length (n,) of what is outside the span of each column's sublattice.

        Parameters
        ----------
        moments : (n, n_moments) array
        sublattice : (n,) int array
        means : (s, n_moments) ndarray, optional
            Usual patches, if not the learned ones.
        """
        xp = namespace.array_namespace(moments)
        means = self.means if means is None else means
        s, count, rank = self.spans.shape
        x = moments - xp.take(namespace.as_like(means, moments), sublattice, axis=0)
        spans = np.moveaxis(self.spans, 1, 2).reshape(s * rank, count)
        along = xp.reshape(row_products(x, spans), (-1, s, rank))
        own = xp.arange(s, dtype=sublattice.dtype, device=namespace.device(sublattice)) == sublattice[:, None]
        explained = xp.sum(
            xp.where(own, xp.sum(along * along, axis=2), xp.zeros_like(along[:, :, 0])), axis=1
        )
        return xp.sqrt(xp.clip(xp.sum(x * x, axis=1) - explained, min=0.0))

    def ring(self, moments: Array, sublattice: Array) -> Array:
        """Return how many standard deviations (n,) the neighbours' median is from the usual."""
        xp = namespace.array_namespace(moments)
        result = xp.zeros(moments.shape[0], dtype=moments.dtype, device=namespace.device(moments))
        for s, weights in enumerate(self.rings):
            k = weights.shape[1]
            if k:
                ordered = xp.sort(row_products(moments, weights.T), axis=1)
                around = 0.5 * (ordered[:, (k - 1) // 2] + ordered[:, k // 2])
                from_usual = xp.abs(around - float(self.ring_means[s])) / float(self.ring_spreads[s])
                result = xp.where(sublattice == s, from_usual, result)
        return result


def _span(own: np.ndarray, mean: np.ndarray, order: int) -> np.ndarray:
    """Return orthonormal patterns (n_moments, r) by which the patches of a sublattice may differ."""
    rows, cols = disc.pixels(PICTURE, PICTURE)
    x, y = (2 * cols + 1 - PICTURE) / PICTURE, -(2 * rows + 1 - PICTURE) / PICTURE
    values = disc.values(order, PICTURE, PICTURE)
    inverse = np.linalg.solve(values @ values.T, values)
    ring = neighbor_positions(mean, order)
    beyond = (ring[:, None] - ring).reshape(-1, 2)
    # Columns as far away as neighbours are from each other, or at unknown places: what the rim shows of them.
    beyond = beyond[np.hypot(*beyond.T) > 0.1] if len(ring) else 1.05 * _rim()
    places = np.concatenate([np.zeros((1, 2)), ring, beyond])

    def columns(width: float, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        apart = (x[:, None] - places[:, 0] - shift[0]) ** 2 + (y[:, None] - places[:, 1] - shift[1]) ** 2
        heights: np.ndarray = inverse @ np.exp(-0.5 * apart / width**2)
        return heights

    flat = np.eye(len(mean))[:, :1]
    fits = []
    for width in _WIDTHS.tolist():
        drawn = np.concatenate([flat, columns(width)], axis=1)
        heights = np.linalg.lstsq(drawn, mean)[0]
        fits.append((float(np.linalg.norm(mean - drawn @ heights)), width, heights[1:]))
    _, width, heights = min(fits, key=lambda fit: fit[0])
    shifts = [
        (columns(width, (dx, dy)) - columns(width, (-dx, -dy))) @ heights
        for dx, dy in ((_SHIFT, 0.0), (0.0, _SHIFT))
    ]
    from_mean = own - own.mean(axis=0)
    most = np.linalg.eigh(from_mean.T @ from_mean)[1][:, ::-1][:, : min(_COMPONENTS, len(own) // 20)]
    drawn = np.concatenate([flat, columns(width), np.stack(shifts, axis=1), most], axis=1)
    drawn = drawn / np.maximum(np.linalg.norm(drawn, axis=0), 1e-300)
    left, strength, _ = np.linalg.svd(drawn, full_matrices=False)
    return left[:, strength > 1e-3 * strength[0]]


def _rim() -> np.ndarray:
    """Return twelve directions (12, 2)."""
    angle = np.arange(12) * (np.pi / 6)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _ring(mean: np.ndarray, order: int) -> np.ndarray:
    """Return the weights (n_moments, k) of the k neighbours' intensities above the gaps."""
    ring = neighbor_positions(mean, order).tolist()
    if not ring:
        return np.zeros((len(mean), 0))
    weights: np.ndarray = (
        np.stack([window(order, x, y) for x, y in ring], axis=1) - gaps(mean, order)[:, None]
    )
    return weights
