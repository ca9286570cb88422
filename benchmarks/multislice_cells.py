"""Compute multislice.npz: annular dark-field images of small defective cells, by abTEM.

Needs ``pip install abtem`` (1.0.11 made the file, in a few minutes) and is run by hand:
``python benchmarks/multislice_cells.py``. Electrons of 80 keV, convergence 30 mrad, detector 60 to 180 mrad,
atoms at rest. Cells are periodic, of 6 x 4 rectangular unit cells; two of each material.
"""

from __future__ import annotations

from pathlib import Path

import abtem
import numpy as np
from ase import Atoms

# metal, chalcogen, lattice constant and distance of the chalcogen layers in angstrom, dopant of the metal
MATERIALS = {"MoSe2": ("Mo", "Se", 3.288, 3.34, "W"), "WS2": ("W", "S", 3.154, 3.14, "Fe")}
CELLS = (6, 4)
DOPANTS, VACANCIES, DIVACANCIES = 0.04, 0.06, 0.025
HEIGHT = 10.0


def atoms(material: str, seed: int) -> tuple[Atoms, np.ndarray]:
    """Return the cell and its sites as rows (x, y, identity).

    Identities are 0 metal, 1 two chalcogens, 2 one of them, 3 none, 4 dopant.
    """
    metal, chalcogen, a, gap, dopant = MATERIALS[material]
    rng = np.random.default_rng(seed)
    size = np.array([CELLS[0] * a, CELLS[1] * a * np.sqrt(3)])
    symbols, positions, sites = [], [], []
    for corner in np.ndindex(*CELLS):
        for shift in ((0.0, 0.0), (0.5, 0.5)):
            at = (np.array(corner) + shift) * (a, a * np.sqrt(3))
            chance = rng.random(2)
            doped = chance[0] < DOPANTS
            symbols.append(dopant if doped else metal)
            positions.append([*(at % size), HEIGHT / 2])
            sites.append((*(at % size), 4 if doped else 0))
            at = (at + np.array([0.0, a / np.sqrt(3)])) % size
            lost = 1 if chance[1] < VACANCIES else 2 if chance[1] < VACANCIES + DIVACANCIES else 0
            for z in (HEIGHT / 2 - gap / 2, HEIGHT / 2 + gap / 2)[: 2 - lost]:
                symbols.append(chalcogen)
                positions.append([*at, z])
            sites.append((*at, 1 + lost))
    return Atoms(symbols, positions=positions, cell=[*size, HEIGHT], pbc=True), np.array(sites)


def image(cell: Atoms) -> np.ndarray:
    """Return the dark-field image of a cell, its first axis along x."""
    potential = abtem.Potential(cell, sampling=0.06, slice_thickness=2.0)
    matrix = abtem.SMatrix(potential=potential, energy=80e3, semiangle_cutoff=30)
    scan = abtem.GridScan(start=(0, 0), end=(cell.cell[0, 0], cell.cell[1, 1]), sampling=0.34, endpoint=False)
    measured = matrix.scan(scan=scan, detectors=abtem.AnnularDetector(inner=60, outer=180))
    return np.asarray(measured.compute(progress_bar=False).array)


def main() -> None:
    arrays: dict[str, np.ndarray] = {}
    for material in MATERIALS:
        arrays[f"{material}_constant"] = np.array(MATERIALS[material][2])
        for seed in (0, 1):
            cell, sites = atoms(material, seed)
            arrays[f"{material}_{seed}"] = image(cell).astype(np.float32)
            arrays[f"{material}_{seed}_cell"] = np.array([cell.cell[0, 0], cell.cell[1, 1]])
            arrays[f"{material}_{seed}_truth"] = sites.astype(np.float32)
    np.savez_compressed(Path(__file__).parent / "multislice.npz", **arrays)


if __name__ == "__main__":
    main()
