"""Domains: regions whose columns have one label, such as the stackings of a moire, and how they lie together.

The labels of `motifgpu.moire.anchors` say which stacking each column is nearest to. Regions of one stacking
are the units that a twisted bilayer is composed of: their middles form the moire lattice, and `motif_cells`
and `build_hierarchy` compose them as they compose columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array

from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.structure.cells import Cells, checked_labels, motif_cells, voronoi_cells
from motifgpu.structure.lattice import fit_lattice
from motifgpu.structure.voronoi import voronoi_tiling

_STEPS = 3  # from neighbour to neighbour, within which the share of a label is counted
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
        Number of pairs of neighbouring columns across the border of each pair.

    Examples
    --------
    Domains of a twisted bilayer in which every border parts two stackings:

    >>> import motifgpu
    >>> made = motifgpu.simulate.bilayer(shape=(256, 256), twist=8.0, lattice_constant=12.0)
    >>> first = made.layer == 0
    >>> domains = motifgpu.label_domains(made.points[first], made.stacking[first])
    >>> bool((domains.labels[domains.pairs[:, 0]] != domains.labels[domains.pairs[:, 1]]).all())
    True
    >>> bool(0 < domains.complete.sum() < len(domains.labels))  # some reach the border of the image
    True
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

        Examples
        --------
        A cell of the moire lattice holds one domain of each stacking:

        >>> import motifgpu
        >>> made = motifgpu.simulate.bilayer(shape=(256, 256), twist=10.0, lattice_constant=12.0)
        >>> first = made.layer == 0
        >>> cells = motifgpu.label_domains(made.points[first], made.stacking[first]).cells()
        >>> cells.contents
        ((0, 1, 2),)
        """
        points, labels = self.centers[self.complete], self.labels[self.complete]
        try:
            lattice = fit_lattice(points, labels=labels)
        except StageError:
            return voronoi_cells(points, labels)
        return motif_cells(lattice, labels)


def label_domains(points: Any, labels: Any, *, neck: float = 0.2, min_size: int | None = None) -> Domains:
    """Join neighbouring columns of one label into domains, and separate domains at narrow necks.

    Parameters
    ----------
    points : (n, 2) array
        Columns as (row, col), px.
    labels : (n,) int array
        From `motifgpu.label_by_anchors`, for instance; -1 for none.
    neck : float
        Single labels are uncertain, so that regions of one label touch in places. They are two domains where
        the share of neighbouring columns with the label is lower between them than in both by at least this
        number; 1 separates none.
    min_size : int, optional
        Smallest number of columns of a domain; by default a quarter of the median over columns of the size of
        their region.

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

    Examples
    --------
    Join the columns of the first layer of a bilayer that have the same stacking into domains:

    >>> import motifgpu
    >>> made = motifgpu.simulate.bilayer(shape=(256, 256), twist=8.0, lattice_constant=12.0)
    >>> first = made.layer == 0
    >>> domains = motifgpu.label_domains(made.points[first], made.stacking[first])
    >>> sorted({made.stacking_names[label] for label in domains.labels})
    ["A'B", "AA'", "AB'"]
    >>> bool(len(made.domains) <= len(domains.labels) < 2 * len(made.domains))
    True
    """
    if not 0 <= neck <= 1:
        raise StageError("domains", f"neck is {neck!r}", "give a share from 0 to 1")
    tiling = voronoi_tiling(points)
    number = len(tiling.points)
    given = checked_labels(labels, number)
    if (given < 0).all():
        raise StageError("domains", f"none of the {number} columns has a label", "give labels from 0 on")
    left, right = tiling.pairs.T
    region = _basins(given, left, right, neck)
    sizes = np.bincount(region)
    labelled = given >= 0
    if min_size is None:
        min_size = max(1, round(_LEAST_SHARE * float(np.median(sizes[region[labelled]]))))
    min_size = check_integer(min_size, "domains", "min_size", 1)
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


def _basins(labels: np.ndarray, left: np.ndarray, right: np.ndarray, neck: float) -> np.ndarray:
    """Number the region (n,) of each column: up to a maximum of its label's share without a neck."""
    number = len(labels)
    beside = coo_array((np.ones(len(left)), (left, right)), (number, number)).tocsr()
    beside = (beside + beside.T).tocsr()
    votes = (labels[:, None] == np.arange(labels.max() + 1)).astype(np.float64)
    total = np.ones(number)
    # Summing over neighbours again and again weighs near columns more than far ones.
    for _ in range(_STEPS):
        votes, total = votes + beside @ votes, total + beside @ total
    share = votes[np.arange(number), labels] / total
    start, near = beside.indptr.tolist(), beside.indices.tolist()
    height, kind = share.tolist(), labels.tolist()
    parent = [-1] * number

    def top(column: int) -> int:
        while parent[column] != column:
            parent[column] = parent[parent[column]]
            column = parent[column]
        return column

    # From the highest share down: a column joins the highest maximum beside it, and ends those that are low.
    for column in np.argsort(-share, kind="stable").tolist():
        around = near[start[column] : start[column + 1]]
        tops = {top(other) for other in around if parent[other] >= 0 and kind[other] == kind[column]}
        highest = max(tops, key=lambda maximum: (height[maximum], -maximum), default=column)
        parent[column] = highest
        for maximum in tops - {highest}:
            if height[maximum] - height[column] < neck:
                parent[maximum] = highest
    return np.unique([top(column) for column in range(number)], return_inverse=True)[1]
