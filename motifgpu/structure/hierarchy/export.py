"""Hierarchies as JSON, GraphML, networkx graphs and tables."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.files import write_text
from motifgpu.core.text import as_text
from motifgpu.structure.cells import MISSING, Content
from motifgpu.structure.hierarchy.build import Hierarchy, Occurrences
from motifgpu.structure.hierarchy.motif_cell import Context, MotifCell

if TYPE_CHECKING:
    import os

    import networkx

SCHEMA = 1
_ARRAYS = ("node", "orientation", "micrograph", "positions", "offsets", "cells")


def motif_name(label: int, names: Sequence[str] | None = None) -> str:
    """Return what a motif is called: its name where there is one, else its number."""
    if label == MISSING:
        return "no column"
    if label < 0:
        return "unassigned"
    return names[label] if names is not None and label < len(names) else str(label)


def describe(node: MotifCell, names: Sequence[str] | None = None) -> str:
    """Say in words what a motif-cell holds beside the crystal's motifs: ``"2 V_Se + Fe"``, say.

    Parameters
    ----------
    node : MotifCell
    names : sequence of str, optional
        Names of the motifs.

    Returns
    -------
    str
    """
    labels = [label for _, _, _, label in node.sites] or [
        label for _, _, content in node.cells for label in content
    ]
    held = sorted(Counter(labels).items(), key=lambda entry: (-entry[1], entry[0]))
    return " + ".join((f"{n} " if n > 1 else "") + motif_name(label, names) for label, n in held)


def to_json(hierarchy: Hierarchy) -> str:
    """Write a hierarchy, its occurrences and its edges as JSON, from which `from_json` reads it back.

    Parameters
    ----------
    hierarchy : Hierarchy

    Returns
    -------
    str
    """
    o = hierarchy.occurrences
    content = {
        "schema": SCHEMA,
        "context": hierarchy.context._asdict(),
        "linking": hierarchy.linking,
        "micrographs": hierarchy.micrographs,
        "truncated": hierarchy.truncated,
        "dropped": hierarchy.dropped,
        "warnings": list(hierarchy.warnings),
        "contents": [[list(c), n] for c, n in hierarchy.contents.items()],
        "dominant": [list(c) for c in hierarchy.dominant],
        "motif_cells": [
            {
                "key": node.key,
                "level": node.level,
                "count": node.count,
                "cells": [[i, j, list(c)] for i, j, c in node.cells],
                "sites": [list(site) for site in node.sites],
                "orientations": [[[i, j, list(c)] for i, j, c in way] for way in node.orientations],
                "bonds": [list(bond) for bond in node.bonds],
            }
            for node in hierarchy.nodes
        ],
        "edges": hierarchy.edges.tolist(),
        "occurrences": {name: np.round(getattr(o, name), 3).tolist() for name in _ARRAYS},
    }
    return json.dumps(content)


def from_json(text: str) -> Hierarchy:
    """Read what `to_json` wrote; edges are computed again when needed.

    Parameters
    ----------
    text : str

    Returns
    -------
    Hierarchy

    Raises
    ------
    StageError
        If the text is no hierarchy, or of another schema.
    """
    try:
        data: Mapping[str, Any] = json.loads(text)
        if data["schema"] != SCHEMA:
            raise StageError(
                "hierarchy",
                f"the schema is {data['schema']!r}, not {SCHEMA}",
                "read it with the version that wrote it",
            )

        def content(labels: Sequence[int]) -> Content:
            return tuple(map(int, labels))

        nodes = tuple(
            MotifCell(
                key=str(n["key"]),
                level=int(n["level"]),
                cells=tuple((i, j, content(c)) for i, j, c in n["cells"]),
                sites=tuple((i, j, s, label) for i, j, s, label in n["sites"]),
                orientations=tuple(tuple((i, j, content(c)) for i, j, c in way) for way in n["orientations"]),
                bonds=tuple((a, b) for a, b in n["bonds"]),
                count=int(n["count"]),
            )
            for n in data["motif_cells"]
        )
        o = {name: np.array(data["occurrences"][name], np.int64) for name in _ARRAYS if name != "positions"}
        positions = np.array(data["occurrences"]["positions"], np.float64).reshape(-1, 2)
        return Hierarchy(
            nodes=nodes,
            occurrences=Occurrences(positions=positions, **o),
            context=Context(**data["context"]),
            contents={content(c): int(n) for c, n in data["contents"]},
            dominant=tuple(map(content, data["dominant"])),
            truncated=int(data["truncated"]),
            dropped=int(data["dropped"]),
            micrographs=int(data["micrographs"]),
            linking=data["linking"],
            warnings=tuple(data["warnings"]),
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise StageError(
            "hierarchy", f"the text is no hierarchy ({error!r})", "give what to_json wrote"
        ) from error


def to_networkx(hierarchy: Hierarchy, names: Sequence[str] | None = None) -> networkx.DiGraph:
    """Return the hierarchy as a graph whose edges lead from motif-cells to those they lie in.

    Parameters
    ----------
    hierarchy : Hierarchy
    names : sequence of str, optional
        Names of the motifs, for the attribute ``holds``.

    Returns
    -------
    networkx.DiGraph
        Vertices are keys, with level, count, share of all occurrences, holds, sites and cells as text.
    """
    import networkx

    graph = networkx.DiGraph()
    total = max(int(hierarchy.counts.sum()), 1)
    for node in hierarchy.nodes:
        graph.add_node(
            node.key,
            level=node.level,
            count=node.count,
            share=node.count / total,
            holds=describe(node, names),
            sites=json.dumps(node.sites),
            cells=json.dumps(node.cells),
        )
    graph.add_edges_from((hierarchy.nodes[a].key, hierarchy.nodes[b].key) for a, b in hierarchy.edges)
    return graph


def to_graphml(hierarchy: Hierarchy, names: Sequence[str] | None = None) -> str:
    """Return `to_networkx` as GraphML, which Gephi, yEd and Cytoscape read."""
    import networkx

    return "\n".join(networkx.generate_graphml(to_networkx(hierarchy, names))) + "\n"


def to_table(hierarchy: Hierarchy, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return one row per motif-cell.

    Parameters
    ----------
    hierarchy : Hierarchy
    names : sequence of str, optional
        Names of the motifs.

    Returns
    -------
    list of dict
        key, level, count, share of all occurrences, number of orientations and of micrographs it was seen in,
        what it holds, and the keys of the motif-cells that lie in it.
    """
    total = max(int(hierarchy.counts.sum()), 1)
    inside: list[list[str]] = [[] for _ in hierarchy.nodes]
    for lower, higher in hierarchy.edges:
        inside[higher].append(hierarchy.nodes[lower].key)
    o = hierarchy.occurrences
    images = np.unique(np.column_stack([o.node, o.micrograph]), axis=0)[:, 0]
    seen_in = np.bincount(images, minlength=len(hierarchy.nodes))
    return [
        {
            "key": node.key,
            "level": node.level,
            "count": node.count,
            "share": node.count / total,
            "orientations": len(node.orientations),
            "micrographs": int(seen_in[k]),
            "holds": describe(node, names),
            "contains": " ".join(inside[k]),
        }
        for k, node in enumerate(hierarchy.nodes)
    ]


def to_csv(hierarchy: Hierarchy, names: Sequence[str] | None = None) -> str:
    """Return `to_table` as comma-separated values."""
    columns = ("key", "level", "count", "share", "orientations", "micrographs", "holds", "contains")
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for row in to_table(hierarchy, names):
        writer.writerow(
            {name: as_text(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        )
    return out.getvalue()


def save_hierarchy(
    hierarchy: Hierarchy, path: str | os.PathLike[str], names: Sequence[str] | None = None
) -> Path:
    """Write a hierarchy in the format of the path's ending: .json, .graphml or .csv.

    Parameters
    ----------
    hierarchy : Hierarchy
    path : path-like
    names : sequence of str, optional
        Names of the motifs.

    Returns
    -------
    Path

    Raises
    ------
    StageError
        If the ending is none of these.
    """
    path = Path(path)
    if path.suffix == ".json":
        text = to_json(hierarchy)
    elif path.suffix == ".graphml":
        text = to_graphml(hierarchy, names)
    elif path.suffix == ".csv":
        text = to_csv(hierarchy, names)
    else:
        raise StageError(
            "hierarchy", f"{path.name} ends in {path.suffix!r}", "choose .json, .graphml or .csv"
        )
    return write_text(path, text)
