"""Monolayers of 2H transition-metal dichalcogenides with point defects, strain, drift and grains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.simulate import checks, lattice
from motifgpu.simulate.exposure import Exposure, documents_exposure
from motifgpu.simulate.materials import ATOMIC_NUMBERS, CHALCOGENS, column_intensity, composition
from motifgpu.simulate.truth import MonolayerSimulation

# Where the metal and the chalcogen sites are, in lattice vectors.
SITES = np.array([[0.0, 0.0], [2 / 3, 1 / 3]])
# The three nearest sites of (i, j, metal) and of (i, j, chalcogen), as steps in (i, j).
_NEAREST = (((0, 0), (-1, 0), (-1, -1)), ((0, 0), (1, 0), (1, 1)))

_Defects = list[tuple[int, float]]  # identities that a defect gives a site, and the fractions of sites


class _Kind(NamedTuple):
    """An identity that a site may have."""

    name: str
    atoms: tuple[str, ...]


class _Sites(NamedTuple):
    """Sites of all grains, one row per site."""

    points: np.ndarray
    labels: np.ndarray
    environments: np.ndarray
    sublattice: np.ndarray
    grain: np.ndarray


@documents_exposure("the brightest pristine column")
def monolayer(
    material: str = "MoSe2",
    shape: tuple[int, int] = (512, 512),
    *,
    lattice_constant: float = 22.0,
    angle: float = 0.0,
    sigma: float = 0.137,
    exponent: float = 1.7,
    vacancies: float = 0.0,
    divacancies: float = 0.0,
    dopants: Mapping[str, float] | None = None,
    strain: Sequence[Sequence[float]] = ((0.0, 0.0), (0.0, 0.0)),
    drift: tuple[float, float] = (0.0, 0.0),
    grains: Sequence[float] = (0.0,),
    counts: float | None = 30.0,
    background: float = 0.0,
    gaussian: float = 0.0,
    scan: float = 0.0,
    seed: int = 0,
) -> MonolayerSimulation:
    """Simulate an annular dark-field micrograph of a 2H transition-metal dichalcogenide monolayer.

    Parameters
    ----------
    material : {"MoS2", "MoSe2", "WS2", "WSe2"}
    shape : (int, int)
        Rows and columns, px.
    lattice_constant : float
        Length of the lattice vectors, px.
    angle : float
        Direction of the first lattice vector, degrees counter-clockwise from +col.
    sigma : float
        Standard deviation of a column, in lattice constants.
    exponent : float
        Column intensity is the sum of Z to this power over its atoms. Multislice calculations give another
        order of the intensities of light vacancies than 1.7 does.
    vacancies, divacancies : float
        Fractions of chalcogen sites that lack one atom (``V_Se``), or both (``V_Se2``).
    dopants : mapping of str to float, optional
        Fraction of the sites that each element occupies: metal sites, or one atom of a chalcogen site.
    strain : 2 x 2 sequence
        Displacement gradient in (row, col), relative to the image centre.
    drift : (float, float)
        Displacement in (row, col) px that grows quadratically down the image to this value.
    grains : sequence of float
        Rotation of each grain relative to `angle`, degrees. Two grains share a straight boundary through the
        image, more of them form a Voronoi tessellation; where sites of two grains are closer than 0.6 nearest
        distances, the site of the later grain is removed.
    {exposure}

    Returns
    -------
    MonolayerSimulation
        Its names are the metal, the chalcogen column (``Se2``), ``V_Se``, ``V_Se2``, and the dopants in their
        order (``Fe``, or ``TeSe`` for one atom of a chalcogen column).

    Raises
    ------
    StageError
        If the material or a dopant is unknown, or a number is out of range.

    Examples
    --------
    A monolayer of MoSe2 of which 5 % of the selenium columns lack an atom:

    >>> from motifgpu import simulate
    >>> made = simulate.monolayer("MoSe2", (192, 192), vacancies=0.05, seed=0)
    >>> made.names
    ('Mo', 'Se2', 'V_Se', 'V_Se2')
    >>> vacancies = made.labels == made.names.index("V_Se")
    >>> bool(0.02 < vacancies.sum() / (made.sublattice == 1).sum() < 0.08)
    True
    >>> round(made.pixel_size_nm, 3)  # of a lattice constant of 22 px
    0.015
    """
    metal, chalcogen, constant_nm = composition(material)
    exposure = Exposure(counts, background, gaussian, scan)
    shape = checks.image_shape(shape)
    lattice_constant = checks.positive(lattice_constant, "lattice_constant")
    sigma = checks.positive(sigma, "sigma")
    gradient, shift = _strain(strain), _drift(drift, shape[0])
    if len(grains) == 0:
        raise checks.problem("there are no grains", "give the rotation of at least one")
    kinds, fractions = _kinds(metal, chalcogen, vacancies, divacancies, dopants or {})

    rng = np.random.default_rng(seed)
    offset = rng.uniform(0, 1, 2)
    radius = _radius(shape, lattice_constant, sigma, gradient, shift)
    centre = lattice.image_centre(shape)
    grids = [
        _grain(rng, lattice_constant, angle + rotation, radius, offset, centre, fractions)
        for rotation in grains
    ]
    sites = _join(grids, shape, len(kinds), 0.6 * lattice_constant / np.sqrt(3), rng)
    points = sites.points + (sites.points - centre) @ gradient.T
    points = points + np.square(np.clip(points[:, :1] / shape[0], 0, 2)) * shift

    intensity = np.array([column_intensity(kind.atoms, exponent) for kind in kinds])
    heights, width = intensity[sites.labels], sigma * lattice_constant
    recording = exposure.record(shape, points, heights, width, rng, intensity[:2].max())
    seen = lattice.in_view(points, shape)
    u, v = lattice.hexagonal_vectors(lattice_constant, angle + grains[0])
    labels = sites.labels[seen]
    return MonolayerSimulation(
        **recording._asdict(),
        points=points[seen].astype(np.float32),
        labels=labels.astype(np.int32),
        names=tuple(kind.name for kind in kinds),
        occupied=np.array([bool(kind.atoms) for kind in kinds])[labels],
        u=u,
        v=v,
        pixel_size_nm=constant_nm / lattice_constant,
        environments=np.unique(sites.environments[seen], return_inverse=True)[1].astype(np.int32),
        sublattice=sites.sublattice[seen],
        grain=sites.grain[seen],
    )


def _strain(strain: Sequence[Sequence[float]]) -> np.ndarray:
    gradient = np.asarray(strain, float)
    if gradient.shape != (2, 2) or not np.isfinite(gradient).all():
        raise checks.problem(f"strain is {strain}", "give a 2 x 2 displacement gradient")
    if np.linalg.norm(gradient, 2) > 0.5:
        raise checks.problem(f"strain is {strain}", "keep it below 0.5 in every direction")
    return gradient


def _drift(drift: Sequence[float], rows: int) -> np.ndarray:
    shift = checks.vector(drift, "drift")
    if shift[0] < -rows / 8:
        raise checks.problem(
            f"drift is {drift} on {rows} rows", "keep it above -1/8 of the rows, or the image folds over"
        )
    return shift


def _radius(
    shape: tuple[int, int], lattice_constant: float, sigma: float, gradient: np.ndarray, drift: np.ndarray
) -> float:
    """Return the radius of the disc of unstrained lattice whose columns reach into the image."""
    reach = lattice.half_diagonal(shape) + 5 * sigma * lattice_constant + 1.5 * np.hypot(*drift)
    stretch = np.linalg.svd(np.eye(2) + gradient, compute_uv=False).min()
    radius: float = max(lattice.half_diagonal(shape) + 3 * lattice_constant, reach / stretch)
    return radius


def _kinds(
    metal: str, chalcogen: str, vacancies: float, divacancies: float, dopants: Mapping[str, float]
) -> tuple[list[_Kind], tuple[_Defects, _Defects]]:
    """Return the identities and, for each sublattice, which of them its defects have and how often."""
    kinds = [
        _Kind(metal, (metal,)),
        _Kind(f"{chalcogen}2", (chalcogen, chalcogen)),
        _Kind(f"V_{chalcogen}", (chalcogen,)),
        _Kind(f"V_{chalcogen}2", ()),
    ]
    vacant = [(2, checks.fraction(vacancies, "vacancies")), (3, checks.fraction(divacancies, "divacancies"))]
    fractions: tuple[_Defects, _Defects] = ([], vacant)
    for element, fraction in dopants.items():
        checks.choice(element, "dopant", tuple(ATOMIC_NUMBERS))
        if element in (metal, chalcogen):
            raise checks.problem(f"the dopant {element!r} is of the material", "choose another element")
        site = 1 if element in CHALCOGENS else 0
        fractions[site].append((len(kinds), checks.fraction(fraction, f"the fraction of {element}")))
        kinds.append(
            _Kind(f"{element}{chalcogen}", (element, chalcogen)) if site else _Kind(element, (element,))
        )
    for defects in fractions:
        total = sum(fraction for _, fraction in defects)
        if total > 1:
            raise checks.problem(
                f"defect fractions of one sublattice sum to {total:g}", "keep the sum below 1"
            )
    return kinds, fractions


def _grain(
    rng: np.random.Generator,
    lattice_constant: float,
    degrees: float,
    radius: float,
    offset: np.ndarray,
    centre: np.ndarray,
    fractions: tuple[_Defects, _Defects],
) -> tuple[np.ndarray, np.ndarray]:
    """Return places (2, I, J, 2) and identities (2, I, J) of the sites of an unlimited grain."""
    u, v = lattice.hexagonal_vectors(lattice_constant, degrees)
    i, j = lattice.covering_indices(u, v, radius)
    codes = np.empty((2, *i.shape), np.int32)
    chance = rng.random((2, *i.shape))
    for site, defects in enumerate(fractions):
        codes[site] = site
        low = 0.0
        for code, fraction in defects:
            codes[site][(chance[site] >= low) & (chance[site] < low + fraction)] = code
            low += fraction
    places = np.stack(
        [
            (i + offset[0] + along_u)[..., None] * u + (j + offset[1] + along_v)[..., None] * v + centre
            for along_u, along_v in SITES
        ]
    )
    return places, codes


def _join(
    grids: list[tuple[np.ndarray, np.ndarray]],
    shape: tuple[int, int],
    n_kinds: int,
    distance: float,
    rng: np.random.Generator,
) -> _Sites:
    """Cut the grains to their cells and return the sites that are left, with their environments."""
    points = np.concatenate([places.reshape(-1, 2) for places, _ in grids])
    grain = np.repeat(np.arange(len(grids), dtype=np.int32), [codes.size for _, codes in grids])
    keep = np.ones(len(points), bool)
    if len(grids) > 1:
        keep = _grain_of(points, shape, len(grids), rng) == grain
        inside = np.flatnonzero(keep)
        keep[inside] = lattice.apart(points[inside], grain[inside], distance)
    labels, environments, sublattice = [], [], []
    first = 0
    for _, codes in grids:
        present = keep[first : first + codes.size].reshape(codes.shape)
        first += codes.size
        labels.append(codes.reshape(-1))
        environments.append(_environment(np.where(present, codes, n_kinds), n_kinds + 1).reshape(-1))
        sublattice.append(np.repeat(np.array([0, 1], np.int8), codes[0].size))
    return _Sites(
        points[keep],
        np.concatenate(labels)[keep],
        np.concatenate(environments)[keep],
        np.concatenate(sublattice)[keep],
        grain[keep],
    )


def _environment(codes: np.ndarray, base: int) -> np.ndarray:
    """Return one number per site for its identity and those of its three nearest sites, by direction."""
    result = codes.astype(np.int64)
    for site in (0, 1):
        for step in _NEAREST[site]:
            neighbour = np.roll(codes[1 - site], (-step[0], -step[1]), axis=(0, 1))
            result[site] = result[site] * base + neighbour
    return result


def _grain_of(
    points: np.ndarray, shape: tuple[int, int], n_grains: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the grain each point lies in: the nearest of `n_grains` seeds."""
    extent = np.array(shape, float)
    if n_grains == 2:
        angle = rng.uniform(0, np.pi)
        step = 0.25 * extent * np.array([np.sin(angle), np.cos(angle)])
        seeds = np.stack([extent / 2 - step, extent / 2 + step])
    else:
        seeds = rng.uniform(0.1, 0.9, (n_grains, 2)) * extent
    nearest: np.ndarray = cKDTree(seeds).query(points)[1]
    return nearest
