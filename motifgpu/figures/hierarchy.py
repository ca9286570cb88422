"""The hierarchy of motif-cells, drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, PathPatch
from matplotlib.patches import Polygon as PolygonPatch
from matplotlib.path import Path

from motifgpu.core.errors import StageError
from motifgpu.core.text import counted
from motifgpu.figures.drawing import plain
from motifgpu.figures.palette import motif_color
from motifgpu.structure.cells import MISSING, Cells, Content
from motifgpu.structure.hierarchy.build import Hierarchy
from motifgpu.structure.hierarchy.export import motif_name
from motifgpu.structure.hierarchy.motif_cell import MotifCell
from motifgpu.structure.hierarchy.shapes import lattice_group

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, CRYSTAL = "#30343A", "#EEF0F2"
_BETWEEN, _LABEL_ROOM = 0.9, 0.75  # between shapes, and for the count below one, in cell lengths


def _light(color: str, share: float = 0.5) -> tuple[float, ...]:
    return tuple(float(c) for c in (1 - share) + share * np.array(to_rgb(color)))


def differing(content: Content, crystal: Content, reading: str) -> list[bool]:
    """Say of each entry of a cell's content whether the crystal's cell lacks it."""
    if reading == "set":
        return [label not in crystal and label != MISSING for label in content]
    return [label != usual for label, usual in zip(content, crystal, strict=True)]


def cell_fill(content: Content, crystal: Content, reading: str, share: float) -> tuple[float, ...]:
    """Return the mean colour of the motifs that the crystal's cell lacks, a missing one being white."""
    other = [label for label, is_ in zip(content, differing(content, crystal, reading), strict=True) if is_]
    if not other:
        return to_rgb(CRYSTAL)
    colors = [(1.0, 1.0, 1.0) if k == MISSING else _light(motif_color(k), share) for k in other]
    return tuple(float(c) for c in np.mean(colors, axis=0))


@dataclass(frozen=True, eq=False)
class ToScale:
    """A motif-cell to scale: y upwards, lengths in units of the shorter lattice vector, lower left at 0."""

    polygons: list[np.ndarray]
    contents: list[Content]
    sites: list[np.ndarray]
    size: np.ndarray


def draw_to_scale(hierarchy: Hierarchy, cells: Cells, place: int) -> ToScale:
    """Return a motif-cell in the shape that the lattice of `cells` gives it."""
    node = hierarchy.nodes[place]
    if cells.lattice is None:
        occurrence = int(np.flatnonzero(hierarchy.occurrences.node == place)[0])
        rows = hierarchy.occurrences.members(occurrence)
        unit = math.sqrt(float(np.median([_area(p) for p in cells.polygons])))
        polygons = [cells.polygons[row][:, ::-1] * (1, -1) / unit for row in rows]
        sites = [cells.centers[row][None, ::-1] * (1, -1) / unit for row in rows]
        contents = [cells.contents[cells.types[row]] for row in rows]
    else:
        lattice = cells.lattice
        unit = min(np.hypot(*lattice.u), np.hypot(*lattice.v))
        basis = np.stack([lattice.u, lattice.v], axis=1)[::-1] * np.array([[1], [-1]]) / unit
        # Shapes are kept in the setting of the symmetry; here they go back to that of this micrograph.
        back = np.eye(2)
        if hierarchy.context.symmetry not in ("translations", "rotations90"):
            back = np.linalg.inv(lattice_group(lattice, cells.slots).matrices[0])
        index = np.array([(i, j) for i, j, _ in node.cells]) @ back.T
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        polygons = [(ij + corners) @ basis.T for ij in index]
        sites = [(ij + lattice.basis[cells.slots]) @ basis.T for ij in index]
        contents = [content for _, _, content in node.cells]
    every = np.concatenate(polygons)
    low = every.min(axis=0)
    return ToScale([p - low for p in polygons], contents, [s - low for s in sites], np.ptp(every, axis=0))


def _area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return 0.5 * abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))


