"""Classes of columns by their intensity, on each sublattice; labels are on the host and in no order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.features.windows import turned_correlation
from motifgpu.motifs.mixture import Classes, Mixture, fit_classes
from motifgpu.motifs.sublattices import Sublattices

# Difference of the criteria, on the scale of BIC, below which two numbers of classes are nearly as likely.
_CLOSE = 10.0
# By how much classes may differ that are one but for a turn, in units of the standard deviation of a
# sublattice's mean patch over its disc.
_SAME_INTENSITY = 0.1
# The same for classes on sublattices that take turns, which are known to differ somehow.
_TAKING_TURNS = 0.02
_SAME_PATTERN = 0.8  # correlation of mean patches, one turned


class Identities(NamedTuple):
    """Classes of n columns on several sublattices by intensity, and what made them.

    Attributes
    ----------
    labels : (n,) int64 ndarray
        In no particular order.
    confidence : (n,) float64 ndarray
        Posterior probability of the label among those of the column's sublattice.
    mixtures : list of Mixture
        Of the intensities of each sublattice.
    components : list of (k,) int64 ndarray
        Label of each component of each mixture.
    others : list of int
        How many labels more, or fewer, are nearly as likely, where the number was found.
    """

    labels: np.ndarray
    confidence: np.ndarray
    mixtures: list[Mixture]
    components: list[np.ndarray]
    others: list[int]


def by_column(sublattices: Sublattices, n_motifs: int | None) -> Identities:
    """Divide the columns of each sublattice by their intensity.

    Parameters
    ----------
    sublattices : Sublattices
        Of n columns.
    n_motifs : int or None
        Number of classes; found when None.

    Returns
    -------
    Identities

    Raises
    ------
    StageError
        If so many classes cannot be made.
    """
    divided = [
        fit_classes(sublattices.read(sublattice)[:, 0], resolution=sublattices.resolution(sublattice))
        for sublattice in range(len(sublattices.rows))
    ]
    if n_motifs is None:
        found = _classified(sublattices, [divisions[best] for divisions, best in divided])
        # Copies of a sublattice have the same classes, so a class more of one is one more of all.
        return found._replace(others=sorted({k for each in divided for k in _nearly(*each)}))
    fits = [divisions for divisions, _ in divided]
    # From one class a sublattice on, a class more where the criterion gains most.
    chosen = [0] * len(fits)
    while True:
        found = _classified(sublattices, [sequence[k] for sequence, k in zip(fits, chosen, strict=True)])
        reached = int(found.labels.max()) + 1
        gains = [
            (sequence[k + 1].criterion - sequence[k].criterion, sublattice)
            for sublattice, (sequence, k) in enumerate(zip(fits, chosen, strict=True))
            if k + 1 < len(sequence)
        ]
        if reached == n_motifs:
            return found
        if reached > n_motifs or not gains:
            raise StageError(
                "motifs",
                f"n_motifs is {n_motifs} and the columns of {len(fits)} sublattices make "
                f"{'at least' if reached > n_motifs else 'at most'} {reached}",
                "leave n_motifs out, or choose the method mixture or kmeans",
            )
        chosen[min(gains)[1]] += 1


def _nearly(divisions: list[Classes], best: int) -> list[int]:
    """Return how many classes more, or fewer, are nearly as likely."""
    least = divisions[best].criterion
    close = [abs(other.criterion - least) < _CLOSE for other in divisions]
    return [k - best for k, near in enumerate(close) if near and k != best]


@dataclass(frozen=True, eq=False)
class _Class:
    """The columns of one intensity on one sublattice."""

    sublattice: int
    label: int
    rows: np.ndarray
    intensity: float
    variance: float  # of the mean intensity
    mean: np.ndarray


def _classified(sublattices: Sublattices, fits: list[Classes]) -> Identities:
    """Label columns by the classes of their sublattices; what a turn makes equal has one label."""
    labels = np.empty(sublattices.of_column.size, dtype=np.int64)
    confidence = np.empty(labels.size)
    classes: list[_Class] = []
    usual: list[_Class] = []  # the commonest of each sublattice
    components = []
    for sublattice, (rows, fit) in enumerate(zip(sublattices.rows, fits, strict=True)):
        brightness = sublattices.read(sublattice)[:, 0]
        fit = _occurring(fit, brightness)
        posterior = fit.posterior(brightness)
        assigned = posterior.argmax(axis=1)
        confidence[rows] = posterior.max(axis=1)
        components.append(np.full(fit.classes.size, -1))
        here: list[_Class] = []
        for index in np.unique(assigned):
            members = assigned == index
            found = _Class(
                sublattice=sublattice,
                label=1 + max((c.label for c in classes + here), default=-1),
                rows=rows[members],
                intensity=float(brightness[members].mean()),
                variance=float(brightness[members].var() / members.sum()),
                mean=sublattices.mean(rows[members]),
            )
            here.append(found)
            components[sublattice][fit.classes == index] = found.label
        usual.append(max(here, key=lambda c: c.rows.size))
        turned = [c.sublattice for c in usual[:-1] if _turned(sublattices, c, usual[-1])]
        for found in here:
            copies = [c for c in classes if c.sublattice in turned and _turned(sublattices, c, found)]
            if copies:
                copy = min(copies, key=lambda c: abs(c.intensity - found.intensity))
                components[sublattice][components[sublattice] == found.label] = copy.label
                found = replace(found, label=copy.label)
            classes.append(found)
            labels[found.rows] = found.label
    return Identities(labels, confidence, [fit.mixture for fit in fits], components, [])


def _occurring(fit: Classes, brightness: np.ndarray) -> Classes:
    """Give the components of classes that are the likeliest of no column to the nearest class."""
    kinds = np.unique(fit.posterior(brightness).argmax(axis=1))
    seen = np.flatnonzero(np.isin(fit.classes, kinds))
    apart = np.abs(fit.mixture.means - fit.mixture.means[seen, 0])
    return replace(fit, classes=fit.classes[seen[apart.argmin(axis=1)]])


def _turned(sublattices: Sublattices, a: _Class, b: _Class) -> bool:
    """Say whether two classes look the same on two sublattices of which one is the other, turned."""
    contrast = min(sublattices.contrast(a.sublattice), sublattices.contrast(b.sublattice))
    one = sublattices.patterns[a.sublattice] == sublattices.patterns[b.sublattice]
    least = _TAKING_TURNS if one else _SAME_INTENSITY
    tolerance = least * contrast + 3.0 * (a.variance + b.variance) ** 0.5
    return (
        a.sublattice != b.sublattice
        and abs(a.intensity - b.intensity) < tolerance
        and turned_correlation(a.mean, b.mean, sublattices.order) > _SAME_PATTERN
    )
