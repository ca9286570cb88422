"""Seeded micrographs and patches whose truth is known.

A simulated micrograph is a sum of Gaussian columns whose intensity follows Z to the power 1.7 (annular dark
field, incoherent), dosed to a number of counts at the peak of the brightest pristine column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from motifgpu.errors import StageError

ATOMIC_NUMBERS = {
    "O": 8, "S": 16, "Ti": 22, "V": 23, "Cr": 24, "Fe": 26, "Se": 34, "Nb": 41, "Mo": 42, "Te": 52, "Ta": 73,
    "W": 74, "Re": 75,
}  # fmt: skip
CHALCOGENS = ("O", "S", "Se", "Te")
# metal, chalcogen, lattice constant in nm
MATERIALS = {
    "MoS2": ("Mo", "S", 0.3160),
    "MoSe2": ("Mo", "Se", 0.3288),
    "WS2": ("W", "S", 0.3154),
    "WSe2": ("W", "Se", 0.3280),
}


@dataclass(frozen=True)
class Simulation:
    """A simulated micrograph and its truth; the arrays of length n have a row a lattice site in view.

    Attributes
    ----------
    image : (H, W) float32 ndarray
        Counts (or arbitrary units where no dose was asked for).
    clean : (H, W) float32 ndarray
        The expectation of `image`.
    points : (n, 2) float32 ndarray
        Sites as (row, col) in pixels, empty sites included, sorted by row and then column.
    labels : (n,) int32 ndarray
        Identity of the column: an index into `names`.
    names : tuple of str
        Names of the identities, such as ``Mo``, ``Se2``, ``V_Se`` (one of two missing), ``V_Se2`` (both).
    environments : (n,) int32 ndarray
        Identity together with those of the three nearest sites, told apart by direction.
    occupied : (n,) bool ndarray
        False where no atom is left.
    sublattice : (n,) int8 ndarray
        0 for metal sites, 1 for chalcogen sites.
    grain : (n,) int32 ndarray
        Grain of the site.
    u, v : (2,) float64 ndarray
        Lattice vectors of the first grain before strain and drift, as (row, col) in pixels.
    pixel_size_nm : float
        Pixel size that gives the material its lattice constant.
    """

    image: np.ndarray
    clean: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    environments: np.ndarray
    occupied: np.ndarray
    sublattice: np.ndarray
    grain: np.ndarray
    u: np.ndarray
    v: np.ndarray
    pixel_size_nm: float


@dataclass(frozen=True)
class PatchSimulation:
    """Simulated patches and the class of each.

    Attributes
    ----------
    patches : (n, size, size) float32 ndarray
    labels : (n,) int32 ndarray
    """

    patches: np.ndarray
    labels: np.ndarray


def _fraction(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise StageError("simulate", f"{name} is {value}", "give a fraction between 0 and 1")
    return float(value)


def _lattice_vectors(lattice_constant: float, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Return u at `degrees` from +col, counter-clockwise as displayed, and v 120 degrees on."""
    a, b = np.deg2rad(degrees), np.deg2rad(degrees + 120)
    return lattice_constant * np.array([-np.sin(a), np.cos(a)]), lattice_constant * np.array(
        [-np.sin(b), np.cos(b)]
    )


# The three nearest sites of (i, j, metal) and of (i, j, chalcogen), as steps in (i, j).
_NEAREST = (((0, 0), (-1, 0), (-1, -1)), ((0, 0), (1, 0), (1, 1)))


def _species(
    rng: np.random.Generator,
    shape: tuple[int, int],
    metal: str,
    chalcogen: str,
    vacancies: float,
    divacancies: float,
    dopants: Mapping[str, float],
) -> tuple[np.ndarray, list[tuple[str, tuple[str, ...]]]]:
    """Draw the identity of every site of a grid: (2, I, J) codes, and per code its name and atoms."""
    kinds: list[tuple[str, tuple[str, ...]]] = [
        (metal, (metal,)),
        (f"{chalcogen}2", (chalcogen, chalcogen)),
        (f"V_{chalcogen}", (chalcogen,)),
        (f"V_{chalcogen}2", ()),
    ]
    codes = np.empty((2, *shape), np.int32)
    codes[0], codes[1] = 0, 1
    chance = rng.random((2, *shape))
    codes[1][chance[1] < vacancies] = 2
    codes[1][(chance[1] >= vacancies) & (chance[1] < vacancies + divacancies)] = 3
    reached = [0.0, vacancies + divacancies]
    for element, fraction in dopants.items():
        if element not in ATOMIC_NUMBERS:
            known = ", ".join(ATOMIC_NUMBERS)
            raise StageError("simulate", f"the dopant {element!r} is not known", f"choose one of {known}")
        site = 1 if element in CHALCOGENS else 0
        low, high = reached[site], reached[site] + _fraction(fraction, f"the fraction of {element}")
        codes[site][(chance[site] >= low) & (chance[site] < high)] = len(kinds)
        kinds.append((element, (element,)) if site == 0 else (f"{element}{chalcogen}", (element, chalcogen)))
        reached[site] = high
    if max(reached) > 1:
        raise StageError(
            "simulate", f"defect fractions of one sublattice sum to {max(reached)}", "keep the sum below 1"
        )
    return codes, kinds