def _draw_shape(ax: Axes, drawing: ToScale, corner: np.ndarray, crystal: Content, reading: str) -> None:
    for polygon, content in zip(drawing.polygons, drawing.contents, strict=True):
        color = cell_fill(content, crystal, reading, 0.5)
        ax.add_patch(
            PolygonPatch(polygon + corner, facecolor=color, edgecolor="white", linewidth=1.0, zorder=3)
        )
    # The outline is what no two cells share.
    sides: dict[tuple[tuple[float, ...], ...], np.ndarray] = {}
    for polygon in drawing.polygons:
        for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            key = tuple(sorted(tuple(np.round(p, 3).tolist()) for p in (a, b)))
            if sides.pop(key, None) is None:
                sides[key] = np.stack([a, b]) + corner
    ax.add_collection(
        LineCollection(list(sides.values()), colors=_INK, linewidths=1.1, zorder=4, capstyle="round")
    )
    for places, content in zip(drawing.sites, drawing.contents, strict=True):
        for (x, y), label, other in zip(
            places + corner, content, differing(content, crystal, reading), strict=True
        ):
            if reading == "set" and label == MISSING:
                continue
            empty = label == MISSING
            ax.add_patch(
                Circle(
                    (x, y),
                    0.17 if other else 0.10,
                    facecolor="white" if empty else motif_color(label),
                    edgecolor=_INK,
                    linewidth=0.9 if other else 0.4,
                    linestyle=(0, (2, 1.5)) if empty else "-",
                    zorder=5,
                )
            )


def plot_hierarchy(
    hierarchy: Hierarchy,
    cells: Cells,
    *,
    names: Sequence[str] | None = None,
    limit: int = 12,
    levels: int = 8,
    ax: Axes | None = None,
) -> Figure:
    """Draw the hierarchy as in Fig. 2D and S15B: motif-cells as they are, stacked by level, with counts.

    Parameters
    ----------
    hierarchy : Hierarchy
    cells : Cells
        Of the micrograph, or of one of those that were merged: its lattice gives cells their shape.
    names : sequence of str, optional
        Names of the motifs, for the legend.
    limit : int
        Most motif-cells drawn in a level, the most frequent ones; how many are left out is written.
    levels : int
        Most levels drawn, the lowest ones.
    ax : matplotlib.axes.Axes, optional
        Where to draw, instead of in a figure of the size that the shapes need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    StageError
        If hierarchies of Voronoi cells were merged: each shape is then of its own micrograph.
    """
    if cells.lattice is None and hierarchy.micrographs > 1:
        raise StageError(
            "hierarchy",
            f"{hierarchy.micrographs} micrographs of Voronoi cells were merged, which share no lattice",
            "draw the hierarchy of each micrograph",
        )
    crystal = hierarchy.dominant[0] if hierarchy.dominant else cells.contents[0]
    title = f"{counted(len(hierarchy.nodes), 'motif-cell')} in {counted(len(hierarchy.occurrences), 'place')}"
    if not hierarchy.nodes:
        ax = ax or Figure(figsize=(5, 2), layout="constrained", dpi=150).add_subplot()
        ax.axis("off")
        ax.set_title("; ".join(hierarchy.warnings) or "no motif-cell", fontsize=9, wrap=True)
        return cast(Figure, ax.figure)
    present = np.unique(hierarchy.levels)
    rows = _rows(hierarchy, cells, present[:levels], limit)
    left_out = present[levels:]
    width = max(sum(d.size[0] for _, d in row) + _BETWEEN * (len(row) + 1) for _, row, _ in rows)
    width = max(width, 9.0)
    heights = [max(d.size[1] for _, d in row) + _LABEL_ROOM + 1.6 for _, row, _ in rows]
    scale = min(0.36, 14.0 / (width + 5.0), 16.0 / sum(heights))
    size = (scale * (width + 5.0) / 0.96, scale * (sum(heights) + 0.2) + 0.95)
    if ax is None:
        ax = Figure(figsize=size, dpi=150).add_axes((0.02, 0.55 / size[1], 0.96, 1 - 0.95 / size[1]))
    ports: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    base = 0.0
    for (level, row, hidden), height in zip(rows, heights, strict=True):
        _draw_row(ax, hierarchy, row, base, height, width, crystal, ports)
        ax.text(-0.4, base + height / 2, f"level {level}", ha="right", va="center", fontsize=9, color=_INK)
        if hidden[0]:
            text = f"{hidden[0]} more\n({hidden[1]:,} places)"
            ax.text(width + 0.2, base + height / 2, text, ha="left", va="center", fontsize=7, color="0.45")
        base += height
    _draw_edges(ax, hierarchy, ports, crystal)
    ax.set(xlim=(-2.6, width + 2.4), ylim=(-0.1, base + 0.1))
    ax.set_aspect("equal")
    ax.axis("off")
    if len(left_out):
        title += f"; levels {', '.join(map(str, left_out))} are not drawn"
    ax.set_title(title, fontsize=10)
    shown = [(node, d) for _, row, _ in rows for node, d in row]
    motif_legend(ax, [label for _, d in shown for c in d.contents for label in c] + list(crystal), names)
    return cast(Figure, ax.figure)


