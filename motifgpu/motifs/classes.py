"""Classes of columns: by the intensity of the column, by those of its neighbours, by a mixture of moments.

Labels are on the host and in no particular order; `canonical` orders them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.features.windows import neighbor_positions, turned_correlation
from motifgpu.motifs.mixture import Classes, Mixture, fit_classes, fit_mixture, fit_mixtures
from motifgpu.motifs.regions import layout_regions
from motifgpu.motifs.sites import Sites

_COMPONENTS = 4  # principal components for the mixture
_SAMPLE = 10_000  # columns that it is fitted to, at least, where there are more
# In units of the standard deviation of a site's mean patch over its disc: what intensities are not told apart
# by, however little noise there is, and by how much classes may differ that are one but for a turn.
_RESOLUTION = 0.02
_SAME_INTENSITY = 0.1
_SAME_PATTERN = 0.8  # correlation of mean patches, one turned


def _best(fits: list[Mixture]) -> int:
    return int(np.argmin([fit.criterion for fit in fits]))


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
        fit_classes(sites.read(site)[:, 0], resolution=_RESOLUTION * sites.contrast(site))
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


def neighborhood(sites: Sites, site: int) -> tuple[np.ndarray, Mixture | None]:
    """Return where the neighbours of a site stand and the mixture of their intensities.

    Parameters
    ----------
    sites : Sites
    site : int

    Returns
    -------
    positions : (m, 2) float64 ndarray
        (x, y) in patch radii, y upwards.
    mixture : Mixture or None
        None where no neighbour is seen.
    """
    positions = neighbor_positions(sites.means[site], sites.order)
    if not len(positions):
        return positions, None
    intensity = sites.read(site, positions).reshape(-1)
    fits = fit_mixture(intensity, resolution=_RESOLUTION * sites.contrast(site))
    return positions, fits[_best(fits)]


def by_neighbors(sites: Sites, layout: np.ndarray | None) -> np.ndarray:
    """Divide the columns of each site by the intensities of their neighbours, each in its direction.

    Parameters
    ----------
    sites : Sites
        Of n columns.
    layout : (n, 2) ndarray or None
        Its regions divide a site in whose mean patch no neighbour is seen.

    Returns
    -------
    (n,) int64 ndarray
        Labels; columns of different sites have different ones.
    """
    result = np.empty(sites.site.size, dtype=np.int64)
    regions = None
    used = 0
    for site, rows in enumerate(sites.rows):
        code = np.zeros(rows.size, dtype=np.int64)
        positions, mixture = neighborhood(sites, site)
        if mixture is not None:
            intensity = sites.read(site, positions)
            classes = mixture.posterior(intensity.reshape(-1, 1)).argmax(axis=1)
            for neighbour in classes.reshape(intensity.shape).T:
                code = np.unique(code * len(mixture.means) + neighbour, return_inverse=True)[1].reshape(-1)
        elif layout is not None:
            regions = layout_regions(layout) if regions is None else regions
            code = regions[rows]
        result[rows] = used + code
        used += int(code.max()) + 1
    return result


def canonical(labels: np.ndarray, min_size: int) -> np.ndarray:
    """Number classes by size and then by first index, those smaller than `min_size` -1; int32."""
    result = np.full(labels.shape, -1, dtype=np.int32)
    assigned = np.flatnonzero(labels >= 0)
    if assigned.size:
        _, first, inverse, counts = np.unique(
            labels[assigned], return_index=True, return_inverse=True, return_counts=True
        )
        order = np.lexsort((first, -counts))
        rank = np.empty(order.size, dtype=np.int32)
        rank[order] = np.where(counts[order] >= min_size, np.arange(order.size), -1)
        result[assigned] = rank[inverse.reshape(-1)]
    return result


def by_mixture(moments: Array, n_motifs: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Divide columns by a Gaussian mixture on the leading principal components of their moments.

    Parameters
    ----------
    moments : (n, d) array
    n_motifs : int or None
        Number of classes; found when None.

    Returns
    -------
    labels : (n,) int64 ndarray
    confidence : (n,) float64 ndarray
        Posterior probability of the label.

    Raises
    ------
    StageError
        If fewer than `n_motifs` columns differ.
    """
    xp = namespace.array_namespace(moments)
    centred = moments - xp.mean(moments, axis=0)
    covariance = to_numpy(xp.matmul(centred.T, centred)).astype(np.float64)
    axes = np.linalg.eigh(covariance)[1][:, ::-1][:, :_COMPONENTS]
    scores = to_numpy(xp.matmul(centred, namespace.as_like(axes, moments))).astype(np.float64)
    most = 8 if n_motifs is None else max(8, n_motifs)
    fits = fit_mixtures(scores[:: max(1, len(scores) // _SAMPLE)], max_components=most)
    if n_motifs is not None and n_motifs > len(fits):
        raise StageError(
            "motifs",
            f"n_motifs is {n_motifs} and only {len(fits)} columns differ",
            "leave n_motifs out",
        )
    posterior = fits[_best(fits) if n_motifs is None else n_motifs - 1].posterior(scores)
    return posterior.argmax(axis=1).astype(np.int64), posterior.max(axis=1)
