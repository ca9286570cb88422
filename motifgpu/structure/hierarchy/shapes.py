"""Shapes of connected cells up to the symmetry of their lattice: groups, canonical forms and hashes."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.structure.lattice import Lattice
from motifgpu.structure.lattice.bravais import holohedry

# Lattice coordinates within this distance are the same site: measured bases are good to 0.02.
_SAME = 0.08
LabeledSite = tuple[int, int, int, int]  # cell (i, j), slot and the motif that stands there

_QUARTER = np.array([[0, -1], [1, 0]])


@dataclass(frozen=True, eq=False)
class PointGroup:
    """Operations on sites (i, j, slot): the cell goes to ``matrices[k] @ (i, j) + shifts[k, slot]``.

    Attributes
    ----------
    name : str
        ``"translations"``, ``"rotations90"``, or the lattice's point group, C3v say.
    matrices : (g, 2, 2) int64 ndarray
    shifts : (g, m, 2) int64 ndarray
        All zero for the first operation, which keeps cells whole. It need not be the identity: it turns the
        lattice into a setting that is the same for every micrograph of the crystal.
    """

    name: str
    matrices: np.ndarray
    shifts: np.ndarray


def translations(n_slots: int) -> PointGroup:
    """Return the group in which only translations make shapes equal."""
    return PointGroup("translations", np.eye(2, dtype=np.int64)[None], np.zeros((1, n_slots, 2), np.int64))


def rotations90(n_slots: int) -> PointGroup:
    """Return the paper's group: rotations by 90 degrees of the grid of indices, cells kept whole (step 6)."""
    turns = np.array([np.linalg.matrix_power(_QUARTER, k) for k in range(4)], np.int64)
    return PointGroup("rotations90", turns, np.zeros((4, n_slots, 2), np.int64))


def lattice_group(lattice: Lattice, slots: np.ndarray) -> PointGroup:
    """Return the point group of a lattice with its basis, acting on sites.

    Parameters
    ----------
    lattice : Lattice
    slots : (m,) int array
        Sublattice of each slot; operations keep slots, so C3v is what a honeycomb of two elements has.

    Returns
    -------
    PointGroup

    Notes
    -----
    Of all settings of the lattice the one is chosen whose sites have the least coordinates, and
    the operations that lead to it are the group. Two micrographs of one crystal, turned by any angle, so end
    in one setting.
    """
    away = lattice.basis[slots] - lattice.basis[slots[0]]
    matrices = holohedry(lattice.metric)
    moved = away @ matrices.transpose(0, 2, 1)
    wrapped = (moved + 0.5 - _SAME) % 1.0 - 0.5 + _SAME
    least = min(wrapped, key=functools.cmp_to_key(_compare))
    difference = wrapped - least
    difference -= np.round(difference)
    kept = np.abs(difference).max(axis=(1, 2)) <= _SAME
    order = sorted(np.flatnonzero(kept), key=functools.cmp_to_key(lambda a, b: _compare(moved[a], moved[b])))
    matrices, moved = matrices[order], moved[order]
    turns = int(np.sum(np.round(np.linalg.det(matrices)) == round(float(np.linalg.det(matrices[0])))))
    name = f"C{turns}" + ("v" if turns < len(matrices) else "")
    return PointGroup("Cs" if name == "C1v" else name, matrices, np.round(moved - moved[0]).astype(np.int64))


def _compare(a: np.ndarray, b: np.ndarray) -> int:
    """Order coordinates entry by entry, entries within the tolerance being equal."""
    difference = (a - b).reshape(-1)
    for entry in difference[np.abs(difference) > _SAME]:
        return 1 if entry > 0 else -1
    return 0


def point_group(symmetry: str, lattice: Lattice, slots: np.ndarray, reading: str) -> PointGroup:
    """Return the group that `symmetry` names.

    Parameters
    ----------
    symmetry : {"auto", "translations", "rotations90", "lattice"}
        ``"auto"`` is the lattice's point group where slots are distinguished and the paper's rotations by 90
        degrees where cells are sets.
    lattice : Lattice
    slots : (m,) int array
    reading : {"slots", "set"}

    Returns
    -------
    PointGroup

    Raises
    ------
    StageError
        If the name is unknown, or the lattice's group is requested for cells that are sets.
    """
    if symmetry == "auto":
        symmetry = "lattice" if reading == "slots" else "rotations90"
    if symmetry == "translations":
        return translations(len(slots))
    if symmetry == "rotations90":
        return rotations90(len(slots))
    if symmetry != "lattice":
        raise StageError(
            "hierarchy",
            f"there is no symmetry {symmetry!r}",
            "choose auto, lattice, rotations90 or translations",
        )
    if reading == "set":
        raise StageError(
            "hierarchy",
            "the lattice's symmetry moves single sites, which cells read as sets do not have",
            "read cells by slots, or choose rotations90",
        )
    return lattice_group(lattice, slots)


