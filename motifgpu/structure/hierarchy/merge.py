"""One hierarchy from those of many micrographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.structure.cells import Content
from motifgpu.structure.hierarchy.build import Hierarchy, Occurrences
from motifgpu.structure.hierarchy.motif_cell import Cell, MotifCell, node_order

# By key: the motif-cell as first met, its orientations in the order met, and its count.
_Merged = dict[str, tuple[MotifCell, dict[tuple[Cell, ...], int], int]]


def merge_hierarchies(hierarchies: Sequence[Hierarchy]) -> Hierarchy:
    """Merge the hierarchies of many micrographs, motif-cells with equal keys becoming one.

    Parameters
    ----------
    hierarchies : sequence of Hierarchy
        Built with the same options from labels that mean the same in all micrographs.

    Returns
    -------
    Hierarchy
        `Occurrences.micrograph` numbers all merged micrographs consecutively. Time and memory are linear in
        the number of occurrences; edges are computed again when first used.

    Raises
    ------
    StageError
        If there are no hierarchies, or they were built with different options.

    Examples
    --------
    The motif-cells of two micrographs; those that occur in both are counted together:

    >>> import motifgpu
    >>> hierarchies = []
    >>> for seed in (0, 1):
    ...     made = motifgpu.simulate.monolayer(
    ...         shape=(192, 192), lattice_constant=12.0, vacancies=0.1, seed=seed
    ...     )
    ...     cells = motifgpu.motif_cells(motifgpu.fit_lattice(made.points), made.labels)
    ...     hierarchies.append(motifgpu.build_hierarchy(cells))
    >>> merged = motifgpu.merge_hierarchies(hierarchies)
    >>> merged.micrographs
    2
    >>> bool(merged.counts[0] == sum(hierarchy.counts[0] for hierarchy in hierarchies))
    True
    """
    if not hierarchies:
        raise StageError("hierarchy", "there is no hierarchy to merge", "give at least one")
    one = hierarchies[0]
    for other in hierarchies:
        if (other.context, other.linking) != (one.context, one.linking):
            raise StageError(
                "hierarchy",
                f"hierarchies differ in how they were built: {one.context}, linking {one.linking!r} and"
                f" {other.context}, linking {other.linking!r}",
                "build all with the same options (the symmetry's name, not auto, where lattices differ)",
            )
    merged: _Merged = {}
    for h in hierarchies:
        for node in h.nodes:
            first, ways, count = merged.get(node.key, (node, {}, 0))
            for way in node.orientations if one.context.symmetry != "graph" else first.orientations:
                ways.setdefault(way, len(ways))
            merged[node.key] = (first, ways, count + node.count)
    nodes = sorted(
        (replace(first, orientations=tuple(ways), count=count) for first, ways, count in merged.values()),
        key=node_order,
    )
    place = {node.key: k for k, node in enumerate(nodes)}
    contents: dict[Content, int] = {}
    for h in hierarchies:
        for content, count in h.contents.items():
            contents[content] = contents.get(content, 0) + count
    dominant = dict.fromkeys(content for h in hierarchies for content in h.dominant)
    warnings = dict.fromkeys(text for h in hierarchies for text in h.warnings)
    crystals = {h.dominant[0] for h in hierarchies if h.dominant}
    if len(crystals) > 1:
        warnings[
            f"the micrographs have {len(crystals)} different dominant cells: their motif-cells are kept apart"
        ] = None
    return Hierarchy(
        nodes=tuple(nodes),
        occurrences=_joined(hierarchies, merged, place),
        context=one.context,
        contents=dict(sorted(contents.items(), key=lambda entry: (-entry[1], entry[0]))),
        dominant=tuple(dominant),
        truncated=sum(h.truncated for h in hierarchies),
        dropped=sum(h.dropped for h in hierarchies),
        micrographs=sum(h.micrographs for h in hierarchies),
        linking=one.linking,
        warnings=tuple(warnings),
    )


def _joined(
    hierarchies: Sequence[Hierarchy],
    merged: _Merged,
    place: dict[str, int],
) -> Occurrences:
    """Return the occurrences of all, with the numbers of the merged nodes, orientations and micrographs."""
    node, orientation, micrograph, offsets = [], [], [], [np.zeros(1, np.int64)]
    images, total = 0, 0
    for h in hierarchies:
        o = h.occurrences
        ways = [merged[n.key][1] for n in h.nodes]
        widest = max((len(n.orientations) for n in h.nodes), default=1)
        table = np.zeros((len(h.nodes), widest), np.int64)
        for k, n in enumerate(h.nodes):
            table[k, : len(n.orientations)] = [ways[k].get(way, 0) for way in n.orientations]
        node.append(np.array([place[n.key] for n in h.nodes], np.int64)[o.node])
        orientation.append(table[o.node, o.orientation])
        micrograph.append(o.micrograph + images)
        offsets.append(o.offsets[1:] + total)
        images += h.micrographs
        total += len(o.cells)
    return Occurrences(
        node=np.concatenate(node),
        orientation=np.concatenate(orientation),
        micrograph=np.concatenate(micrograph),
        positions=np.concatenate([h.occurrences.positions for h in hierarchies]),
        offsets=np.concatenate(offsets),
        cells=np.concatenate([h.occurrences.cells for h in hierarchies]),
    )
