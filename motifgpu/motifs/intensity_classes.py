"""Classes of columns by their intensity, on each lattice site; labels are on the host and in no order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.features.windows import turned_correlation
from motifgpu.motifs.mixture import Classes, Mixture, fit_classes
from motifgpu.motifs.sites import Sites

# By how much classes may differ that are one but for a turn, in units of the standard deviation of a site's
# mean patch over its disc.
_SAME_INTENSITY = 0.1
_SAME_PATTERN = 0.8  # correlation of mean patches, one turned


class Identities(NamedTuple):
    """Classes of n columns on several sites by intensity, and what made them.

    Attributes
    ----------
    labels : (n,) int64 ndarray
        In no particular order.
    confidence : (n,) float64 ndarray
        Posterior probability of the label among those of the column's site.
    mixtures : list of Mixture
        Of the intensities of each site.
    components : list of (k,) int64 ndarray
        Label of each component of each mixture.
    """

    labels: np.ndarray
    confidence: np.ndarray
    mixtures: list[Mixture]
    components: list[np.ndarray]


def by_column(sites: Sites, n_motifs: int | None) -> Identities:
    """Divide the columns of each site by their intensity.

    Parameters
    ----------
    sites : Sites
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
        fit_classes(sites.read(site)[:, 0], resolution=sites.resolution(site))
        for site in range(len(sites.rows))
    ]
    if n_motifs is None:
        return _classified(sites, [divisions[best] for divisions, best in divided])
    fits = [divisions for divisions, _ in divided]
    # From one class a site on, a class more where the criterion gains most.
    chosen = [0] * len(fits)
    while True:
        found = _classified(sites, [sequence[k] for sequence, k in zip(fits, chosen, strict=True)])
        reached = int(found.labels.max()) + 1
        gains = [
            (sequence[k + 1].criterion - sequence[k].criterion, site)
            for site, (sequence, k) in enumerate(zip(fits, chosen, strict=True))
            if k + 1 < len(sequence)
        ]
        if reached == n_motifs:
            return found
        if reached > n_motifs or not gains:
            raise StageError(
                "motifs",
                f"n_motifs is {n_motifs} and the columns of {len(fits)} lattice sites make "
                f"{'at least' if reached > n_motifs else 'at most'} {reached}",
                "leave n_motifs out, or choose the method mixture or kmeans",
            )
        chosen[min(gains)[1]] += 1


@dataclass(frozen=True, eq=False)
class _Class:
    """The columns of one intensity on one site."""

    site: int
    label: int
    rows: np.ndarray
    intensity: float
    variance: float  # of the mean intensity
    mean: np.ndarray


def _classified(sites: Sites, fits: list[Classes]) -> Identities:
    """Label columns by the classes of their sites; what a turn makes equal has one label."""
    labels = np.empty(sites.site.size, dtype=np.int64)
    confidence = np.empty(labels.size)
    classes: list[_Class] = []
    usual: list[_Class] = []  # the commonest of each site
    components = []
    for site, (rows, fit) in enumerate(zip(sites.rows, fits, strict=True)):
        brightness = sites.read(site)[:, 0]
        fit = _occurring(fit, brightness)
        posterior = fit.posterior(brightness)
        assigned = posterior.argmax(axis=1)
        confidence[rows] = posterior.max(axis=1)
        components.append(np.full(fit.classes.size, -1))
        here: list[_Class] = []
        for index in np.unique(assigned):
            members = assigned == index
            found = _Class(
                site=site,
                label=1 + max((c.label for c in classes + here), default=-1),
                rows=rows[members],
                intensity=float(brightness[members].mean()),
                variance=float(brightness[members].var() / members.sum()),
                mean=sites.mean(rows[members]),
            )
            here.append(found)
            components[site][fit.classes == index] = found.label
        usual.append(max(here, key=lambda c: c.rows.size))
        turned = [c.site for c in usual[:-1] if _turned(sites, c, usual[-1])]
        for found in here:
            twins = [c for c in classes if c.site in turned and _turned(sites, c, found)]
            if twins:
                twin = min(twins, key=lambda c: abs(c.intensity - found.intensity))
                components[site][components[site] == found.label] = twin.label
                found = replace(found, label=twin.label)
            classes.append(found)
            labels[found.rows] = found.label
    return Identities(labels, confidence, [fit.mixture for fit in fits], components)


def _occurring(fit: Classes, brightness: np.ndarray) -> Classes:
    """Give the components of classes that are the likeliest of no column to the nearest class."""
    kinds = np.unique(fit.posterior(brightness).argmax(axis=1))
    seen = np.flatnonzero(np.isin(fit.classes, kinds))
    apart = np.abs(fit.mixture.means - fit.mixture.means[seen, 0])
    return replace(fit, classes=fit.classes[seen[apart.argmin(axis=1)]])


def _turned(sites: Sites, a: _Class, b: _Class) -> bool:
    """Say whether two classes look the same on two sites of which one is the other, turned."""
    contrast = min(sites.contrast(a.site), sites.contrast(b.site))
    tolerance = _SAME_INTENSITY * contrast + 3.0 * (a.variance + b.variance) ** 0.5
    return (
        a.site != b.site
        and abs(a.intensity - b.intensity) < tolerance
        and turned_correlation(a.mean, b.mean, sites.order) > _SAME_PATTERN
    )
