"""The lattice of a micrograph's columns: vectors, indices, sublattices, drift and empty sites.

The work is on the host: it is sequential where it walks from column to column, and small where it is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array
from motifgpu.core.errors import StageError
from motifgpu.structure.lattice.bravais import kind_of, metric, reduced, standard_setting
from motifgpu.structure.lattice.coverage import held_cells
from motifgpu.structure.lattice.drift import DriftMap
from motifgpu.structure.lattice.indexing import (
    SITE_RADIUS,
    Indexed,
    commonest_vectors,
    index_points,
    nearest_site,
    smallest_distance,
)
from motifgpu.structure.lattice.strain import CellStrain, cell_strain
from motifgpu.structure.lattice.translations import find_translations, nearest_distance

_LEAST_POINTS = 12
# By how much a step from column to column may miss, in shorter lattice vectors, and the highest degree of the
# map. The second pair is tried where the first leaves many points over: it neither walks nor bends from one
# grain into the next.
_ATTEMPTS = ((0.15, 4), (0.08, 2))
# Share of points on sites, beyond what chance puts there, below which there is no lattice, and below which
# a warning is given.
_LEAST_SHARE, _USUAL_SHARE = 0.2, 0.85
# Points within this share of the radius of a site are close to it.
_CLOSE = 0.25


@dataclass(frozen=True, eq=False)
class Lattice:
    """A lattice with a basis, and each point's place on it; the arrays of length n have one row per point.

    The origin of lattice coordinates is a cell corner as far from all sites as possible, so that the sites of
    a cell lie well inside it.

    Attributes
    ----------
    points : (n, 2) float64 ndarray
        The points as (row, col), px.
    u, v : (2,) float64 ndarray
        Mean lattice vectors as (row, col), px: u is the short one nearest to +col, v lies counter-clockwise
        from it as displayed, at 120 degrees where the lattice is hexagonal.
    kind : {"hexagonal", "square", "rectangular", "centred rectangular", "oblique"}
    indices : (n, 2) int64 ndarray
        Cell (i, j) of the site nearest to each point, 0 the least of all.
    sublattice : (n,) int64 ndarray
        Sublattice of that site, or -1 for a point that is on no site: too far from any, or a second one.
    basis : (m, 2) float64 ndarray
        Lattice coordinates of the m sites of a cell, one for each sublattice, 0 to 1.
    drift : DriftMap
        Lattice coordinates to pixels. Of degree 1 where there is no drift.
    extent : ((float, float), (float, float))
        First and last (row, col) between which a column would have been a point, px.
    warnings : tuple of str
        What a reader of the results should know: points off the lattice, a second grain.

    Examples
    --------
    The lattice of a crystal that is stretched by 2 % along the rows; its vectors are the stretched ones:

    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), strain=((0.02, 0.0), (0.0, 0.0)))
    >>> lattice = motifgpu.fit_lattice(made.points)
    >>> np.round(lattice.v / made.v, 2).tolist()
    [1.02, 1.0]

    Every point is on a site of a cell, and no site is empty:

    >>> bool((lattice.sublattice >= 0).all()), len(lattice.empty_points)
    (True, 0)
    >>> cells, sublattice = lattice.assign(made.points[:10])
    >>> bool((cells == lattice.indices[:10]).all() and (sublattice == lattice.sublattice[:10]).all())
    True
    """

    points: np.ndarray
    u: np.ndarray
    v: np.ndarray
    kind: str
    indices: np.ndarray
    sublattice: np.ndarray
    basis: np.ndarray
    drift: DriftMap
    extent: tuple[tuple[float, float], tuple[float, float]]
    warnings: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        u, v = (f"({row:.2f}, {col:.2f})" for row, col in (self.u, self.v))
        return (
            f"<{self.kind} lattice of {len(self.points):,} points, u {u} px, v {v} px, "
            f"{self.n_sublattices} sublattices>"
        )

    @property
    def n_sublattices(self) -> int:
        """Number of sublattices, each with one site in every cell."""
        return len(self.basis)

    @cached_property
    def metric(self) -> np.ndarray:
        """Gram matrix (2, 2) of u and v, px^2, with the symmetry that `kind` requires."""
        return metric(self.kind, self.u, self.v)

    @cached_property
    def residual(self) -> np.ndarray:
        """Displacement (n, 2) px of each point from its site; NaN for points on no site."""
        result = np.full(self.points.shape, np.nan)
        on = self.sublattice >= 0
        result[on] = self.points[on] - self.sites(self.indices[on], self.sublattice[on])
        return result

    def sites(self, indices: np.ndarray, sublattice: np.ndarray) -> np.ndarray:
        """Return the expected sites (n, 2) px of sublattices (n,) in the cells `indices` (n, 2)."""
        return self.drift(np.asarray(indices) + self.basis[np.asarray(sublattice)])

    def assign(self, points: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return cell (k, 2) and sublattice (k,) of points (k, 2) px; sublattice -1 where no site is near."""
        where = np.asarray(namespace.to_numpy(points), np.float64).reshape(-1, 2)
        cell, sublattice, distance = nearest_site(self.drift, self.basis, where)
        far = distance > SITE_RADIUS * smallest_distance(self.basis, self.metric)
        return cell, np.where(far, -1, sublattice)

    def polygons(self, indices: np.ndarray) -> np.ndarray:
        """Return the corners (c, 4, 2) px of the cells `indices` (c, 2), in order around each."""
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        q = (np.asarray(indices)[:, None, :] + corners).reshape(-1, 2).astype(float)
        return self.drift(q).reshape(-1, 4, 2)

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """First cell, then over all cells around: point on each site (or -1), site in view, cell held."""
        on = self.sublattice >= 0
        first = self.indices[on].min(axis=0) - 1
        size = self.indices[on].max(axis=0) + 2 - first
        holder = np.full((*size, self.n_sublattices), -1, np.int64)
        where = (*(self.indices[on] - first).T, self.sublattice[on])
        holder[where] = np.flatnonzero(on)
        cells = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), axis=-1) + first
        places = self.drift((cells[:, :, None, :] + self.basis).reshape(-1, 2)).reshape(*holder.shape, 2)
        low, high = np.array(self.extent)
        view = ((places >= low) & (places <= high)).all(axis=-1)
        patchy = float(np.mean(on)) < _USUAL_SHARE
        chance = _chance(self.basis, self.metric) if patchy else None
        return first, holder, view, held_cells(holder >= 0, view, chance)

    @cached_property
    def cells(self) -> np.ndarray:
        """Cells (c, 2) of the lattice all of whose sites are in view, in order of i and then j."""
        first, _, view, held = self._grid
        cells: np.ndarray = np.argwhere(view.all(axis=2) & held) + first
        return cells

    @cached_property
    def occupants(self) -> np.ndarray:
        """Row (c, m) of the point on each site of each of `cells`, -1 where there is none."""
        first, holder, _, _ = self._grid
        rows: np.ndarray = holder[tuple((self.cells - first).T)]
        return rows

    @cached_property
    def empty(self) -> tuple[np.ndarray, np.ndarray]:
        """Cell (e, 2) and sublattice (e,) of the sites in view that no point is on."""
        first, holder, view, held = self._grid
        found = np.argwhere(view & held[:, :, None] & (holder < 0))
        return found[:, :2] + first, found[:, 2]

    @cached_property
    def empty_points(self) -> np.ndarray:
        """Predicted places (e, 2) px of the empty sites, in the order of `empty`."""
        return self.sites(*self.empty)

    @cached_property
    def strain(self) -> CellStrain:
        """Strain and rotation of each of `cells` against the mean lattice, measured on the points around."""
        on = self.sublattice >= 0
        indices = self.indices[on]
        coordinates = indices + self.basis[self.sublattice[on]]
        vectors = np.stack([self.u, self.v], axis=1)
        displacement = self.points[on] - coordinates @ vectors.T
        return cell_strain(coordinates, indices, displacement, vectors, self.cells)


