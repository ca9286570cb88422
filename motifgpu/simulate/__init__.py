"""Seeded micrographs, patches and grids whose truth is known.

A simulated micrograph is a sum of Gaussian columns whose height follows the atomic number to the power 1.7
(incoherent annular dark field), dosed to a number of counts at the peak of the brightest pristine column.
Every function takes a seed, returns the same bits for the same arguments, and says what is true about its
picture in a frozen dataclass.

>>> from motifgpu import simulate
>>> made = simulate.monolayer("WS2", shape=(128, 128), vacancies=0.05, counts=100.0, seed=1)
>>> made.image.shape, made.names[:3]
((128, 128), ('W', 'S2', 'V_S'))
"""

from motifgpu.simulate.bilayer import STACKINGS, TWIST_CASES, bilayer, twist_case
from motifgpu.simulate.boundaries import stacking_boundary, twin_boundary
from motifgpu.simulate.crystal import crystal_p4m, stm_lattice
from motifgpu.simulate.materials import ATOMIC_NUMBERS, MATERIALS
from motifgpu.simulate.monolayer import monolayer
from motifgpu.simulate.noise import gaussian_noise, poisson_noise, scan_noise
from motifgpu.simulate.nothing import NOTHING, nothing
from motifgpu.simulate.occupancy import EXCLUDED, ising_window_probabilities, occupancy_grid
from motifgpu.simulate.patches import patches
from motifgpu.simulate.samples import SAMPLES, sample
from motifgpu.simulate.tiling import tiling
from motifgpu.simulate.truth import (
    BilayerSimulation,
    DefectSimulation,
    MonolayerSimulation,
    OccupancySimulation,
    PatchSimulation,
    SampleSimulation,
    Simulation,
    TilingSimulation,
)

__all__ = [
    "ATOMIC_NUMBERS",
    "EXCLUDED",
    "MATERIALS",
    "NOTHING",
    "SAMPLES",
    "STACKINGS",
    "TWIST_CASES",
    "BilayerSimulation",
    "DefectSimulation",
    "MonolayerSimulation",
    "OccupancySimulation",
    "PatchSimulation",
    "SampleSimulation",
    "Simulation",
    "TilingSimulation",
    "bilayer",
    "crystal_p4m",
    "gaussian_noise",
    "ising_window_probabilities",
    "monolayer",
    "nothing",
    "occupancy_grid",
    "patches",
    "poisson_noise",
    "sample",
    "scan_noise",
    "stacking_boundary",
    "stm_lattice",
    "tiling",
    "twin_boundary",
    "twist_case",
]
