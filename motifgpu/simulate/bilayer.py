"""Twisted bilayers with their moire vectors and the centres of their domains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from motifgpu.core.checks import check_integer
from motifgpu.simulate import checks, lattice
from motifgpu.simulate.exposure import Exposure, documents_exposure
from motifgpu.simulate.materials import column_intensity, composition
from motifgpu.simulate.monolayer import SITES
from motifgpu.simulate.truth import BilayerSimulation

# Where the metal of the second layer stands in the cell of the first, in lattice vectors. The second layer is
# turned by 180 degrees (antiparallel) in the primed stackings. AA' is that of the 2H crystal: metal over
# chalcogen everywhere; A'B has chalcogen over chalcogen, AB' metal over metal (He et al., Physical Review B
# 89, 075409, 2014); AB has the second metal over the first chalcogen, BA the other way round.
STACKINGS = {
    "AA'": (2 / 3, 1 / 3),
    "A'B": (1 / 3, 2 / 3),
    "AB'": (0.0, 0.0),
    "AA": (0.0, 0.0),
    "AB": (2 / 3, 1 / 3),
    "BA": (1 / 3, 2 / 3),
}
_FAMILIES = (("AA'", "A'B", "AB'"), ("AA", "AB", "BA"))


class TwistCase(NamedTuple):
    """One case of Fig. S22; `sigma` and `disorder` are in lattice constants, `gaussian` in peaks."""

    twist: float
    ratio: float
    sigma: float
    gaussian: float
    disorder: float


# Each case adds to the one before. The twist of case 0 is commensurate: arccos(661/662).
TWIST_CASES = (
    TwistCase(3.14965734, 0.5, 1 / 8, 0.0, 0.0),
    TwistCase(3.2, 0.5, 1 / 8, 0.0, 0.0),
    TwistCase(3.2, 0.8, 1 / 8, 0.0, 0.0),
    TwistCase(3.2, 0.8, 1 / 6, 0.0, 0.0),
    TwistCase(3.2, 0.8, 1 / 6, 0.05, 0.0),
    TwistCase(3.2, 0.8, 1 / 6, 0.05, 0.02),
    TwistCase(3.2, 0.8, 1 / 6, 0.05, 0.05),
    TwistCase(3.2, 0.8, 1 / 6, 0.05, 0.10),
    TwistCase(3.2, 0.8, 1 / 6, 0.05, 0.15),
)


class _Layer(NamedTuple):
    """A layer: its lattice constant in px, and the names and heights of its metal and chalcogen columns."""

    lattice_constant: float
    names: tuple[str, str]
    heights: tuple[float, float]


@documents_exposure("the brightest column of one layer")
def bilayer(
    materials: tuple[str, str] = ("MoS2", "MoS2"),
    shape: tuple[int, int] = (1024, 1024),
    *,
    twist: float = 3.15,
    stacking: str = "AA'",
    offset: tuple[float, float] = (0.0, 0.0),
    lattice_constant: float = 20.0,
    angle: float = 0.0,
    sigma: float = 0.137,
    exponent: float = 1.7,
    disorder: float = 0.0,
    counts: float | None = 30.0,
    gaussian: float = 0.0,
    scan: float = 0.0,
    seed: int = 0,
) -> BilayerSimulation:
    """Simulate a micrograph of two rigid layers of 2H dichalcogenides, turned against each other.

    The intensities of the layers add up, so columns that coincide are brighter than one peak. With the named
    stacking at the middle of the image, the second layer is turned by `twist` about that point; its lattice
    constant follows from the materials.

    Parameters
    ----------
    materials : (str, str)
        First and second layer, of MoS2, MoSe2, WS2 and WSe2.
    shape : (int, int)
        Rows and columns, px.
    twist : float
        Rotation of the second layer, degrees counter-clockwise, -30 to 30; 0 for layers in registry.
    stacking : {"AA'", "A'B", "AB'", "AA", "AB", "BA"}
        Stacking at the middle of the image; a primed one also makes the layers antiparallel.
    offset : (float, float)
        Translation of the second layer from that, in lattice vectors of the first.
    lattice_constant : float
        Length of the lattice vectors of the first layer, px.
    angle : float
        Direction of the first lattice vector of the first layer, degrees counter-clockwise from +col.
    sigma : float
        Standard deviation of a column, in lattice constants of the first layer.
    exponent : float
        Column intensity is the sum of Z to this power over its atoms.
    disorder : float
        Largest random displacement of a column, in lattice constants of the first layer; uniform in a disc.
    {exposure}

    Returns
    -------
    BilayerSimulation

    Raises
    ------
    StageError
        If a material or the stacking is unknown, or a number is out of range.

    Examples
    --------
    Two layers of MoS2 turned by 5 degrees against each other:

    >>> import numpy as np
    >>> from motifgpu import simulate
    >>> made = simulate.bilayer(shape=(128, 128), twist=5.0)
    >>> made.stacking_names
    ("AA'", "A'B", "AB'")
    >>> np.linalg.norm(made.moire, axis=1).round().astype(int).tolist()  # px; 20 px / (2 sin 2.5 degrees)
    [229, 229]
    """
    if isinstance(materials, str) or len(materials) != 2:  # type: ignore[redundant-expr]
        raise checks.problem(f"materials is {materials!r}", "give one material for each of the two layers")
    layers = []
    first_nm = composition(materials[0])[2]
    lattice_constant = checks.positive(lattice_constant, "lattice_constant")
    for material in materials:
        metal, chalcogen, constant_nm = composition(material)
        heights = (
            column_intensity((metal,), exponent),
            column_intensity((chalcogen, chalcogen), exponent),
        )
        layers.append(_Layer(lattice_constant * constant_nm / first_nm, (metal, f"{chalcogen}2"), heights))
    return _simulate(
        layers,
        shape,
        twist=twist,
        stacking=stacking,
        offset=offset,
        angle=angle,
        sigma=sigma,
        disorder=disorder,
        exposure=Exposure(counts, gaussian=gaussian, scan=scan),
        seed=seed,
        pixel_size_nm=first_nm / lattice_constant,
    )


def twist_case(
    number: int,
    shape: tuple[int, int] = (1024, 1024),
    *,
    lattice_constant: float = 20.0,
    angle: float = 0.0,
    seed: int = 0,
) -> BilayerSimulation:
    """Simulate one of the nine synthetic bilayers of the paper's Fig. S22.

    Two antiparallel layers of hexagonal atom columns with AA' stacking at the middle of the image. The
    paper's relative intensity ratio is taken as that of the two columns of a layer, the brighter one of
    height 1: only then do AA', A'B and AB' look different.

    Parameters
    ----------
    number : int
        0 to 8, a row of `TWIST_CASES`.
    shape : (int, int)
        Rows and columns, px.
    lattice_constant : float
        Length of the lattice vectors, px.
    angle : float
        Direction of the first lattice vector of the first layer, degrees counter-clockwise from +col.
    seed : int

    Returns
    -------
    BilayerSimulation
        Its names are ``bright`` and ``dim``; heights are arbitrary units.

    Raises
    ------
    StageError
        If there is no such case, or a number is out of range.

    Examples
    --------
    The first case has little twist, so that an image of this size shows part of one moire period only:

    >>> from motifgpu import simulate
    >>> made = simulate.twist_case(0, shape=(128, 128))
    >>> made.names
    ('bright', 'dim')
    >>> made.twist == simulate.TWIST_CASES[0].twist
    True
    """
    case = TWIST_CASES[check_integer(number, "simulate", "number", 0, len(TWIST_CASES) - 1)]
    layer = _Layer(
        checks.positive(lattice_constant, "lattice_constant"), ("bright", "dim"), (1.0, case.ratio)
    )
    return _simulate(
        [layer, layer],
        shape,
        twist=case.twist,
        stacking="AA'",
        offset=(0.0, 0.0),
        angle=angle,
        sigma=case.sigma,
        disorder=case.disorder,
        exposure=Exposure(gaussian=case.gaussian),
        seed=seed,
        pixel_size_nm=None,
    )


def _simulate(
    layers: list[_Layer],
    shape: tuple[int, int],
    *,
    twist: float,
    stacking: str,
    offset: tuple[float, float],
    angle: float,
    sigma: float,
    disorder: float,
    exposure: Exposure,
    seed: int,
    pixel_size_nm: float | None,
) -> BilayerSimulation:
    """Place both layers, render them, and work out the stacking everywhere."""
    checks.choice(stacking, "stacking", tuple(STACKINGS))
    shape = checks.image_shape(shape)
    rng = np.random.default_rng(seed)
    centre = lattice.image_centre(shape)
    unit = layers[0].lattice_constant
    width = checks.positive(sigma, "sigma") * unit
    spread = checks.not_negative(disorder, "disorder") * unit
    if not -30 <= twist <= 30:
        raise checks.problem(
            f"twist is {twist}", "give -30 to 30 degrees; add 60 degrees by a stacking of the other kind"
        )
    family = next(names for names in _FAMILIES if stacking in names)
    registry = np.array(STACKINGS[stacking]) + checks.vector(offset, "offset")
    cells = [
        np.stack(lattice.hexagonal_vectors(layer.lattice_constant, degrees), axis=1)
        for layer, degrees in zip(layers, (angle, angle + twist), strict=True)
    ]
    corner = rng.uniform(0, 1, 2)
    names = tuple(dict.fromkeys(layers[0].names + layers[1].names))
    radius = lattice.half_diagonal(shape) + 5 * width + spread

    points, labels, heights, which, sublattice = [], [], [], [], []
    for number, (layer, cell) in enumerate(zip(layers, cells, strict=True)):
        i, j = lattice.covering_indices(cell[:, 0], cell[:, 1], radius)
        index = np.stack([i.reshape(-1), j.reshape(-1)], axis=1) + corner + number * registry
        turn = -1 if number == 1 and family is _FAMILIES[0] else 1
        for site, (name, height) in enumerate(zip(layer.names, layer.heights, strict=True)):
            points.append((index + turn * SITES[site]) @ cell.T + centre)
            labels.append(np.full(len(index), names.index(name), np.int32))
            heights.append(np.full(len(index), height))
            which.append(np.full(len(index), number, np.int8))
            sublattice.append(np.full(len(index), site, np.int8))
    ideal = np.concatenate(points)
    actual = lattice.displaced(ideal, spread, rng) if spread else ideal
    brightest = max(max(layer.heights) for layer in layers)
    recording = exposure.record(shape, actual, np.concatenate(heights), width, rng, brightest)
    # The stacking at x, where the second metal stands in the first cell, is slip (x - centre) + registry.
    slip = np.linalg.inv(cells[0]) - np.linalg.inv(cells[1])
    wanted = np.array([STACKINGS[name] for name in family])
    moire, domains, domain_labels = _domains(slip, wanted - registry, shape)
    seen = lattice.in_view(actual, shape)
    return BilayerSimulation(
        **recording._asdict(),
        points=actual[seen].astype(np.float32),
        labels=np.concatenate(labels)[seen],
        names=names,
        occupied=np.ones(len(seen), bool),
        u=cells[0][:, 0],
        v=cells[0][:, 1],
        pixel_size_nm=pixel_size_nm,
        layer=np.concatenate(which)[seen],
        sublattice=np.concatenate(sublattice)[seen],
        stacking=_nearest_stacking((ideal[seen] - centre) @ slip.T + registry, wanted, cells[0]),
        stacking_names=family,
        twist=float(twist),
        moire=moire,
        domains=domains.astype(np.float32),
        domain_labels=domain_labels,
    )


def _domains(
    slip: np.ndarray, wanted: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Return the moire vectors in rows, and the places and labels of the domain centres in view."""
    lengths = np.linalg.svd(slip, compute_uv=False)
    # A moire cell thousands of images wide is rounding, not a moire.
    if lengths.min() * lattice.half_diagonal(shape) < 1e-4:
        return None, np.empty((0, 2)), np.empty(0, np.int32)
    moire = np.linalg.inv(slip)
    radius = lattice.half_diagonal(shape) + np.hypot(*moire).sum()
    i, j = lattice.covering_indices(moire[:, 0], moire[:, 1], radius)
    cells = np.stack([i.reshape(-1), j.reshape(-1)], axis=1)
    places = (cells + (wanted % 1)[:, None]) @ moire.T + lattice.image_centre(shape)
    labels = np.repeat(np.arange(len(wanted), dtype=np.int32), len(cells))
    places = places.reshape(-1, 2)
    seen = lattice.in_view(places, shape)
    return moire.T, places[seen], labels[seen]


def _nearest_stacking(slips: np.ndarray, wanted: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return which of the `wanted` positions in the cell each of the (n, 2) `slips` is nearest to."""
    away = slips[:, None] - wanted
    away -= np.round(away)
    images = np.array([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    squared = (((away[:, :, None] + images) @ cell.T) ** 2).sum(-1).min(-1)
    nearest: np.ndarray = np.argmin(squared, axis=1).astype(np.int32)
    return nearest