def fit_lattice(points: Any, *, labels: Any = None, extent: Any = None) -> Lattice:
    """Find the lattice of a set of points and the place of each point on it.

    Parameters
    ----------
    points : (n, 2) array
        Atom columns as (row, col), px. Sites known to be empty may be among them.
    labels : (n,) int array, optional
        Motif of each point. Lattice vectors then join points of equal motif only, which finds the cell of a
        superstructure whose columns stand on a finer lattice, such as rock salt or perovskite.
    extent : ((float, float), (float, float)), optional
        First and last (row, col) between which a column would be among the points, px. By default what the
        points span, less their scatter, so that a site at the very border is not thought empty.

    Returns
    -------
    Lattice
        On the host, whatever the points came in.

    Raises
    ------
    StageError
        If there are fewer than 12 points, a coordinate is not finite, or the points have no lattice.

    Notes
    -----
    Step 1 of the paper's construction of motif-cells (Methods). Lattice vectors are the shortest
    displacements that take most points onto points; indices come from walking along them and are then settled
    by a robust polynomial map from lattice coordinates to pixels, which also finds the sublattices and serves
    as the drift map. Where several grains are in view, the lattice is that of the largest connected piece.

    The mean lattice vectors of a drifting micrograph contain the drift's mean: no image alone tells a
    stretched lattice from a stretched scan.

    Examples
    --------
    A monolayer has a hexagonal lattice with two sites in a cell:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), divacancies=0.1)
    >>> lattice = motifgpu.fit_lattice(made.points[made.occupied])
    >>> lattice.kind, lattice.n_sublattices
    ('hexagonal', 2)
    >>> bool(abs(lattice.u - made.u).max() < 0.01)
    True

    Sites without a point are where the double vacancies are:

    >>> match = motifgpu.match_points(lattice.empty_points, made.points[~made.occupied], radius=2.0)
    >>> len(match.found) == len(lattice.empty_points)
    True
    """
    _, given = check_array(points, "lattice", "points", 2)
    where = namespace.to_numpy(given).astype(np.float64)
    if where.shape[1] != 2:
        raise StageError("lattice", f"points has shape {where.shape}", "give (row, col) in two columns")
    if len(np.unique(where, axis=0)) < _LEAST_POINTS:
        raise StageError(
            "lattice",
            f"there are only {len(np.unique(where, axis=0))} different points",
            f"give at least {_LEAST_POINTS}, or a larger field of view",
        )
    kinds = None if labels is None else _labels(labels, len(where))
    a, b = find_translations(where, kinds)
    found = _best_index(where, a, b)
    on = found.sublattice >= 0
    least = found.indices[on].min(axis=0)
    q = found.indices[on] + found.basis[found.sublattice[on]]
    u, v = found.drift.jacobian(q).mean(axis=0).T
    kind = kind_of(*reduced(u, v))
    chance = _chance(found.basis, metric(kind, u, v))
    if (share := float(on.mean())) < chance + _LEAST_SHARE * (1 - chance):
        raise StageError(
            "lattice",
            f"only {share:.0%} of the {len(where)} points are on the sites of the best lattice, where chance"
            f" alone puts {chance:.0%}",
            "use Voronoi cells (voronoi_cells)",
        )
    distance = np.linalg.norm(where[on] - found.drift(q), axis=1)
    return Lattice(
        points=where,
        u=u,
        v=v,
        kind=kind,
        indices=found.indices - least,
        sublattice=found.sublattice,
        basis=found.basis,
        drift=_moved(found.drift, least),
        extent=_extent(extent, where, 2.5 * float(np.median(distance))),
        warnings=_warnings(where, found.sublattice, u, v),
    )


