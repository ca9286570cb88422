"""The lattice of the columns: translations, an index for every column, drift and strain."""

from __future__ import annotations

from motifgpu.structure.lattice.fit import Lattice, fit_lattice

__all__ = ["Lattice", "fit_lattice"]
