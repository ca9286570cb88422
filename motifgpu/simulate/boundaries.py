"""A mirror twin boundary and a stacking boundary, as in the paper's Fig. S24 and S25."""

from __future__ import annotations

import numpy as np

from motifgpu.simulate import checks, lattice
from motifgpu.simulate.exposure import Exposure, documents_exposure
from motifgpu.simulate.materials import column_intensity, composition
from motifgpu.simulate.truth import MonolayerSimulation

_SHARED = 2  # grain of the row of columns that both grains share


@documents_exposure("the brightest column")
def twin_boundary(
    material: str = "MoSe2",
    shape: tuple[int, int] = (512, 512),
    *,
    lattice_constant: float = 22.0,
    angle: float = 0.0,
    opening: float = 0.2,
    sigma: float = 0.137,
    exponent: float = 1.7,
    counts: float | None = 30.0,
    gaussian: float = 0.0,
    scan: float = 0.0,
    seed: int = 0,
) -> MonolayerSimulation:
    """Simulate a monolayer with a straight mirror twin boundary of the type 4|4P (as in Fig. S24).

    The two grains are mirror images that share a row of chalcogen columns, each of which has four metal
    neighbours; four-fold rings meet in these columns (Zhou et al., Nano Letters 13, 2615, 2013).

    Parameters
    ----------
    material : {"MoS2", "MoSe2", "WS2", "WSe2"}
    shape : (int, int)
        Rows and columns, px.
    lattice_constant : float
        Length of the lattice vectors, px.
    angle : float
        Direction of the boundary and of the first lattice vector, degrees counter-clockwise from +col.
    opening : float
        Additional distance of the grains compared with unrelaxed lattices, in lattice constants; by default
        the metal columns across the boundary are 0.78 lattice constants apart instead of 0.58.
    sigma : float
        Standard deviation of a column, in lattice constants.
    exponent : float
        Column intensity is the sum of Z to this power over its atoms.
    {exposure}

    Returns
    -------
    MonolayerSimulation
        Grain 0 lies on the right of the boundary as one follows its direction, grain 1 on its left; 2 is the
        shared row, which passes within half a lattice constant of the middle of the image.

    Raises
    ------
    StageError
        If the material is unknown, or a number is out of range.

    Examples
    --------
    Two grains share a row of chalcogen columns at the boundary:

    >>> from motifgpu import simulate
    >>> made = simulate.twin_boundary(shape=(192, 192))
    >>> for grain in range(3):
    ...     print(grain, sorted({made.names[k] for k in made.labels[made.grain == grain]}))
    0 ['Mo', 'Se2']
    1 ['Mo', 'Se2']
    2 ['Se2']
    """
    metal, chalcogen, _ = composition(material)
    exposure = Exposure(counts, gaussian=gaussian, scan=scan)
    row, place = _rows(shape, lattice_constant, sigma)
    row, place = row[row >= 0], place[row >= 0]  # of one grain, outwards; the other mirrors it
    right, out = place + row / 2, row * np.sqrt(3) / 2
    gap = checks.not_negative(opening, "opening") / 2
    bulk = row > 0
    parts = [_part(right[~bulk], out[~bulk], 1, 1, _SHARED)]
    for grain, side in enumerate((-1, 1)):
        parts.append(_part(right + 0.5, side * (out + 1 / np.sqrt(12) + gap), 0, 0, grain))
        parts.append(_part(right[bulk], side * (out[bulk] + gap), 1, 1, grain))
    return _record(
        shape,
        parts,
        {metal: (metal,), f"{chalcogen}2": (chalcogen, chalcogen)},
        0.9,
        material=material,
        lattice_constant=lattice_constant,
        angle=angle,
        sigma=sigma,
        exponent=exponent,
        exposure=exposure,
        seed=seed,
    )


