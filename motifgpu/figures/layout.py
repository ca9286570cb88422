"""The force-relaxed layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.figures.drawing import TITLE, axes, per_label, plain
from motifgpu.figures.palette import SHAPES, environment_color, label_color, motif_color, motif_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from motifgpu.analysis import Analysis

COLORS = ("motif", "identity", "domain", "environment", "confidence")
PLURALS = {kind: f"{kind}s" for kind in COLORS[:-1]} | {"identity": "identities"}
LEAST_CLUMP = 3  # columns of an environment that get a disc
_MOST_NAMES = 24  # in a legend


def column_values(analysis: Analysis) -> dict[str, np.ndarray]:
    """Return what columns may be coloured by, each an array (N,), by the names in `COLORS`."""
    motifs = analysis.motifs
    found = motifs.labels, motifs.identities, motifs.domains, motifs.environments, motifs.confidence
    return {name: to_numpy(values) for name, values in zip(COLORS, found, strict=True)}


def no_label(color: str) -> str:
    """Return what a label of -1 says."""
    return "at a boundary" if color == "domain" else "unassigned"


def _called(analysis: Analysis, color: str, label: int) -> str:
    """Return what a label is called in a legend, whose title says what it is of."""
    if label < 0:
        return no_label(color)
    names = analysis.motifs.names if color == "motif" else ()
    return plain(names[label]) if label < len(names) and names[label] else str(label)


def dot_area(n: int) -> float:
    """Return the area of a dot, points squared, at which n of them show their clumps."""
    return min(max(6000 / max(n, 1), 1.5), 14.0)


def plot_layout(analysis: Analysis, ax: Axes | None = None, color: str = "motif") -> Axes:
    """Draw the force-relaxed layout, one point per column and one disc per environment.

    Parameters
    ----------
    analysis : Analysis
    ax : matplotlib.axes.Axes, optional
    color : {"motif", "identity", "domain", "environment", "confidence"}
        What the points are coloured by.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    StageError
        If there is no such colouring.
    """
    if color not in COLORS:
        raise StageError("plots", f"color is {color!r}", f"choose one of {', '.join(COLORS)}")
    ax = axes(ax, (7.5, 6.0))
    layout = to_numpy(analysis.layout)
    values = column_values(analysis)
    motifs, environments = values["motif"], values["environment"]
    # Clumps are small on the page, so the area of a disc shows how many columns an environment has.
    for label, rows in per_label(environments):
        if len(rows) >= LEAST_CLUMP and label >= 0:
            x, y = np.median(layout[rows], axis=0)
            shade = environment_color(label) if color == "environment" else motif_color(int(motifs[rows[0]]))
            area = 9000 * len(rows) / len(layout)
            ax.scatter(x, y, s=area, color=shade, alpha=0.22, linewidths=0, zorder=1)
    size = dot_area(len(layout))
    if color == "confidence":
        drawn = ax.scatter(
            layout[:, 0],
            layout[:, 1],
            s=size,
            c=values[color],
            vmin=0.0,
            vmax=1.0,
            linewidths=0,
            rasterized=True,
            zorder=2,
        )
        ax.figure.colorbar(drawn, ax=ax, shrink=0.8).set_label("confidence")
        named = "coloured by confidence"
    else:
        labels = values[color]
        kinds = 0
        for label, rows in per_label(labels):
            kinds += label >= 0
            ax.scatter(
                layout[rows, 0],
                layout[rows, 1],
                s=size,
                c=label_color(color, label),
                marker=SHAPES[motif_shape(label)][0],
                linewidths=0,
                rasterized=True,
                label=f"{_called(analysis, color, label)} ({len(rows):,})",
                zorder=2,
            )
        if kinds <= _MOST_NAMES:
            ax.legend(title=color, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, markerscale=3)
        named = f"{kinds} {color if kinds == 1 else PLURALS[color]}"
    ax.set_aspect("equal", adjustable="datalim")
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"Force-relaxed layout, {len(layout):,} columns, {named}", **TITLE)
    return ax
