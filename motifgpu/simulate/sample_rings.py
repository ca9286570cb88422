"""Graphene with a grain boundary of rings of five and seven atoms."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import Delaunay

from motifgpu.simulate import lattice
from motifgpu.simulate.materials import column_intensity
from motifgpu.simulate.sample_sites import Sites, crystal, half_plane, substitute

_BOND_NM = 0.142
_BENDING = 0.2  # stiffness between second neighbours, in that of a bond


def honeycomb(shape: tuple[int, int], rng: np.random.Generator) -> Sites:
    """Return two grains of graphene whose boundary is made of rings of five and seven, with a little silicon.

    Rings are the points of two triangular lattices, atoms the triangles between them, so that every atom has
    three bonds; their lengths and angles are then relaxed.
    """
    bond = rng.uniform(7, 12)
    a = bond * np.sqrt(3)
    angle, turn = rng.uniform(0, 360), rng.uniform(15, 30)
    degrees, offset = float(rng.uniform(0, 180)), float(rng.uniform(-0.12, 0.12) * min(shape))
    rings, grain = [], []
    for side, rotation in enumerate((angle, angle + turn)):
        u, v = lattice.hexagonal_vectors(a, rotation)
        points = crystal(u, v, ((0.0, 0.0),), shape, rng.uniform(0, 1, 2))[0]
        points = points[half_plane(points, shape, degrees, offset) == side]
        rings.append(points)
        grain.append(np.full(len(points), side))
    centres, grain_of = np.concatenate(rings), np.concatenate(grain)
    keep = lattice.apart(centres, grain_of, 0.65 * a)
    centres, grain_of = centres[keep], grain_of[keep]
    distance = np.abs((centres - lattice.image_centre(shape)) @ lattice.direction(degrees + 90) - offset)
    centres = _even(centres, distance < 1.5 * a)

    mesh = Delaunay(centres)
    corners = centres[mesh.simplices]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
    inner = sides < 2.2 * a  # triangles along the outline are no atoms
    size = np.bincount(_edges(mesh.simplices).reshape(-1), minlength=len(centres))
    number = np.cumsum(inner) - 1
    bonds = [
        (number[one], number[two])
        for one, neighbours in enumerate(mesh.neighbors)
        for two in neighbours
        if one < two and inner[one] and inner[two]
    ]
    simplices = mesh.simplices[inner]
    atoms = _relaxed(corners[inner].mean(1), np.array(bonds), bond)
    boundary = (size[simplices] != 6).any(1)
    domain = np.where(grain_of[simplices].mean(1) > 0.5, 1, 0)

    labels = substitute(np.zeros(len(atoms), np.int64), 0, 1, rng.uniform(0.01, 0.04), rng)
    exponent = rng.uniform(1.5, 1.8)
    heights = np.array([column_intensity((name,), exponent) for name in ("C", "Si")])
    u, v = lattice.hexagonal_vectors(a, angle)
    return Sites(
        points=atoms,
        labels=labels,
        pristine=np.zeros(len(atoms), np.int64),
        slot=np.zeros(len(atoms), np.int64),
        domain=domain,
        heights=heights[labels] / heights[0],
        names=("C", "Si"),
        domain_names=("first grain", "second grain"),
        occupied=np.ones(len(atoms), bool),
        u=u,
        v=v,
        spacing=bond,
        sigma=bond * rng.uniform(0.22, 0.29),
        reach=1.25 * bond,
        pixel_size_nm=_BOND_NM / bond,
        boundary=boundary,
    )


def _edges(simplices: np.ndarray) -> np.ndarray:
    """Return the edges (n, 2) of a mesh of triangles, each once."""
    every = np.concatenate([simplices[:, [0, 1]], simplices[:, [1, 2]], simplices[:, [2, 0]]])
    edges: np.ndarray = np.unique(np.sort(every, axis=1), axis=0)
    return edges


def _even(points: np.ndarray, moves: np.ndarray, steps: int = 12) -> np.ndarray:
    """Move those points that may to the middle of their neighbours, so that rings have 5, 6 or 7 atoms."""
    for _ in range(steps):
        edges = _edges(Delaunay(points).simplices)
        total, count = np.zeros_like(points), np.zeros(len(points))
        for here, there in (edges.T, edges[:, ::-1].T):
            np.add.at(total, here, points[there])
            np.add.at(count, here, 1)
        points = np.where(moves[:, None], 0.5 * points + 0.5 * total / count[:, None], points)
    return points


def _relaxed(atoms: np.ndarray, bonds: np.ndarray, bond: float) -> np.ndarray:
    """Return the atoms where bonds have their length and angles are of 120 degrees, as far as they can."""
    near: list[list[int]] = [[] for _ in atoms]
    for one, two in bonds:
        near[one].append(int(two))
        near[two].append(int(one))
    second = [(a, b) for others in near for i, a in enumerate(others) for b in others[i + 1 :]]
    pairs = np.concatenate([bonds, np.array(second)])
    length = np.repeat([bond, bond * np.sqrt(3)], [len(bonds), len(second)])
    stiffness = np.repeat([1.0, _BENDING], [len(bonds), len(second)])
    fixed = np.array([len(others) < 3 for others in near])  # the outline

    def energy(flat: np.ndarray) -> tuple[float, np.ndarray]:
        points = flat.reshape(-1, 2)
        step = points[pairs[:, 0]] - points[pairs[:, 1]]
        distance = np.linalg.norm(step, axis=1)
        excess = distance - length
        force = (2 * stiffness * excess / distance)[:, None] * step
        gradient = np.zeros_like(points)
        np.add.at(gradient, pairs[:, 0], force)
        np.add.at(gradient, pairs[:, 1], -force)
        gradient[fixed] = 0
        return float(np.sum(stiffness * excess**2)), gradient.reshape(-1)

    found = minimize(energy, atoms.reshape(-1), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    relaxed: np.ndarray = found.x.reshape(-1, 2)
    return relaxed
