"""Clusters of a layout: regions of connected density, HDBSCAN, k-means.

All of this runs on the host, on two numbers per column.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.motifs.kmeans import kmeans

METHODS = ("regions", "hdbscan", "kmeans")
# The density is smoothed over twice the distance of the 15th neighbour, and a region's peak is above the
# pass to a higher one by a factor of exp(1.5). On layouts of defective monolayers at 3 to 30 counts this is
# as good as HDBSCAN or better, and on perfect ones finds their two regions.
_NEIGHBORS = 15
_SMOOTHING = 2.0
_DYNAMIC = 1.5
_MAX_CELLS = 2048
_SAMPLE = 20_000  # points whose neighbour distances set the scale


def layout_regions(layout: np.ndarray, method: str = "regions", n_regions: int | None = None) -> np.ndarray:
    """Cluster a layout.

    Parameters
    ----------
    layout : (n, 2) ndarray
    method : {"regions", "hdbscan", "kmeans"}
        Regions are the basins of the smoothed density, two of them joined when the lower peak does not stand
        out; their cost grows with n alone, and the grid's. HDBSCAN has a smallest cluster of 15 and leaves
        points out. k-means needs `n_regions`.
    n_regions : int, optional
        Number of clusters; for k-means only.

    Returns
    -------
    (n,) int64 ndarray
        Labels from 0 on, -1 for points in no cluster.

    Raises
    ------
    StageError
        If the method is unknown, or `n_regions` is missing for k-means or given for another.
    """
    if method not in METHODS:
        raise StageError("regions", f"there is no method {method!r}", f"choose one of {', '.join(METHODS)}")
    if (n_regions is not None) != (method == "kmeans"):
        problem = "needs to be told" if method == "kmeans" else "finds, and cannot be told,"
        raise StageError(
            "regions", f"{method} {problem} the number of clusters", "give n_regions with kmeans alone"
        )
    layout = layout.astype(np.float64)
    if method == "kmeans":
        count = check_integer(n_regions, "regions", "n_regions", 1, len(layout))
        labels: np.ndarray = kmeans(layout, count, starts=10).labels
        return labels
    if len(layout) <= _NEIGHBORS:
        return np.zeros(len(layout), dtype=np.int64)
    if method == "hdbscan":
        from sklearn.cluster import HDBSCAN

        labels = HDBSCAN(min_cluster_size=_NEIGHBORS, copy=True).fit_predict(layout).astype(np.int64)
        return labels if labels.max() >= 0 else np.zeros_like(labels)
    return _density_regions(layout)


def _density_regions(layout: np.ndarray) -> np.ndarray:
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    step = max(1, len(layout) // _SAMPLE)
    distance = cKDTree(layout).query(layout[::step], _NEIGHBORS + 1)[0][:, -1]
    width = _SMOOTHING * float(np.median(distance))
    low, extent = layout.min(axis=0), np.ptp(layout, axis=0)
    cell = max(width / 2, float(extent.max()) / _MAX_CELLS)
    if cell == 0.0:  # all points in one place
        return np.zeros(len(layout), dtype=np.int64)
    margin = int(np.ceil(4 * width / cell)) + 1
    index = tuple(((layout - low) / cell).astype(np.int64).T + margin)
    histogram = np.zeros(np.ceil(extent / cell).astype(np.int64) + 2 * margin + 1)
    np.add.at(histogram, index, 1.0)
    sigma = max(width / cell, 1.0)
    density = ndimage.gaussian_filter(histogram, sigma, mode="constant")
    # A thousandth of what a single point gives: empty space is flat.
    logarithm = np.log(density + 1e-3 / (2 * np.pi * sigma**2))
    peaks = ndimage.label(h_maxima(logarithm, _DYNAMIC), structure=np.ones((3, 3)))[0]
    basins = watershed(-logarithm, peaks)[index]
    return np.unique(basins, return_inverse=True)[1].reshape(-1).astype(np.int64)
