"""Domains: regions whose columns have one label, such as the stackings of a moire, and how they lie together.

The labels of `motifgpu.anchors` say which stacking each column is nearest to. Regions of one stacking are the
units that a twisted bilayer is composed of: their middles form the moire lattice, and `motif_cells` and
`build_hierarchy` compose them as they compose columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from motifgpu import backend
from motifgpu.cells import Cells, checked_labels, motif_cells, voronoi_cells
from motifgpu.errors import StageError
from motifgpu.lattice import fit_lattice
from motifgpu.voronoi import voronoi_tiling

# Regions with fewer columns than this share of the usual one are bits of a border, not domains.
_LEAST_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Domains:
    """Connected regions of one label; n columns, d domains.

    Attributes
    ----------
    domain : (n,) int64 ndarray
        Domain of each column, -1 for those in regions too small to be one.
    labels : (d,) int64 ndarray
        Label of each domain.
    sizes : (d,) int64 ndarray
        Columns in each.
    centers : (d, 2) float64 ndarray
        Mean position of its columns, (row, col) px.
    complete : (d,) bool ndarray
        False for domains that reach the border of what is in view.
    pairs : (e, 2) int64 ndarray
        Domains that touch, the lower number first.
    borders : (e,) int64 ndarray
        How many pairs of neighbouring columns lie across the border of each.
    """

    domain: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    centers: np.ndarray
    complete: np.ndarray
    pairs: np.ndarray
    borders: np.ndarray

    def __repr__(self) -> str:
        return f"<{len(self.labels)} domains of {len(np.unique(self.labels))} kinds>"

    def cells(self) -> Cells:
        """Compose complete domains into motif-cells: of the moire lattice, or Voronoi cells if there is none.

        Returns
        -------
        Cells
            For `motifgpu.build_hierarchy`; `Cells.members` are domains, counted among the complete ones.

        Raises
        ------
        StageError
            If there are fewer than 12 complete domains, or all lie on a line.
        """
        points, labels = self.centers[self.complete], self.labels[self.complete]
        try:
            lattice = fit_lattice(points, labels=labels)
        except StageError:
            return voronoi_cells(points, labels)
        return motif_cells(lattice, labels)


def label_domains(points: Any, labels: Any, *, min_size: int | None = None) -> Domains:
    """Join columns of one label that are neighbours into domains.

    Parameters
    ----------
    points : (n, 2) array
        Columns as (row, col), px.
    labels : (n,) int array
        From `motifgpu.anchors.label_by_anchors`, say; -1 for none.
    min_size : int, optional
        Fewest columns of a domain; by default a quarter of the usual, which is the median over columns of the
        size of their region.

    Returns
    -------
    Domains
        On the host, in order of their first columns.

    Raises
    ------
    StageError
        If the points have no Voronoi tiling, the labels do not fit them or are all -1, or an option is out of
        range.

    Notes
    -----
    Fig. 5E of Dan et al., Science Advances 8, eabk1005 (2022): domains of a twisted bilayer, composed. Two
    columns are neighbours where their Voronoi cells share a border of usual length.
    """
    tiling = voronoi_tiling(points)
    number = len(tiling.points)
    given = checked_labels(labels, number)
    if (given < 0).all():
        raise StageError("domains", f"none of the {number} columns has a label", "give labels from 0 on")
    left, right = tiling.pairs.T
    within = (given[left] == given[right]) & (given[left] >= 0)
    region = connected_components(
        coo_array((np.ones(within.sum()), (left[within], right[within])), (number, number)), directed=False
    )[1]
    sizes = np.bincount(region)
    labelled = given >= 0
    if min_size is None:
        min_size = max(1, round(_LEAST_SHARE * float(np.median(sizes[region[labelled]]))))
    min_size = backend.whole(min_size, "domains", "min_size", 1)
    kept = labelled & (sizes[region] >= min_size)
    if not kept.any():
        raise StageError(
            "domains", f"no region has {min_size} columns", f"give a min_size of at most {sizes.max()}"
        )
    _, first, numbered = np.unique(region[kept], return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    domain = np.full(number, -1, np.int64)
    domain[kept] = order[numbered.reshape(-1)]

    count = len(first)
    members = np.bincount(domain[kept], minlength=count)
    centers = np.stack(
        [np.bincount(domain[kept], tiling.points[kept, axis], count) / members for axis in range(2)], axis=1
    )
    cut = np.bincount(domain[kept], ~tiling.complete[kept], count) > 0
    kinds = np.empty(count, np.int64)
    kinds[domain[kept]] = given[kept]
    ends = np.sort(np.stack([domain[left], domain[right]], axis=1), axis=1)
    across = ends[(ends[:, 0] >= 0) & (ends[:, 0] != ends[:, 1])]
    pairs, borders = np.unique(across, axis=0, return_counts=True)
    return Domains(domain, kinds, members, centers, ~cut, pairs.reshape(-1, 2), borders)
