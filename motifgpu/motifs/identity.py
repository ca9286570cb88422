"""A fitted division of columns into identities, which says of columns never seen what they are.

`motifgpu.find_motifs` divides columns by sublattice and each sublattice by intensity. `IdentityModel` is what
it finds: patterns of the sublattices and how to distinguish them, the rule for the background, mixtures of
intensities, and which of their components are one identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.products import row_products
from motifgpu.features.windows import window
from motifgpu.features.zernike import checked_moments
from motifgpu.motifs.intensity_classes import Identities, by_column
from motifgpu.motifs.mixture import Mixture
from motifgpu.motifs.numbering import numbered
from motifgpu.motifs.sublattices import Split, Sublattices, follow

_NEVER = -1e30  # logarithm of a weight of 0


class Classified(NamedTuple):
    """What n columns are, after an `IdentityModel`; arrays in the moments' namespace and on their device.

    Attributes
    ----------
    labels : (n,) int32 array
        Identity; -1 for those of which there were too few to count as one.
    confidence : (n,) array
        Posterior probability of the label among those of the column's sublattice.
    sublattice : (n,) int32 array
        Sublattice whose pattern the column has.
    component : (n,) int32 array
        Component of the sublattice's mixture, the likeliest of the class.
    intensity : (n,) array
        Of the column, its background subtracted.
    deviation : (n,) array
        From the mean intensity of the component, in its standard deviations.
    """

    labels: Array
    confidence: Array
    sublattice: Array
    component: Array
    intensity: Array
    deviation: Array


@dataclass(frozen=True, eq=False)
class IdentityModel:
    """How columns of s sublattices are distinguished.

    Attributes
    ----------
    order : int
        Highest Zernike order of the moments.
    means : (s, n_moments) float64 ndarray
        Mean moments of each sublattice.
    splits : tuple of Split
        How sublattices are distinguished, s - 1 of them.
    gaps : (s, n_moments) float64 ndarray
        Weights of the moments that give the intensity between columns.
    slope : float
        Share of that which is background and subtracted from the intensity of a column.
    mixtures : tuple of Mixture
        Of intensities, one per sublattice.
    components : tuple of (k,) int64 ndarray
        Identity of each component of each mixture.
    """

    order: int
    means: np.ndarray
    splits: tuple[Split, ...]
    gaps: np.ndarray
    slope: float
    mixtures: tuple[Mixture, ...]
    components: tuple[np.ndarray, ...]

    @classmethod
    def fit(
        cls, moments: Array, *, min_size: int = 3, n_motifs: int | None = None
    ) -> tuple[IdentityModel, Identities]:
        """Find sublattices and identities as ``find_motifs(moments, method="columns")`` does.

        Parameters
        ----------
        moments : (n, n_moments) array
            Of all moments up to an order.
        min_size : int
            Fewest columns of a sublattice, and of an identity where `n_motifs` is not given.
        n_motifs : int, optional
            Number of identities; found when not given.

        Returns
        -------
        model : IdentityModel
        identities : Identities
            Of the columns it was fitted to, labels as `motifgpu.motifs.numbering` numbers them.

        Raises
        ------
        StageError
            If the moments are not those of an order, or so many identities cannot be made.
        """
        _, moments, order = checked_moments(moments)
        return cls.of_sublattices(Sublattices(moments, order, min_size), min_size=min_size, n_motifs=n_motifs)

    @classmethod
    def of_sublattices(
        cls, sublattices: Sublattices, *, min_size: int, n_motifs: int | None
    ) -> tuple[IdentityModel, Identities]:
        """Find the identities of columns whose sublattices are known; see `fit`."""
        found = by_column(sublattices, n_motifs)
        labels = numbered(found.labels, min_size if n_motifs is None else 1)
        confidence = np.where(labels >= 0, found.confidence, 0.0)
        renamed = np.full(int(found.labels.max()) + 2, -1)
        renamed[found.labels] = labels  # and -1 remains -1
        components = []
        for mixture, component in zip(found.mixtures, found.components, strict=True):
            seen = np.flatnonzero(component >= 0)
            apart = np.abs(mixture.means[:, 0, None] - mixture.means[seen, 0])
            components.append(renamed[component[seen[apart.argmin(axis=1)]]])
        model = cls(
            order=sublattices.order,
            means=np.stack(sublattices.means),
            splits=tuple(sublattices.splits),
            gaps=np.stack(sublattices.gaps),
            slope=sublattices.slope,
            mixtures=tuple(found.mixtures),
            components=tuple(components),
        )
        return model, Identities(labels, confidence, found.mixtures, components, found.others)

    def classify(self, moments: Array, *, widening: Any = 1.0, slope: float | None = None) -> Classified:
        """Say what columns are, seen or never seen.

        Parameters
        ----------
        moments : (n, n_moments) array
            In the intensities and the orientation of those that the model was fitted to.
        widening : float or (s,) ndarray
            By how much intensities scatter more on each sublattice than they did there.
        slope : float, optional
            Share of the intensity in the gaps that is background, if not the model's.

        Returns
        -------
        Classified
            The same bits for a column whatever other columns are given.

        Raises
        ------
        StageError
            If the moments are of another order.
        """
        xp, moments, order = checked_moments(moments)
        if order != self.order:
            raise StageError(
                "identity",
                f"the moments are of order {order} and the model is of order {self.order}",
                f"take moments of order {self.order}",
            )
        read = row_products(moments, self._weights)
        sublattice = self._sublattices(moments, read)
        dark = read[:, 1 : 1 + len(self.means)]
        background = xp.take_along_axis(dark, _index(sublattice, xp), axis=1)[:, 0]
        intensity = read[:, 0] - (self.slope if slope is None else slope) * background

        def of_sublattice(table: np.ndarray) -> Array:
            return xp.take(namespace.as_like(table, moments), sublattice, axis=0)

        spread = self._spreads * np.broadcast_to(widening, len(self.means))[:, None]
        deviation = (intensity[:, None] - of_sublattice(self._centres)) / of_sublattice(spread)
        joint = of_sublattice(self._log_weights - np.log(spread)) - 0.5 * deviation * deviation
        share = xp.exp(joint - xp.max(joint, axis=1, keepdims=True))
        # A class has the probability of all its components together.
        together = xp.zeros_like(share)
        for k, same in enumerate(np.moveaxis(self._same, 2, 0)):
            together = together + share[:, k : k + 1] * of_sublattice(same)
        certain = xp.max(together, axis=1)
        likeliest = xp.where(together == certain[:, None], joint, xp.full_like(joint, 2 * _NEVER))
        component = xp.astype(xp.argmax(likeliest, axis=1), xp.int32)
        flat = xp.astype(sublattice, xp.int64) * self._labels.shape[1] + xp.astype(component, xp.int64)
        labels = xp.take(namespace.from_numpy(self._labels.reshape(-1), moments), flat, axis=0)
        certain = certain / xp.sum(share, axis=1)
        return Classified(
            labels=labels,
            confidence=xp.where(labels >= 0, certain, xp.zeros_like(certain)),
            sublattice=sublattice,
            component=component,
            intensity=intensity,
            deviation=xp.take_along_axis(deviation, _index(component, xp), axis=1)[:, 0],
        )

    @cached_property
    def _weights(self) -> np.ndarray:
        """Weights (k, n_moments): of the column, of the gaps of each sublattice, of the splits."""
        parts = [window(self.order)[None, :], self.gaps, *(split.weights.T for split in self.splits)]
        return np.concatenate(parts)

    def _sublattices(self, moments: Array, read: Array) -> Array:
        xp = namespace.array_namespace(moments)
        ends = np.cumsum([1 + len(self.means), *(split.weights.shape[1] for split in self.splits)]).tolist()
        parts = [read[:, begin:end] for begin, end in pairwise(ends)]
        length = xp.sqrt(xp.sum(moments[:, 1:] * moments[:, 1:], axis=1))
        return follow(self.splits, parts, length)

    def _table(self, rows: list[np.ndarray], missing: float) -> np.ndarray:
        """Return rows of different lengths as one array."""
        table = np.full((len(rows), max(map(len, rows))), missing)
        for i, row in enumerate(rows):
            table[i, : len(row)] = row
        return table

    @cached_property
    def _centres(self) -> np.ndarray:
        return self._table([m.means[:, 0] for m in self.mixtures], 0.0)

    @cached_property
    def _spreads(self) -> np.ndarray:
        return self._table([np.sqrt(m.covariances[:, 0, 0]) for m in self.mixtures], 1.0)

    @cached_property
    def _log_weights(self) -> np.ndarray:
        return self._table([np.log(m.weights) for m in self.mixtures], _NEVER)

    @cached_property
    def _same(self) -> np.ndarray:
        """Which components (s, k, k) of a sublattice are of one class."""
        labels = self._labels
        alike = (labels[:, :, None] == labels[:, None, :]) & (labels[:, :, None] >= 0)
        same: np.ndarray = (alike | np.eye(labels.shape[1], dtype=bool)).astype(np.float64)
        return same

    @cached_property
    def _labels(self) -> np.ndarray:
        return self._table(list(self.components), -1).astype(np.int32)


def _index(index: Array, xp: Any) -> Array:
    return xp.astype(index, xp.int64)[:, None]
