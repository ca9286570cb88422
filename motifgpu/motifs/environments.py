"""Environments: the columns of a sublattice divided by the intensities of their neighbours."""

from __future__ import annotations

import numpy as np

from motifgpu.features.windows import neighbor_positions
from motifgpu.motifs.layout_clusters import layout_regions
from motifgpu.motifs.mixture import Mixture, best, fit_mixture
from motifgpu.motifs.sublattices import Sublattices


def by_neighbors(sublattices: Sublattices, layout: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Divide the columns of each sublattice by the intensities of their neighbours, each in its direction.

    Parameters
    ----------
    sublattices : Sublattices
        Of n columns.
    layout : (n, 2) ndarray or None
        Its regions divide a sublattice in whose mean patch no neighbour is seen.

    Returns
    -------
    labels : (n,) int64 ndarray
        Columns of different sublattices have different ones.
    confidence : (n,) float64 ndarray
        Posterior probability of the classes of all neighbours; 1 for regions of the layout.
    """
    result = np.empty(sublattices.of_column.size, dtype=np.int64)
    confidence = np.ones(result.size)
    regions = None
    used = 0
    for sublattice, rows in enumerate(sublattices.rows):
        code = np.zeros(rows.size, dtype=np.int64)
        positions, mixture = _neighbors(sublattices, sublattice)
        if mixture is not None:
            intensity = sublattices.read(sublattice, positions)
            posterior = mixture.posterior(intensity.reshape(-1, 1))
            classes = posterior.argmax(axis=1)
            confidence[rows] = posterior.max(axis=1).reshape(intensity.shape).prod(axis=1)
            for neighbour in classes.reshape(intensity.shape).T:
                code = np.unique(code * len(mixture.means) + neighbour, return_inverse=True)[1].reshape(-1)
        elif layout is not None:
            regions = layout_regions(layout) if regions is None else regions
            code = regions[rows]
        result[rows] = used + code
        used += int(code.max()) + 1
    return result, confidence


def _neighbors(sublattices: Sublattices, sublattice: int) -> tuple[np.ndarray, Mixture | None]:
    """Return where (m, 2) a sublattice shows neighbours and, if any, the mixture of their intensities."""
    positions = neighbor_positions(sublattices.means[sublattice], sublattices.order)
    if not len(positions):
        return positions, None
    intensity = sublattices.read(sublattice, positions).reshape(-1)
    fits = fit_mixture(intensity, resolution=sublattices.resolution(sublattice))
    return positions, best(fits)
