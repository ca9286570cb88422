"""Elements and layered materials."""

from __future__ import annotations

from collections.abc import Sequence

from motifgpu.simulate import checks

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
