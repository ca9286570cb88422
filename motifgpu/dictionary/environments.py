"""Environments: the neighbours of a column, each in its direction, with numbers that stay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.core.products import row_products
from motifgpu.dictionary.chapter import MAX_DEVIATION, Chapter, Scatter
from motifgpu.features.windows import neighbor_positions, window
from motifgpu.motifs.mixture import Mixture, best, fit_mixture
from motifgpu.motifs.sublattices import resolution


@dataclass(frozen=True, eq=False)
class Environments:
    """The environments of a chapter.

    Attributes
    ----------
    weights : tuple of (n_moments, k + 1) float64 ndarray
        What gives the intensities of the k neighbours of each sublattice, and of the gaps between columns.
    mixtures : tuple of Mixture
        Of the neighbours' intensities, one per sublattice.
    keys : (e,) int64 ndarray
        Each environment as a number made of the sublattice, the motif and the kinds of the neighbours; the
        most frequent first.
    """

    weights: tuple[np.ndarray, ...]
    mixtures: tuple[Mixture, ...]
    keys: np.ndarray

    @classmethod
    def fit(
        cls, moments: np.ndarray, sublattice: np.ndarray, labels: np.ndarray, chapter: Chapter
    ) -> Environments:
        """Learn from the columns of a chapter.

        Parameters
        ----------
        moments : (n, n_moments) ndarray
        sublattice, labels : (n,) int ndarray
            Where they stand and what they are; those without label do not count.
        chapter : Chapter
        """
        model = chapter.model
        weights, mixtures = [], []
        for s, mean in enumerate(model.means):
            ring = neighbor_positions(mean, model.order).tolist()
            drawn = [window(model.order, x, y) for x, y in ring]
            weights.append(np.stack([*drawn, model.gaps[s]], axis=1))
            read = moments[sublattice == s].astype(np.float64) @ weights[s]
            intensity = (read[:, :-1] - model.slope * read[:, -1:]).reshape(-1)
            fits = fit_mixture(
                intensity if intensity.size else np.zeros(1),
                resolution=resolution(mean),
            )
            mixtures.append(best(fits))
        empty = cls(tuple(weights), tuple(mixtures), np.zeros(0, np.int64))
        return empty.extended(empty.key(moments, sublattice, labels, chapter.scatter))

    def extended(self, keys: np.ndarray) -> Environments:
        """Add environments, given as `key` returns them for each column, after those that are there."""
        new, first, counts = np.unique(keys[keys >= 0], return_index=True, return_counts=True)
        new = new[np.lexsort((first, -counts))]
        return replace(self, keys=np.concatenate([self.keys, new[~np.isin(new, self.keys)]]))

    def number(self, key: Array) -> Array:
        """Return the environments (n,) int32 of keys (n,), -1 where there was none like it."""
        xp = namespace.array_namespace(key)
        if not self.keys.size:
            return xp.full(key.shape, -1, dtype=xp.int32, device=namespace.device(key))
        order, ranked = (namespace.from_numpy(a, key) for a in self._ranked)
        place = xp.clip(xp.searchsorted(ranked, key), max=self.keys.size - 1)
        same = xp.take(ranked, place, axis=0) == key
        number = xp.astype(xp.take(order, place, axis=0), xp.int32)
        return xp.where(same, number, xp.full_like(number, -1))

    @cached_property
    def _ranked(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.keys)
        return order, self.keys[order]

    def key(self, moments: Array, sublattice: Array, labels: Array, scatter: Scatter) -> Array:
        """Return the key (n,) of each column's environment, -1 where it or a neighbour is of no kind."""
        xp = namespace.array_namespace(moments)
        result = xp.full(moments.shape[0], -1, dtype=xp.int64, device=namespace.device(moments))
        for s, (weights, mixture) in enumerate(zip(self.weights, self.mixtures, strict=True)):
            widths = np.sqrt(mixture.covariances[:, 0, 0]) * scatter.widening[s]
            centres = namespace.as_like(mixture.means[:, 0], moments)
            spread = namespace.as_like(widths, moments)
            share = namespace.as_like(np.log(mixture.weights / widths), moments)
            read = row_products(moments, weights.T)
            key = xp.astype(labels, xp.int64)
            usual = key >= 0
            for k in range(weights.shape[1] - 1):
                neighbor = read[:, k] - scatter.slope * read[:, -1]
                deviation = (neighbor[:, None] - centres) / spread
                kind = xp.argmax(share - 0.5 * deviation * deviation, axis=1)
                apart = xp.take_along_axis(deviation, kind[:, None], axis=1)[:, 0]
                usual = usual & (xp.abs(apart) <= MAX_DEVIATION)
                key = key * len(widths) + xp.astype(kind, xp.int64)
            key = xp.where(usual, key * len(self.weights) + s, xp.full_like(key, -1))
            result = xp.where(sublattice == s, key, result)
        return result
