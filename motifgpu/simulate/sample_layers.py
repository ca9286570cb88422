"""Samples of dichalcogenide layers: point defects, grains, a mirror twin boundary and two stackings."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu.simulate.boundaries import stacking_boundary, twin_boundary
from motifgpu.simulate.materials import atoms_in, column_intensity
from motifgpu.simulate.monolayer import monolayer
from motifgpu.simulate.sample_sites import PADDING, Sites
from motifgpu.simulate.truth import MonolayerSimulation

# Dopants of the metal and of the chalcogen that a dark-field image tells from what they replace.
_DOPANTS = {"MoSe2": ("W", "Te"), "MoS2": ("W", "Se"), "WSe2": ("Mo", "Te")}


def defects(shape: tuple[int, int], rng: np.random.Generator) -> Sites:
    """Return one crystal with vacancies, double vacancies and a dopant on either sublattice."""
    material = _material(rng)
    metal, chalcogen = _DOPANTS[material]
    made = monolayer(
        material,
        _padded(shape),
        **_lattice(rng),
        vacancies=rng.uniform(0.02, 0.08),
        divacancies=rng.uniform(0.005, 0.03),
        dopants={metal: rng.uniform(0.01, 0.05), chalcogen: rng.uniform(0.01, 0.05)},
    )
    return _sites(made, ("crystal",), rng)


def grains(shape: tuple[int, int], rng: np.random.Generator, rotation: float) -> Sites:
    """Return two grains, the second rotated, with vacancies."""
    vacancies = rng.uniform(0, 0.05)
    made = monolayer(
        _material(rng), _padded(shape), **_lattice(rng), grains=(0.0, rotation), vacancies=vacancies
    )
    return _sites(made, ("0 degrees", f"{rotation:g} degrees"), rng)


def mirror_twin(shape: tuple[int, int], rng: np.random.Generator) -> Sites:
    """Return two mirror images that share a row of chalcogen columns."""
    opening = rng.uniform(0.1, 0.25)
    made = twin_boundary(_material(rng), _padded(shape), **_lattice(rng), opening=opening)
    return _sites(made, ("right", "left"), rng)


def stackings(shape: tuple[int, int], rng: np.random.Generator) -> Sites:
    """Return a bilayer of 2H on one side and 3R on the other."""
    made = stacking_boundary(_material(rng), _padded(shape), **_lattice(rng))
    return _sites(made, ("2H", "3R"), rng)


def _material(rng: np.random.Generator) -> str:
    return str(rng.choice(list(_DOPANTS)))


def _padded(shape: tuple[int, int]) -> tuple[int, int]:
    return shape[0] + 2 * PADDING, shape[1] + 2 * PADDING


def _lattice(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "lattice_constant": rng.uniform(11, 25),
        "angle": rng.uniform(0, 360),
        "counts": None,
        "seed": int(rng.integers(2**31)),
    }


def _sites(made: MonolayerSimulation, domain_names: tuple[str, ...], rng: np.random.Generator) -> Sites:
    """Take the sites of a simulation that is PADDING larger on every side."""
    exponent = rng.uniform(1.5, 1.8)
    heights = np.array([column_intensity(atoms_in(name), exponent) for name in made.names])
    stacked = "+" in made.names[0]
    pristine = made.labels if stacked else made.sublattice
    a = float(np.hypot(*made.u))
    return Sites(
        points=made.points.astype(np.float64) - PADDING,
        labels=made.labels,
        pristine=pristine,
        slot=made.sublattice,
        domain=np.where(made.grain < len(domain_names), made.grain, -1),
        heights=heights[made.labels] / heights[np.unique(pristine)].max(),
        names=made.names,
        domain_names=domain_names,
        occupied=heights[made.labels] > 0,
        u=made.u,
        v=made.v,
        spacing=a / np.sqrt(3),
        sigma=a * rng.uniform(0.115, 0.15),
        reach=0.8 * a,
        pixel_size_nm=made.pixel_size_nm,
    )