def _best_index(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> Indexed:
    """Index the points with the larger tolerance, or with the one that puts more of them close to sites."""
    spacing = nearest_distance(points)
    best, most = None, -np.inf
    for tolerance, degree in _ATTEMPTS:
        if (tolerance, degree) != _ATTEMPTS[0]:
            a, b = commonest_vectors(points, a, b)
        u, v, kind = standard_setting(a, b)
        gram = metric(kind, u, v)
        try:
            found = index_points(points, u, v, gram, spacing, tolerance, degree)
        except StageError:
            if (tolerance, degree) == _ATTEMPTS[-1] and best is None:
                raise
            continue
        # A map bent from one grain into another leaves points on the outskirts of sites.
        on = found.sublattice >= 0
        away = points[on] - found.drift(found.indices[on] + found.basis[found.sublattice[on]])
        close = np.hypot(*away.T) < _CLOSE * SITE_RADIUS * smallest_distance(found.basis, gram)
        score = close.sum() / len(points) - _CLOSE**2 * _chance(found.basis, gram)
        if score > most:
            best, most = found, score
        if on.mean() >= _USUAL_SHARE:
            break
    assert best is not None
    return best


def _chance(basis: np.ndarray, gram: np.ndarray) -> float:
    """Return the share of the cell's area that counts as on a site."""
    radius = SITE_RADIUS * smallest_distance(basis, gram)
    return float(min(np.pi * radius**2 * len(basis) / np.sqrt(np.linalg.det(gram)), 1.0))


def _labels(labels: Any, n: int) -> np.ndarray:
    kinds = np.asarray(namespace.to_numpy(labels))
    if kinds.shape != (n,) or kinds.dtype.kind not in "biu":
        raise StageError(
            "lattice", f"labels has shape {kinds.shape} and dtype {kinds.dtype}", f"give {n} whole numbers"
        )
    return kinds


def _moved(drift: DriftMap, least: np.ndarray) -> DriftMap:
    return DriftMap(drift.degree, drift.centre - least, drift.scale, drift.coefficients)


def _extent(
    extent: Any, points: np.ndarray, scatter: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    if extent is None:
        low, high = points.min(axis=0) + scatter, points.max(axis=0) - scatter
    else:
        low, high = np.asarray(extent, np.float64).reshape(2, 2)
        if not (np.isfinite(extent).all() and (low < high).all()):
            raise StageError(
                "lattice", f"extent is {extent!r}", "give the first and the last (row, col) of the view"
            )
    return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))