@dataclass(frozen=True, eq=False)
class Forms:
    """Canonical forms of shapes; one row per shape.

    Attributes
    ----------
    canonical : list of bytes
        Least form over the group: the sorted sites (i, j, slot, label + 2), big-endian 32-bit numbers. Equal
        for shapes that a group operation and a translation make equal, and for no others.
    oriented : list of bytes
        The same under the group's first operation alone: which orientation was seen.
    """

    canonical: list[bytes]
    oriented: list[bytes]


def canonical_forms(group: PointGroup, shape: np.ndarray, sites: np.ndarray) -> Forms:
    """Bring shapes into their canonical forms.

    Parameters
    ----------
    group : PointGroup
    shape : (e,) int64 ndarray
        Shape that each site belongs to, in ascending order and without gaps.
    sites : (e, 4) int64 ndarray
        Cell (i, j), slot and label of each site, labels from -2 on.

    Returns
    -------
    Forms
    """
    start = np.flatnonzero(np.append(True, shape[1:] != shape[:-1])) if len(shape) else np.zeros(0, np.int64)
    ends = np.append(start, len(shape))
    candidates: list[list[bytes]] = []
    for matrix, shifts in zip(group.matrices, group.shifts, strict=True):
        cell = sites[:, :2] @ matrix.T + shifts[sites[:, 2]]
        if len(start):
            cell = cell - np.minimum.reduceat(cell, start, axis=0)[shape]
        rows = np.column_stack([cell, sites[:, 2], sites[:, 3] + 2])
        order = np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0], shape))
        data = rows[order].astype(">i4").tobytes()
        candidates.append([data[16 * ends[k] : 16 * ends[k + 1]] for k in range(len(start))])
    return Forms([min(forms) for forms in zip(*candidates, strict=True)], candidates[0])


def decode(form: bytes) -> tuple[LabeledSite, ...]:
    """Return the sites (i, j, slot, label) of a form."""
    rows = np.frombuffer(form, ">i4").astype(int).reshape(-1, 4) - np.array([0, 0, 0, 2])
    return tuple((int(i), int(j), int(s), int(label)) for i, j, s, label in rows)


def compact(
    group: PointGroup, sites: tuple[LabeledSite, ...], steps: tuple[tuple[int, int], ...]
) -> tuple[LabeledSite, ...]:
    """Return the orientation of a shape that fills the fewest connected cells, the least of several.

    Parameters
    ----------
    group : PointGroup
    sites : tuple of (i, j, slot, label)
        Canonical form.
    steps : tuple of (int, int)
        From a cell to its neighbours, one of each pair of opposite ones.

    Returns
    -------
    tuple of (i, j, slot, label)
        In the setting of the canonical form. An operation that moves single sites may take two sites of one
        cell into two cells, or connected cells apart; how many cells this one has does not depend on which
        was seen.
    """
    rows = np.array(sites)
    back = np.round(np.linalg.inv(group.matrices[0])).astype(np.int64)
    best: tuple[tuple[bool, int], tuple[LabeledSite, ...]] | None = None
    for matrix, shifts in zip(group.matrices, group.shifts, strict=True):
        cell = rows[:, :2] @ (matrix @ back).T + shifts[rows[:, 2]]
        cell = cell - cell.min(axis=0)
        found = tuple(sorted(map(tuple, np.column_stack([cell, rows[:, 2:]]).tolist())))
        held = {(i, j) for i, j, _, _ in found}
        candidate = (not _connected(held, steps), len(held)), found
        best = candidate if best is None else min(best, candidate)
    assert best is not None
    return best[1]


def _connected(cells: set[tuple[int, int]], steps: tuple[tuple[int, int], ...]) -> bool:
    """Say whether steps lead from every cell to every other one."""
    left = set(cells)
    waiting = [left.pop()]
    while waiting:
        i, j = waiting.pop()
        for a, b in steps:
            for near in ((i + a, j + b), (i - a, j - b)):
                if near in left:
                    left.remove(near)
                    waiting.append(near)
    return not left


def shape_key(form: bytes, context: str) -> str:
    """Return the 16 hexadecimal digits that name a form within a context (symmetry, crystal)."""
    person = hashlib.blake2b(context.encode(), digest_size=16).digest()
    return hashlib.blake2b(form, digest_size=8, person=person).hexdigest()
