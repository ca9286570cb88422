"""One part of a dictionary: what it can name, and how strange a column is to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.core.shown import one_line
from motifgpu.dictionary.patterns import Patterns
from motifgpu.dictionary.similarity import LearnedPatches
from motifgpu.motifs.identity import Classified, IdentityModel
from motifgpu.motifs.mixture import Mixture

# Standard deviations from the mean intensity of its motif up to which a column is one of it. At 10 counts the
# dopants tried are 9 or more away from what was learned, and one column in 16,000 would be by chance.
MAX_DEVIATION = 4.0

KNOWN, STRANGE_INTENSITY, STRANGE_PATTERN, OTHER_CRYSTAL = 0, 1, 2, 3


class Kind(NamedTuple):
    """How intensities of one motif on one sublattice are distributed.

    Attributes
    ----------
    share : float
        Of the sublattice's columns.
    median : float
    spread : float
        Standard deviation of the Gaussian with the same quartiles.
    """

    share: float
    median: float
    spread: float


class Scatter(NamedTuple):
    """How a micrograph's columns scatter around what they are.

    Attributes
    ----------
    widening : (s,) ndarray
        Standard deviation of the intensities on each sublattice in units of the learned one.
    noise : (s,) ndarray
        Length of what is outside the span of the sublattice's patterns in units of the learned one.
    means : (s, n_moments) ndarray
        Usual patch of each sublattice.
    slope : float
        Share of the intensity between columns that is background.
    """

    widening: np.ndarray
    noise: np.ndarray
    means: np.ndarray
    slope: float

    def __repr__(self) -> str:
        return one_line(self)


class Named(NamedTuple):
    """What n columns are to a chapter.

    Attributes
    ----------
    classified : Classified
    intensity : (n,) array
        Deviation of the column's intensity from its motif's, 1 at the limit.
    pattern : (n,) array
        Deviation of the patch from what patches of the sublattice can be, 1 at the limit.
    """

    classified: Classified
    intensity: Array
    pattern: Array


@dataclass(frozen=True, eq=False)
class Chapter:
    """Motifs that were learned together.

    Attributes
    ----------
    model : IdentityModel
        Its labels count from 0 within the chapter.
    patterns : Patterns
    first : int
        Number of its first motif in the dictionary.
    own_sublattices : bool
        Whether its sublattices are others than those of the dictionary's first chapter.
    """

    model: IdentityModel
    patterns: Patterns
    first: int
    own_sublattices: bool = True

    @property
    def motifs(self) -> int:
        """How many motifs it names."""
        return 1 + max(int(labels.max()) for labels in self.model.components)

    @property
    def scatter(self) -> Scatter:
        """That of the columns learned."""
        usual = np.ones(len(self.patterns.scales))
        return Scatter(usual, usual, self.patterns.means, self.model.slope)

    @cached_property
    def kinds(self) -> tuple[dict[int, Kind], ...]:
        """The intensities of each motif on each sublattice; a motif may be several Gaussians."""
        return tuple(
            {label: _kind(mixture, labels == label) for label in np.unique(labels[labels >= 0]).tolist()}
            for mixture, labels in zip(self.model.mixtures, self.model.components, strict=True)
        )

    @cached_property
    def learned_patches(self) -> LearnedPatches:
        """Its usual patches, to compare those of a micrograph with."""
        return LearnedPatches(self.patterns.means, self.model.order)

    def adapted(self, scatter: Scatter) -> Scatter:
        """Return a scatter on the sublattices of the dictionary's first chapter as one on its own."""
        if not self.own_sublattices:
            return scatter
        usual = self.scatter
        return usual._replace(
            widening=usual.widening * float(np.mean(scatter.widening)),
            noise=usual.noise * float(np.mean(scatter.noise)),
            slope=scatter.slope,
        )

    def name(self, moments: Array, scatter: Scatter) -> Named:
        """Say what columns are, and how far they are from it.

        Parameters
        ----------
        moments : (n, n_moments) array
            In the intensities and the orientation of those learned.
        scatter : Scatter
            Of the micrograph.
        """
        xp = namespace.array_namespace(moments)
        found = self.model.classify(moments, widening=scatter.widening, slope=scatter.slope)
        outside = self.patterns.outside(moments, found.sublattice, scatter.means)
        allowed = np.hypot(self.patterns.limits * self.patterns.scales * scatter.noise, self.patterns.floors)
        return Named(
            classified=found,
            intensity=xp.abs(found.deviation) / MAX_DEVIATION,
            pattern=outside / xp.take(namespace.as_like(allowed, moments), found.sublattice, axis=0),
        )


def _kind(mixture: Mixture, members: np.ndarray) -> Kind:
    """Return the distribution of some components of a mixture of numbers."""
    share, mean = mixture.weights[members], mixture.means[members, 0]
    deviation = np.sqrt(mixture.covariances[members, 0, 0])
    x = np.linspace((mean - 6 * deviation).min(), (mean + 6 * deviation).max(), 4001)
    below = ndtr((x[:, None] - mean) / deviation) @ share / share.sum()
    low, median, high = np.interp((0.25, 0.5, 0.75), below, x).tolist()
    return Kind(float(share.sum()), median, (high - low) / 1.349)