@documents_exposure("the brightest column, of one metal and two chalcogen atoms")
def stacking_boundary(
    material: str = "MoSe2",
    shape: tuple[int, int] = (512, 512),
    *,
    lattice_constant: float = 22.0,
    angle: float = 0.0,
    sigma: float = 0.137,
    exponent: float = 1.7,
    counts: float | None = 30.0,
    gaussian: float = 0.0,
    scan: float = 0.0,
    seed: int = 0,
) -> MonolayerSimulation:
    """Simulate a bilayer with a straight boundary between 2H and 3R stacking (as in Fig. S25).

    The first layer and the metal of the second are perfect. The chalcogen of the second lies above the metal
    of the first on one side (2H) and in the hollow sites on the other (3R), so that the second layer has a
    boundary at which its grains share a row of metal columns.

    Parameters
    ----------
    material : {"MoS2", "MoSe2", "WS2", "WSe2"}
    shape : (int, int)
        Rows and columns, px.
    lattice_constant : float
        Length of the lattice vectors, px.
    angle : float
        Direction of the boundary and of the first lattice vector, degrees counter-clockwise from +col.
    sigma : float
        Standard deviation of a column, in lattice constants.
    exponent : float
        Column intensity is the sum of Z to this power over its atoms.
    {exposure}

    Returns
    -------
    MonolayerSimulation
        One point per projected column, named by the atoms in it: ``Mo+Se2``, ``Mo`` or ``Se2``. Grain 0 is
        2H, on the right of the boundary as one follows its direction; grain 1 is 3R; 2 is the shared row.
        `sublattice` is 0 for the metal of the first layer, 1 for its chalcogen, and 2 for the sites that are
        hollow in 2H.

    Raises
    ------
    StageError
        If the material is unknown, or a number is out of range.

    Examples
    --------
    With 2H stacking (grain 0) all columns are alike; with 3R stacking (grain 1) there are three kinds:

    >>> from motifgpu import simulate
    >>> made = simulate.stacking_boundary(shape=(192, 192))
    >>> for grain in (0, 1):
    ...     print(grain, sorted({made.names[k] for k in made.labels[made.grain == grain]}))
    0 ['Mo+Se2']
    1 ['Mo', 'Mo+Se2', 'Se2']
    """
    metal, chalcogen, _ = composition(material)
    exposure = Exposure(counts, gaussian=gaussian, scan=scan)
    pair = (chalcogen, chalcogen)
    row, place = _rows(shape, lattice_constant, sigma)
    right, height, third = place + row / 2, row * np.sqrt(3) / 2, 1 / np.sqrt(12)
    below, at, above = row < 0, row == 0, row > 0
    first_metal = right + 0.5, height - third
    hollow = right + 0.5, height + third
    left = row >= 0  # hollow sites stand above the row they are counted with, metal sites below it
    return _record(
        shape,
        [
            _part(first_metal[0][~above], first_metal[1][~above], 0, 0, 0),
            _part(first_metal[0][above], first_metal[1][above], 1, 0, 1),
            _part(right[below], height[below], 0, 1, 0),
            _part(right[at], height[at], 0, 1, _SHARED),
            _part(right[above], height[above], 0, 1, 1),
            _part(hollow[0][left], hollow[1][left], 2, 2, 1),
        ],
        {f"{metal}+{chalcogen}2": (metal, *pair), metal: (metal,), f"{chalcogen}2": pair},
        0.75,
        material=material,
        lattice_constant=lattice_constant,
        angle=angle,
        sigma=sigma,
        exponent=exponent,
        exposure=exposure,
        seed=seed,
    )


def _rows(shape: tuple[int, int], lattice_constant: float, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Number the lattice rows along the boundary, and the places in them, that cover an image."""
    shape = checks.image_shape(shape)
    a = checks.positive(lattice_constant, "lattice_constant")
    radius = lattice.half_diagonal(shape) / a + 5 * checks.positive(sigma, "sigma") + 2
    reach = int(np.ceil(radius * 2 / np.sqrt(3)))
    row, place = np.meshgrid(
        np.arange(-reach, reach + 1), np.arange(-2 * reach, 2 * reach + 1), indexing="ij"
    )
    return row.reshape(-1), place.reshape(-1)


def _part(right: np.ndarray, up: np.ndarray, label: int, sublattice: int, grain: int) -> np.ndarray:
    """Return one row per site: place along and across the boundary, lattice constants, and three numbers."""
    return np.column_stack([right, up, *(np.full(len(right), n) for n in (label, sublattice, grain))])


def _record(
    shape: tuple[int, int],
    parts: list[np.ndarray],
    kinds: dict[str, tuple[str, ...]],
    bond: float,
    *,
    material: str,
    lattice_constant: float,
    angle: float,
    sigma: float,
    exponent: float,
    exposure: Exposure,
    seed: int,
) -> MonolayerSimulation:
    """Put the sites of `parts` on the image and record it; neighbours are nearer than `bond`."""
    rng = np.random.default_rng(seed)
    sites = np.concatenate(parts)
    place = sites[:, :2] + rng.uniform(-0.5, 0.5, 2)
    axes = lattice_constant * np.stack([lattice.direction(angle), lattice.direction(angle + 90)])
    points = place @ axes + lattice.image_centre(shape)
    labels, sublattice, grain = sites[:, 2:].astype(np.int32).T
    intensity = np.array([column_intensity(atoms, exponent) for atoms in kinds.values()])
    width = sigma * lattice_constant
    recording = exposure.record(shape, points, intensity[labels], width, rng, intensity.max())
    environments = lattice.neighbour_environments(points, labels, bond * lattice_constant, angle)
    seen = lattice.in_view(points, shape)
    u, v = lattice.hexagonal_vectors(lattice_constant, angle)
    return MonolayerSimulation(
        **recording._asdict(),
        points=points[seen].astype(np.float32),
        labels=labels[seen],
        names=tuple(kinds),
        occupied=np.ones(len(seen), bool),
        u=u,
        v=v,
        pixel_size_nm=composition(material)[2] / lattice_constant,
        environments=np.unique(environments[seen], axis=0, return_inverse=True)[1]
        .reshape(-1)
        .astype(np.int32),
        sublattice=sublattice[seen].astype(np.int8),
        grain=grain[seen],
    )
