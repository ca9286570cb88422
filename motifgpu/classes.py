"""Classes of columns: by the intensity of the column, by those of its neighbours, by a mixture of moments.

Labels are on the host and in no particular order; `motifgpu.motifs` orders them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from motifgpu import backend
from motifgpu.backend import Array, to_numpy
from motifgpu.errors import StageError
from motifgpu.mixture import Mixture, fit_mixture, fit_mixtures
from motifgpu.regions import layout_regions
from motifgpu.sites import Sites
from motifgpu.windows import neighbor_positions, turned_correlation

_COMPONENTS = 4  # principal components for the mixture
_SAMPLE = 10_000  # columns that it is fitted to, at least, where there are more
# In units of the standard deviation of a site's mean patch over its disc: what intensities are not told apart
# by, however little noise there is, and by how much classes may differ that are one but for a turn.
_RESOLUTION = 0.02
_SAME_INTENSITY = 0.1
_SAME_PATTERN = 0.8  # correlation of mean patches, one turned


def _best(fits: list[Mixture]) -> int:
    return int(np.argmin([fit.criterion for fit in fits]))


def by_column(sites: Sites, n_motifs: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Divide the columns of each site by their intensity.

    Parameters
    ----------
    sites : Sites
        Of n columns.
    n_motifs : int or None
        Number of classes; found when None.

    Returns
    -------
    labels : (n,) int64 ndarray
    confidence : (n,) float64 ndarray
        Posterior probability of the label among those of the column's site.

    Raises
    ------
    StageError
        If so many classes cannot be made.
    """
    fits = [
        fit_mixture(sites.read(site)[:, 0], resolution=_RESOLUTION * sites.contrast(site))
        for site in range(len(sites.rows))
    ]
    if n_motifs is None:
        return _classified(sites, [sequence[_best(sequence)] for sequence in fits])
    # From one class a site on, a class more where the criterion gains most.
    chosen = [0] * len(fits)
    while True:
        labels, confidence = _classified(
            sites, [sequence[k] for sequence, k in zip(fits, chosen, strict=True)]
        )
        reached = int(labels.max()) + 1
        gains = [
            (sequence[k + 1].criterion - sequence[k].criterion, site)
            for site, (sequence, k) in enumerate(zip(fits, chosen, strict=True))
            if k + 1 < len(sequence)
        ]
        if reached == n_motifs:
            return labels, confidence
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
    intensity: float
    variance: float  # of the mean intensity
    mean: np.ndarray


def _classified(sites: Sites, fits: list[Mixture]) -> tuple[np.ndarray, np.ndarray]:
    """Label columns by the mixtures of their sites; what a turn makes equal has one label."""
    labels = np.empty(sites.site.size, dtype=np.int64)
    confidence = np.empty(labels.size)
    classes: list[_Class] = []
    for site, (rows, fit) in enumerate(zip(sites.rows, fits, strict=True)):
        brightness = sites.read(site)
        posterior = fit.posterior(brightness)
        assigned = posterior.argmax(axis=1)
        confidence[rows] = posterior.max(axis=1)
        for component in np.unique(assigned):
            members = assigned == component
            found = _Class(
                site=site,
                label=1 + max((c.label for c in classes), default=-1),
                intensity=float(brightness[members].mean()),
                variance=float(fit.covariances[component, 0, 0] / members.sum()),
                mean=sites.mean(rows[members]),
            )
            twins = [c for c in classes if _turned(sites, c, found)]
            if twins:
                twin = min(twins, key=lambda c: abs(c.intensity - found.intensity))
                found = replace(found, label=twin.label)
            classes.append(found)
            labels[rows[members]] = found.label
    return labels, confidence


def _turned(sites: Sites, a: _Class, b: _Class) -> bool:
    """Say whether two classes look the same on two sites of which one is turned."""
    contrast = min(sites.contrast(a.site), sites.contrast(b.site))
    tolerance = _SAME_INTENSITY * contrast + 3.0 * (a.variance + b.variance) ** 0.5
    return (
        a.site != b.site
        and abs(a.intensity - b.intensity) < tolerance
        and turned_correlation(a.mean, b.mean, sites.order) > _SAME_PATTERN
    )


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
        positions = neighbor_positions(sites.means[site], sites.order)
        code = np.zeros(rows.size, dtype=np.int64)
        if len(positions):
            intensity = sites.read(site, positions)
            fits = fit_mixture(intensity.reshape(-1), resolution=_RESOLUTION * sites.contrast(site))
            classes = fits[_best(fits)].posterior(intensity.reshape(-1, 1)).argmax(axis=1)
            for neighbour in classes.reshape(intensity.shape).T:
                code = np.unique(code * len(fits) + neighbour, return_inverse=True)[1].reshape(-1)
        elif layout is not None:
            regions = layout_regions(layout) if regions is None else regions
            code = regions[rows]
        result[rows] = used + code
        used += int(code.max()) + 1
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
    xp = backend.array_namespace(moments)
    centred = moments - xp.mean(moments, axis=0)
    covariance = to_numpy(xp.matmul(centred.T, centred)).astype(np.float64)
    axes = np.linalg.eigh(covariance)[1][:, ::-1][:, :_COMPONENTS]
    scores = to_numpy(xp.matmul(centred, backend.constant(axes, moments))).astype(np.float64)
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