def _warnings(points: np.ndarray, sublattice: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple[str, ...]:
    """Say how many points are off the lattice, and whether they have a lattice of their own."""
    said = []
    if twice := len(points) - len(np.unique(points, axis=0)):
        said.append(f"{twice} of the {len(points)} points coincide with another one; one of each counts")
    points, first = np.unique(points, axis=0, return_index=True)
    sublattice = sublattice[first]
    share = float(np.mean(sublattice >= 0))
    if share >= _USUAL_SHARE:
        return tuple(said)
    text = f"only {share:.0%} of the {len(points)} points are on the lattice; the others are left out"
    rest = points[sublattice < 0]
    if len(rest) >= 4 * _LEAST_POINTS:
        try:
            other, _, _ = standard_setting(*find_translations(rest))
        except StageError:
            return (*said, text)
        turn = np.rad2deg(np.arctan2(-other[0], other[1]) - np.arctan2(-u[0], u[1]))
        turn = (turn + 180) % 360 - 180
        length = np.hypot(*other) / np.hypot(*u)
        if abs(turn) > 2 or abs(length - 1) > 0.05:
            text += (
                f"; they have a lattice of their own ({np.hypot(*other):.1f} px, turned by {turn:.0f}"
                " degrees): a second grain, which can be fitted by itself"
            )
    return (*said, text)