def _environment(codes: np.ndarray, n_kinds: int) -> np.ndarray:
    """Return one number a site for its identity and those of its three nearest sites, by direction."""
    result = codes.astype(np.int64)
    for site in (0, 1):
        for step in _NEAREST[site]:
            neighbour = np.roll(codes[1 - site], (-step[0], -step[1]), axis=(0, 1))
            result[site] = result[site] * n_kinds + neighbour
    return result


def _grain_of(
    points: np.ndarray, shape: tuple[int, int], n_grains: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the grain each point lies in: the nearest of `n_grains` seeds."""
    if n_grains == 1:
        return np.zeros(len(points), np.int32)
    extent = np.array(shape, float)
    if n_grains == 2:
        angle = rng.uniform(0, np.pi)
        step = 0.25 * extent * np.array([np.sin(angle), np.cos(angle)])
        seeds = np.stack([extent / 2 - step, extent / 2 + step])
    else:
        seeds = rng.uniform(0.1, 0.9, (n_grains, 2)) * extent
    return np.argmin(((points[:, None] - seeds) ** 2).sum(-1), axis=1).astype(np.int32)


def _render(
    shape: tuple[int, int], points: np.ndarray, heights: np.ndarray, sigma: float, jitter: np.ndarray
) -> np.ndarray:
    """Add up Gaussian columns; row r is displaced by ``jitter[r]`` pixels along the columns."""
    reach = int(np.ceil(5 * sigma + np.abs(jitter).max(initial=0)))
    image = np.zeros((shape[0] + 2 * reach + 2, shape[1] + 2 * reach + 2))
    padded = np.pad(jitter, reach + 1, mode="edge")
    window = np.arange(-reach, reach + 1)
    for (row, col), height in zip(points, heights, strict=True):
        r, c = round(row), round(col)
        if height == 0 or not (-reach <= r < shape[0] + reach and -reach <= c < shape[1] + reach):
            continue
        rows, cols = r + reach + 1 + window, c + reach + 1 + window
        keep_r, keep_c = (rows >= 0) & (rows < image.shape[0]), (cols >= 0) & (cols < image.shape[1])
        rows, cols = rows[keep_r], cols[keep_c]
        along_r = np.exp(-0.5 * ((rows - reach - 1 - row) / sigma) ** 2)
        along_c = np.exp(-0.5 * ((cols - reach - 1 - col - padded[rows][:, None]) / sigma) ** 2)
        image[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] += height * along_r[:, None] * along_c
    return image[reach + 1 : -reach - 1, reach + 1 : -reach - 1]


def _noisy(
    clean: np.ndarray, counts: float | None, gaussian: float, peak: float, rng: np.random.Generator
) -> np.ndarray:
    image = rng.poisson(np.maximum(clean, 0)).astype(np.float64) if counts is not None else clean.copy()
    if gaussian:
        image += rng.normal(0, gaussian * peak, image.shape)
    return image.astype(np.float32)


def monolayer(
    material: str = "MoSe2",
    shape: tuple[int, int] = (512, 512),
    *,
    lattice_constant: float = 22.0,
    angle: float = 0.0,
    sigma: float = 0.137,
    exponent: float = 1.7,
    counts: float | None = 30.0,
    vacancies: float = 0.0,
    divacancies: float = 0.0,
    dopants: Mapping[str, float] | None = None,
    strain: Sequence[Sequence[float]] = ((0.0, 0.0), (0.0, 0.0)),
    drift: tuple[float, float] = (0.0, 0.0),
    grains: Sequence[float] = (0.0,),
    background: float = 0.0,
    gaussian: float = 0.0,
    scan: float = 0.0,
    seed: int = 0,
) -> Simulation:
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
        Column intensity is the sum of Z to this power over its atoms. Multislice calculations rank light
        vacancies differently from 1.7.
    counts : float or None
        Expected counts per pixel at the peak of the brightest pristine column (pk); None for no noise of this
        kind.
    vacancies, divacancies : float
        Fractions of chalcogen sites that lack one atom, or both.
    dopants : mapping of str to float, optional
        Element to the fraction of the sites it takes: metal sites, or one atom of a chalcogen site.
    strain : 2 x 2 sequence
        Displacement gradient in (row, col), relative to the image centre.
    drift : (float, float)
        Displacement in (row, col) px that grows quadratically down the image to this value.
    grains : sequence of float
        Rotation of each grain relative to `angle`, degrees. Two grains share a straight boundary through the
        image, more of them a Voronoi tessellation.
    background : float
        Height of a slowly varying background, in peaks.
    gaussian : float
        Standard deviation of added Gaussian noise, in peaks.
    scan : float
        Standard deviation of the random displacement of each scan line along the columns, px.
    seed : int

    Returns
    -------
    Simulation

    Raises
    ------
    StageError
        If the material or a dopant is unknown, or a number is out of range.
    """
    if material not in MATERIALS:
        raise StageError(
            "simulate", f"the material {material!r} is not known", f"choose one of {', '.join(MATERIALS)}"
        )
    if min(shape) < 1 or lattice_constant <= 0 or sigma <= 0 or (counts is not None and counts <= 0):
        raise StageError(
            "simulate",
            f"shape {shape}, lattice_constant {lattice_constant}, sigma {sigma}, counts {counts}",
            "give positive numbers (counts=None for no Poisson noise)",
        )
    rng = np.random.default_rng(seed)
    metal, chalcogen, constant_nm = MATERIALS[material]
    extent = np.array(shape, float)
    centre = (extent - 1) / 2
    margin = 3 * lattice_constant
    reach = int(np.ceil((np.hypot(*extent) / 2 + margin) / (lattice_constant * np.sqrt(3) / 2))) + 1
    index = np.arange(-reach, reach + 1)
    i, j = np.meshgrid(index, index, indexing="ij")
    offset = rng.uniform(0, 1, 2)

    found: list[tuple[np.ndarray, ...]] = []
    kinds: list[tuple[str, tuple[str, ...]]] = []
    for grain, rotation in enumerate(grains):
        u, v = _lattice_vectors(lattice_constant, angle + rotation)
        codes, kinds = _species(
            rng,
            i.shape,
            metal,
            chalcogen,
            _fraction(vacancies, "vacancies"),
            _fraction(divacancies, "divacancies"),
            dopants or {},
        )
        environment = _environment(codes, len(kinds))
        for site, (along_u, along_v) in enumerate(((0.0, 0.0), (2 / 3, 1 / 3))):
            place = (
                (i + offset[0] + along_u)[..., None] * u + (j + offset[1] + along_v)[..., None] * v + centre
            )
            found.append(
                (
                    place.reshape(-1, 2),
                    codes[site].ravel(),
                    environment[site].ravel(),
                    np.full(i.size, site, np.int8),
                    np.full(i.size, grain, np.int32),
                )
            )
    points, labels, environments, sublattice, grain_index = (
        np.concatenate(parts) for parts in zip(*found, strict=True)
    )

    if len(grains) > 1:
        keep = _grain_of(points, shape, len(grains), rng) == grain_index
        points, labels, environments, sublattice, grain_index = (
            a[keep] for a in (points, labels, environments, sublattice, grain_index)
        )
        keep = _apart(points, grain_index, 0.6 * lattice_constant / np.sqrt(3))
        points, labels, environments, sublattice, grain_index = (
            a[keep] for a in (points, labels, environments, sublattice, grain_index)
        )
    points = points + (points - centre) @ np.asarray(strain, float).T
    points = points + np.square(np.clip(points[:, :1] / extent[0], 0, None)) * np.asarray(drift, float)

    intensity = np.array([sum(ATOMIC_NUMBERS[atom] ** exponent for atom in atoms) for _, atoms in kinds])
    peak = 1.0 if counts is None else float(counts)
    heights = peak * intensity[labels] / intensity[:2].max()
    jitter = rng.normal(0, scan, shape[0]) if scan else np.zeros(shape[0])
    clean = _render(shape, points, heights, sigma * lattice_constant, jitter)
    if background:
        slow = ndimage.gaussian_filter(rng.normal(size=shape), min(shape) / 6, mode="nearest")
        clean += background * peak * (slow - slow.min()) / (np.ptp(slow) + 1e-30)

    inside = ((points >= -0.5) & (points < extent - 0.5)).all(1)
    order = np.flatnonzero(inside)
    order = order[np.lexsort((points[order, 1], points[order, 0]))]
    u, v = _lattice_vectors(lattice_constant, angle + grains[0])
    return Simulation(
        image=_noisy(clean, counts, gaussian, peak, rng),
        clean=clean.astype(np.float32),
        points=points[order].astype(np.float32),
        labels=labels[order].astype(np.int32),
        names=tuple(name for name, _ in kinds),
        environments=np.unique(environments[order], return_inverse=True)[1].astype(np.int32),
        occupied=np.array([bool(atoms) for _, atoms in kinds])[labels[order]],
        sublattice=sublattice[order],
        grain=grain_index[order],
        u=u,
        v=v,
        pixel_size_nm=constant_nm / lattice_constant,
    )


def _apart(points: np.ndarray, grain: np.ndarray, distance: float) -> np.ndarray:
    """Say which points to keep so that no two of different grains are closer than `distance`."""
    from scipy.spatial import cKDTree

    keep = np.ones(len(points), bool)
    for a, b in sorted(cKDTree(points).query_pairs(distance)):
        if keep[a] and keep[b] and grain[a] != grain[b]:
            keep[b] = False
    return keep


def patches(
    sizes: Sequence[int] = (500, 500),
    *,
    folds: int | Sequence[int] = 3,
    centers: Sequence[float] = (1.0, 0.8),
    size: int = 128,
    distance: float = 32.0,
    sigma: float = 7.0,
    rotation: bool = False,
    counts: float | None = None,
    gaussian: float = 0.0,
    scan: float = 0.0,
    seed: int = 0,
) -> PatchSimulation:
    """Simulate the n-fold blob patches of the paper's Table S3.

    A patch is one central Gaussian and n around it, all of one width; classes differ in the height of the
    central one, or in n.

    Parameters
    ----------
    sizes : sequence of int
        Number of patches in each class.
    folds : int or sequence of int
        n, for all classes or for each.
    centers : sequence of float
        Height of the central Gaussian in each class; the others have height 1.
    size : int
        Side of a patch, px.
    distance : float
        Distance of the surrounding Gaussians from the centre, px.
    sigma : float
        Standard deviation of the Gaussians, px.
    rotation : bool
        Turn every patch by a random angle.
    counts : float or None
        Expected counts at height 1; None for no Poisson noise.
    gaussian : float
        Standard deviation of added Gaussian noise, in units of height 1.
    scan : float
        Standard deviation of the random displacement of each row, px.
    seed : int

    Returns
    -------
    PatchSimulation
        Patches in class order, (sum(sizes), size, size).

    Raises
    ------
    StageError
        If `centers` or `folds` has another length than `sizes`, or the dose is not positive.
    """
    folds = [folds] * len(sizes) if isinstance(folds, int) else list(folds)
    if len(centers) != len(sizes) or len(folds) != len(sizes):
        raise StageError(
            "simulate",
            f"{len(sizes)} class sizes, {len(centers)} centers, {len(folds)} folds",
            "give one of each for every class",
        )
    if counts is not None and counts <= 0:
        raise StageError(
            "simulate", f"counts is {counts}", "give a positive number, or None for no Poisson noise"
        )
    rng = np.random.default_rng(seed)
    peak = 1.0 if counts is None else float(counts)
    labels = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    result = np.empty((len(labels), size, size), np.float32)
    middle = (size - 1) / 2
    shared: dict[int, np.ndarray] = {}
    for index, label in enumerate(map(int, labels)):
        if rotation or scan or label not in shared:
            turn = rng.uniform(0, 2 * np.pi) if rotation else 0.0
            angle = turn + 2 * np.pi * np.arange(folds[label]) / folds[label]
            ring = middle + distance * np.stack([-np.sin(angle), np.cos(angle)], axis=1)
            points = np.vstack([[middle, middle], ring])
            heights = peak * np.array([centers[label], *[1.0] * folds[label]])
            jitter = rng.normal(0, scan, size) if scan else np.zeros(size)
            shared[label] = _render((size, size), points, heights, sigma, jitter)
        result[index] = _noisy(shared[label], counts, gaussian, peak, rng)
    return PatchSimulation(result, labels)
