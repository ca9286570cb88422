"""Elements and layered materials."""

from __future__ import annotations

import re
from collections.abc import Sequence

from motifgpu.simulate import checks

ATOMIC_NUMBERS = {
    "C": 6, "O": 8, "Al": 13, "Si": 14, "P": 15, "S": 16, "Ca": 20, "Ti": 22, "V": 23, "Cr": 24, "Mn": 25,
    "Fe": 26, "Ni": 28, "Cu": 29, "Zn": 30, "Ga": 31, "As": 33, "Se": 34, "Sr": 38, "Y": 39, "Zr": 40,
    "Nb": 41, "Mo": 42, "Ru": 44, "Pd": 46, "Ag": 47, "Cd": 48, "In": 49, "Te": 52, "Ba": 56, "La": 57,
    "Ta": 73, "W": 74, "Re": 75, "Pt": 78, "Au": 79, "Pb": 82,
}  # fmt: skip
CHALCOGENS = ("O", "S", "Se", "Te")
# metal, chalcogen, lattice constant in nm
MATERIALS = {
    "MoS2": ("Mo", "S", 0.3160),
    "MoSe2": ("Mo", "Se", 0.3288),
    "WS2": ("W", "S", 0.3154),
    "WSe2": ("W", "Se", 0.3280),
}


def column_intensity(atoms: Sequence[str], exponent: float) -> float:
    """Return the sum of the atomic numbers to a power over the atoms of a column."""
    total: float = sum(ATOMIC_NUMBERS[atom] ** exponent for atom in atoms)
    return total


def composition(material: str) -> tuple[str, str, float]:
    """Return metal, chalcogen and lattice constant in nm of a material.

    Raises
    ------
    StageError
        If it is not known.
    """
    return MATERIALS[checks.choice(material, "material", tuple(MATERIALS))]


def atoms_in(name: str) -> tuple[str, ...]:
    """Return the atoms of a column by its name, such as ``Mo+Se2``, ``TeSe`` or ``V_Se``, one Se of two."""
    pair = [
        symbol for symbol, number in re.findall(r"([A-Z][a-z]?)(\d?)", name) for _ in range(int(number or 1))
    ]
    # V_Se lacks one of two atoms, V_Se2 both.
    return tuple(pair[1 : 4 - len(pair)] if name.startswith("V_") else pair)
