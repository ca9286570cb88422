"""Environments: the columns of a lattice site divided by the intensities of their neighbours."""

from __future__ import annotations

import numpy as np

from motifgpu.features.windows import neighbor_positions
from motifgpu.motifs.layout_clusters import layout_regions
from motifgpu.motifs.mixture import Mixture, best, fit_mixture
from motifgpu.motifs.sites import Sites


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
        positions, mixture = _neighbors(sites, site)
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


def _neighbors(sites: Sites, site: int) -> tuple[np.ndarray, Mixture | None]:
    """Return where (m, 2) neighbours are seen on a site and, if any are, the mixture of their intensities."""
    positions = neighbor_positions(sites.means[site], sites.order)
    if not len(positions):
        return positions, None
    intensity = sites.read(site, positions).reshape(-1)
    fits = fit_mixture(intensity, resolution=sites.resolution(site))
    return positions, best(fits)
