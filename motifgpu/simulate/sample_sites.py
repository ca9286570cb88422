"""Sites of a sample before it is recorded, and which of them are at a boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.simulate import lattice

_Neighbourhood = tuple[np.ndarray, np.ndarray]  # steps to the neighbours, and what stands there

PADDING = 80  # px around the image that have sites too


@dataclass
class Sites:
    """Sites around and in an image, one row per site.

    Attributes
    ----------
    points : (n, 2) ndarray
        As (row, col), px.
    labels, pristine, slot, domain : (n,) int ndarray
        Identity, identity of the crystal without defects, site of the cell, and domain (-1 where two domains
        share the site).
    heights : (n,) ndarray
        Peak height, in that of the brightest pristine column.
    names, domain_names : tuple of str
    occupied : (n,) bool ndarray
    u, v : (2,) ndarray
        Lattice vectors of the first domain, px.
    spacing : float
        Distance of nearest columns, px.
    sigma : float
        Standard deviation of a column, px.
    reach : float
        Distance to which a column's neighbourhood is compared with that of the crystal, px.
    pixel_size_nm : float
    support : (H, W) ndarray or None
        What the sample shows beside columns, in peaks.
    boundary : (n,) bool ndarray or None
        Where it is known already.
    dark : bool
        Columns are dark on a bright ground.
    """

    points: np.ndarray
    labels: np.ndarray
    pristine: np.ndarray
    slot: np.ndarray
    domain: np.ndarray
    heights: np.ndarray
    names: tuple[str, ...]
    domain_names: tuple[str, ...]
    occupied: np.ndarray
    u: np.ndarray
    v: np.ndarray
    spacing: float
    sigma: float
    reach: float
    pixel_size_nm: float
    support: np.ndarray | None = None
    boundary: np.ndarray | None = None
    dark: bool = False


def crystal(
    u: np.ndarray,
    v: np.ndarray,
    basis: Sequence[tuple[float, float]],
    shape: Sequence[int],
    shift: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (n, 2) of a crystal around and in an image, and the slot (n,) of each in its cell."""
    i, j = lattice.covering_indices(u, v, lattice.half_diagonal(shape) + PADDING)
    places = [
        (i + shift[0] + along_u)[..., None] * u + (j + shift[1] + along_v)[..., None] * v
        for along_u, along_v in basis
    ]
    points = np.stack(places).reshape(-1, 2) + lattice.image_centre(shape)
    return points, np.repeat(np.arange(len(basis)), i.size)


def half_plane(points: np.ndarray, shape: Sequence[int], degrees: float, offset: float) -> np.ndarray:
    """Return 1 for points beyond a line at an angle and `offset` from the middle of the image, and 0 else."""
    normal = lattice.direction(degrees + 90)
    beyond: np.ndarray = ((points - lattice.image_centre(shape)) @ normal > offset).astype(np.int64)
    return beyond


def substitute(
    labels: np.ndarray, old: int, new: int, fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Return labels in which a fraction of the sites `old`, at random, has become `new`."""
    return np.where((labels == old) & (rng.random(len(labels)) < fraction), new, labels)


def at_boundary(sites: Sites, shape: Sequence[int]) -> np.ndarray:
    """Say which sites in view have a neighbourhood that is of no domain.

    A neighbourhood is what stands in the crystal without defects, and where, within `reach`. It is compared
    with those of sites that have their own domain alone around them.
    """
    points, domain = sites.points, sites.domain
    tree = cKDTree(points)
    near = tree.query_ball_point(points, sites.reach)
    wide = tree.query_ball_point(points, 3 * sites.reach)
    # The neighbourhoods of each domain: the most frequent number of neighbours decides which site shows it.
    references = []
    for each in np.unique(domain[domain >= 0]):
        for slot in np.unique(sites.slot[domain == each]):
            members = np.flatnonzero((domain == each) & (sites.slot == slot))
            pure = np.array([m for m in members if (domain[wide[m]] == each).all()], np.int64)
            if len(pure) == 0:
                continue
            numbers = np.array([len(near[m]) for m in pure])
            usual = np.bincount(numbers).argmax()
            middle = lattice.image_centre(shape)
            of_it = pure[numbers == usual]
            shows = int(of_it[np.linalg.norm(points[of_it] - middle, axis=1).argmin()])
            references.append((sites.pristine[shows], _neighbourhood(sites, shows, near[shows])))
    result = np.zeros(len(points), bool)
    view = ((points > -0.5 - sites.reach) & (points < np.array(shape) - 0.5 + sites.reach)).all(1)
    for here in np.flatnonzero(view).tolist():
        own = _neighbourhood(sites, here, near[here])
        result[here] = not any(
            kind == sites.pristine[here] and _same(own, other, 0.2 * sites.spacing)
            for kind, other in references
        )
    return result


def _neighbourhood(sites: Sites, here: int, near: list[int]) -> _Neighbourhood:
    """Return the steps to the neighbours of a site, and their identities in the perfect crystal."""
    others = np.array([n for n in near if n != here], np.int64)
    return sites.points[others] - sites.points[here], sites.pristine[others]


def _same(one: _Neighbourhood, other: _Neighbourhood, tolerance: float) -> bool:
    (steps, kinds), (others, other_kinds) = one, other
    if len(steps) != len(others):
        return False
    if len(steps) == 0:
        return True
    distance = np.linalg.norm(steps[:, None] - others[None], axis=-1)
    partner = distance.argmin(1)
    fits = (distance.min(1) <= tolerance).all() and len(np.unique(partner)) == len(steps)
    return bool(fits and (kinds == other_kinds[partner]).all())
