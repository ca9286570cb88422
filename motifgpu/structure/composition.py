"""Motif-cells and their hierarchy, composed from columns whose motifs are known."""

from __future__ import annotations

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.structure.cells import Cells, motif_cells
from motifgpu.structure.hierarchy import Hierarchy, build_hierarchy
from motifgpu.structure.lattice import fit_lattice


def compose(
    points: Array, labels: Array, identities: Array, domains: Array
) -> tuple[Cells | None, Hierarchy | None, str]:
    """Compose columns into motif-cells and these into a hierarchy.

    Parameters
    ----------
    points : (n, 2) array
        Columns, (row, col) px.
    labels, identities, domains : (n,) int array
        What each is, see `motifgpu.motifs.find.Motifs`. The lattice's translations take columns onto equal
        identities, in whichever domain.

    Returns
    -------
    cells : Cells or None
        None where the columns form no lattice.
    hierarchy : Hierarchy or None
    why : str
        Why there is no lattice; empty where there is one.
    """
    try:
        lattice = fit_lattice(points, labels=identities)
    except StageError as error:
        return None, None, error.problem
    cells = motif_cells(lattice, labels)
    return cells, build_hierarchy(cells, dominant=_dominant(cells, to_numpy(domains))), ""


def _dominant(cells: Cells, domains: np.ndarray) -> float | None:
    """Return the share of cells that the commonest kind of each of several domains has, the least of them."""
    member = cells.members.max(axis=1)  # any column of the cell
    inside = np.where(member >= 0, domains[member], -1)
    kinds = [cells.types[inside == each] for each in range(int(domains.max(initial=0)) + 1)]
    commonest = [np.bincount(types).argmax() for types in kinds if types.size]
    return min(cells.counts[commonest]) / len(cells.types) if len(commonest) > 1 else None
