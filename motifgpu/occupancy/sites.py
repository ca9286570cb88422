"""The grid of sites that may be empty, from the columns of a micrograph.

An empty site is no column, so its place is predicted: from the lattice of all columns, whose cell holds a few
sites of the wanted kind, and these are numbered as the nearly square grid that they form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from motifgpu.core import namespace
from motifgpu.core.checks import check_array
from motifgpu.core.errors import StageError
from motifgpu.core.shown import one_line
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import zernike_moments
from motifgpu.occupancy.statistics import EXCLUDED
from motifgpu.structure.lattice import Lattice, fit_lattice

_LARGEST_CELL = 64  # sites of a kind in a cell; beyond it the "cell" is not one
_SAMPLES = 16  # pixels across a site's patch


@dataclass(frozen=True, eq=False)
class SiteGrid:
    """Sites of a kind as a grid.

    Attributes
    ----------
    grid : (I, J) int8 ndarray
        1 filled, 0 hollow, -1 excluded or out of view; rows go along -v of the lattice, columns along u.
    centers : (I, J, 2) float64 ndarray
        Where the sites are expected, (row, col) px.
    in_view : (I, J) bool ndarray
        Which sites lie where a column would have been seen.
    lattice : Lattice
        That of all columns.
    """

    grid: np.ndarray
    centers: np.ndarray
    in_view: np.ndarray
    lattice: Lattice

    __repr__ = one_line


def site_grid(
    points: Any,
    labels: Any,
    filled: int | Sequence[int],
    hollow: int | Sequence[int] = (),
    *,
    lattice: Lattice | None = None,
    extent: Any = None,
) -> SiteGrid:
    """Arrange the sites of two motifs, the empty ones among them, as a grid of occupancies.

    Parameters
    ----------
    points : (n, 2) array
        Columns as (row, col), px; predicted empty sites may be among them.
    labels : (n,) array of int
        Motif of each.
    filled : int or sequence of int
        Motifs of filled sites.
    hollow : int or sequence of int
        Motifs of empty sites, where the columns hold such. A site in view that no column stands on is hollow
        in any case; one with a column of any other motif is excluded.
    lattice : Lattice, optional
        Lattice of these points; fitted when left out.
    extent : ((float, float), (float, float)), optional
        First and last (row, col) between which a column would be among the points, px; by default what the
        lattice says.

    Returns
    -------
    SiteGrid

    Raises
    ------
    StageError
        If the labels do not fit the points, a chosen motif does not occur or is chosen twice, the points have
        no lattice, or the chosen motifs stand on no site of its cell.

    Notes
    -----
    On the pentagonal tiling of Fig. 4 of Dan et al., Science Advances 8, eabk1005 (2022), a square cell holds
    four pentagons, two by two.
    """
    where, motif, up, down = _checked(points, labels, filled, hollow)
    lattice = fit_lattice(where, extent=extent) if lattice is None else lattice
    if len(lattice.sublattice) != len(where):
        raise StageError(
            "occupancy",
            f"the lattice is of {len(lattice.sublattice)} points and {len(where)} are given",
            "give the lattice of these points, or leave it out",
        )
    chosen = np.isin(motif, np.concatenate([up, down]))
    on = lattice.sublattice >= 0
    count = lattice.n_sublattices
    held = np.bincount(lattice.sublattice[on], minlength=count)
    sites = np.flatnonzero(np.bincount(lattice.sublattice[on & chosen], minlength=count) > 0.5 * held)
    if not 0 < len(sites) <= _LARGEST_CELL:
        raise StageError(
            "occupancy",
            f"{len(sites)} of the {count} sites of the cell mostly hold the chosen motifs",
            "choose the motifs that stand on the sites to count, and leave out those of other sites",
        )
    block, place = _arrangement(lattice.basis[sites], lattice)
    # The lattice's v points up where u points right, and grids are written downwards.
    cell = np.stack([-lattice.indices[:, 1], lattice.indices[:, 0]], axis=1)
    # One cell more around what is written to, because places may lie in the next cell.
    least, most = cell[on].min(axis=0) - 2, cell[on].max(axis=0) + 2
    size = (most - least + 1) * block
    centers = np.full((*size, 2), np.nan)
    inner = [np.arange(a + 1, b) for a, b in zip(least, most, strict=True)]
    every = np.stack(np.meshgrid(*inner, indexing="ij"), -1).reshape(-1, 2)
    for site, (row, col) in zip(sites, place, strict=True):
        target = (every - least) * block + (row, col)
        indices = np.stack([every[:, 1], -every[:, 0]], axis=1)
        centers[target[:, 0], target[:, 1]] = lattice.sites(indices, np.full(len(every), site))
    low, high = np.array(lattice.extent)
    in_view = ((centers >= low) & (centers <= high)).all(axis=-1)
    grid = np.where(in_view, 0, EXCLUDED).astype(np.int8)
    number = np.full(count, -1)
    number[sites] = np.arange(len(sites))
    own = on & (number[lattice.sublattice] >= 0)
    target = (cell[own] - least) * block + place[number[lattice.sublattice[own]]]
    state = np.where(np.isin(motif[own], up), 1, np.where(np.isin(motif[own], down), 0, EXCLUDED))
    grid[target[:, 0], target[:, 1]] = state
    in_view[target[:, 0], target[:, 1]] = True
    rows, cols = (np.flatnonzero(in_view.any(axis=axis)) for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    return SiteGrid(grid[part], centers[part], in_view[part], lattice)


def _checked(
    points: Any, labels: Any, filled: int | Sequence[int], hollow: int | Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    _, given = check_array(points, "occupancy", "points", 2)
    where = namespace.to_numpy(given).astype(np.float64)
    motif = np.asarray(labels if isinstance(labels, list | tuple) else namespace.to_numpy(labels))
    if where.shape != (len(motif), 2) or motif.ndim != 1 or motif.dtype.kind not in "iu":
        raise StageError(
            "occupancy",
            f"points have shape {where.shape} and labels {motif.shape}, {motif.dtype}",
            "give (row, col) and one whole number for each column",
        )
    up, down = (np.atleast_1d(np.asarray(each, np.int64)) for each in (filled, hollow))
    for label in np.concatenate([up, down]):
        if label not in motif:
            raise StageError(
                "occupancy", f"there is no motif {label}", f"choose among {np.unique(motif).tolist()}"
            )
    if len(up) == 0 or np.intersect1d(up, down).size:
        raise StageError(
            "occupancy",
            f"filled motifs are {up.tolist()} and hollow ones {down.tolist()}",
            "choose at least one filled motif, and none as both",
        )
    return where, motif, up, down


def _arrangement(basis: np.ndarray, lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns (2,) of the block of sites in a cell, and where (m, 2) in it each site stands.

    Of all blocks of m sites, the one whose regular grid the sites are nearest to, each on a different place.
    """
    count = len(basis)
    downward = np.stack([-basis[:, 1], basis[:, 0]], axis=1)
    vectors = np.stack([-lattice.v, lattice.u])
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for rows in range(1, count + 1):
        if count % rows:
            continue
        block = np.array([rows, count // rows])
        places = np.stack(np.meshgrid(*(np.arange(n) for n in block), indexing="ij"), -1).reshape(-1, 2)
        for anchor in downward:
            # The grid through one site, and then through the middle of all.
            offset = anchor.copy()
            for _ in range(3):
                away = downward[:, None] - (places / block + offset)
                away -= np.round(away)
                cost = ((away @ vectors) ** 2).sum(-1)
                site, order = linear_sum_assignment(cost)
                offset = offset + away[site, order].mean(axis=0)
            total = float(cost[site, order].sum())
            if best is None or total < best[0] - 1e-9:
                best = total, block, _wrapped(places[order], downward, offset, block)
    assert best is not None
    return best[1], best[2]


def _wrapped(place: np.ndarray, downward: np.ndarray, offset: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return places continued beyond the cell, for the copy of each site that lies in the cell itself."""
    copies = np.round(downward - (place / block + offset)).astype(np.int64)
    whole: np.ndarray = place + copies * block
    return whole


def classify_sites(image: Any, centers: Any, diameter: float, *, seed: int = 0) -> np.ndarray:
    """Say from its patch whether each site is hollow, filled or something else.

    Parameters
    ----------
    image : (H, W) array
        Micrograph, raw or smoothed, without a slow background.
    centers : (..., 2) array
        Sites as (row, col), px, from `site_grid` for instance.
    diameter : float
        Diameter of the disc around a site, px: a column and no neighbour.
    seed : int
        Of the mixture's start.

    Returns
    -------
    (...) int8 ndarray
        1 for the brightest class, 0 for the darkest, -1 for one between, and for sites whose patch reaches
        beyond the image.

    Raises
    ------
    StageError
        If the image or the centres are not finite, fewer than six patches lie inside the image, or they are
        all equal.

    Notes
    -----
    The feature is the projection on the first principal component of the patches' moments up to order 4 that
    a rotation leaves alone. A Gaussian mixture of two or three classes, by the Bayesian information
    criterion, parts them; the middle one of three is excluded, as vanadium in Fig. S16.
    """
    from sklearn.mixture import GaussianMixture

    places = np.asarray(namespace.to_numpy(centers) if not isinstance(centers, list) else centers, np.float64)
    patches, inside = extract_patches(image, places.reshape(-1, 2), _SAMPLES, side=diameter)
    moments = namespace.to_numpy(zernike_moments(patches, 4)).astype(np.float64)
    if len(moments) < 6:
        raise StageError(
            "occupancy", f"{len(moments)} sites have a patch inside the image", "give at least six"
        )
    # Radial moments (q = 0) alone: mean, and the peak at the centre.
    radial = moments[:, [0, 4, 12]]
    radial = radial - radial.mean(axis=0)
    axis = np.linalg.svd(radial, full_matrices=False)[2][0]
    feature = radial @ (axis * (1 if axis @ np.array([1.0, -1.0, 1.0]) >= 0 else -1))
    if np.ptp(feature) == 0:
        raise StageError("occupancy", "the patches of all sites are equal", "give sites that differ")
    feature = feature / feature.std()
    fits = [
        GaussianMixture(n, random_state=seed, n_init=2, reg_covar=1e-4).fit(feature[:, None]) for n in (2, 3)
    ]
    fit = min(fits, key=lambda each: each.bic(feature[:, None]))
    order = np.argsort(np.argsort(fit.means_[:, 0]))
    state = np.array([0, 1] if len(order) == 2 else [0, EXCLUDED, 1], np.int8)
    result = np.full(int(np.prod(places.shape[:-1])), EXCLUDED, np.int8)
    result[namespace.to_numpy(inside)] = state[order[fit.predict(feature[:, None])]]
    return result.reshape(places.shape[:-1])