_Row = list[tuple[int, ToScale]]


def _rows(
    hierarchy: Hierarchy, cells: Cells, present: np.ndarray, limit: int
) -> list[tuple[int, _Row, tuple[int, int]]]:
    """Choose and order what is drawn: each row with how much of its level is hidden."""
    below: dict[int, list[int]] = {}
    for lower, higher in hierarchy.edges.tolist():
        below.setdefault(higher, []).append(lower)
    x: dict[int, float] = {}
    result = []
    for level in present.tolist():
        here = np.flatnonzero(hierarchy.levels == level)
        chosen, rest = here[:limit].tolist(), here[limit:]

        def centre(place: int) -> float:
            known = [x[k] for k in below.get(place, ()) if k in x]
            return float(np.mean(known)) if known else 0.5

        # Above what lies in them, so that few edges cross.
        ordered = sorted(chosen, key=centre) if x else chosen
        for k, place in enumerate(ordered):
            x[place] = (k + 0.5) / len(ordered)
        row = [(place, draw_to_scale(hierarchy, cells, place)) for place in ordered]
        result.append((level, row, (len(rest), int(hierarchy.counts[rest].sum()))))
    return result


def _draw_row(
    ax: Axes,
    hierarchy: Hierarchy,
    row: _Row,
    base: float,
    height: float,
    width: float,
    crystal: Content,
    ports: dict[int, tuple[np.ndarray, np.ndarray]],
) -> None:
    if round(base * 100) and height:
        ax.axhline(base, color="0.9", linewidth=0.8, zorder=0)
    gap = (width - sum(d.size[0] for _, d in row)) / (len(row) + 1)
    left = gap
    for place, drawing in row:
        low = base + (height + _LABEL_ROOM - drawing.size[1]) / 2
        _draw_shape(ax, drawing, np.array([left, low]), crystal, hierarchy.context.reading)
        middle = left + drawing.size[0] / 2
        count = hierarchy.nodes[place].count
        ax.text(
            middle,
            low - 0.2,
            f"{count:,}",
            ha="center",
            va="top",
            fontsize=8,
            color=_INK,
            fontweight="bold",
            zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )
        ports[place] = (
            np.array([middle, low - _LABEL_ROOM]),
            np.array([middle, low + drawing.size[1] + 0.12]),
        )
        left += drawing.size[0] + gap


def _draw_edges(
    ax: Axes, hierarchy: Hierarchy, ports: dict[int, tuple[np.ndarray, np.ndarray]], crystal: Content
) -> None:
    for lower, higher in hierarchy.edges.tolist():
        if lower not in ports or higher not in ports:
            continue
        (x0, y0), (x1, y1) = ports[lower][1], ports[higher][0]
        bend = 0.5 * (y1 - y0)
        path = Path([(x0, y0), (x0, y0 + bend), (x1, y1 - bend), (x1, y1)], [1, 4, 4, 4])
        color = _edge_color(hierarchy.nodes[lower], crystal, hierarchy.context.reading)
        ax.add_patch(PathPatch(path, facecolor="none", edgecolor=color, linewidth=1.1, alpha=0.7, zorder=1))


def _edge_color(node: MotifCell, crystal: Content, reading: str) -> Any:
    labels = {
        label
        for _, _, content in node.cells
        for label, is_ in zip(content, differing(content, crystal, reading), strict=True)
        if is_
    }
    return motif_color(labels.pop()) if len(labels) == 1 and min(labels) >= 0 else "0.55"


def motif_legend(ax: Axes, labels: Sequence[int], names: Sequence[str] | None) -> None:
    """Write the motifs `labels` below the axes, each once, with its colour."""
    handles = [
        Line2D(
            [],
            [],
            marker="o",
            linestyle="none",
            markersize=7,
            markerfacecolor="white" if label == MISSING else motif_color(label),
            markeredgecolor=_INK,
            markeredgewidth=0.7,
            label=plain(motif_name(label, names)),
        )
        for label in sorted(set(labels), key=lambda k: (k < 0, k))
    ]
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=min(len(handles), 8),
        frameon=False,
        fontsize=8,
        handletextpad=0.2,
    )
