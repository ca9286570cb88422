"""Motif-cells on the micrograph, and how their number grows with their size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from motifgpu.core.namespace import to_numpy
from motifgpu.core.text import counted
from motifgpu.figures.drawing import log_scale, show_grey
from motifgpu.figures.hierarchy import CRYSTAL, cell_fill, differing, motif_legend
from motifgpu.structure.cells import Cells
from motifgpu.structure.hierarchy import Hierarchy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_cells(
    cells: Cells,
    image: Any = None,
    *,
    hierarchy: Hierarchy | None = None,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the motif-cells on the micrograph, as in Fig. 2B and C.

    Parameters
    ----------
    cells : Cells
    image : (H, W) array, optional
        Micrograph to draw them on.
    hierarchy : Hierarchy, optional
        Outlines what grew together; cells of components at the border are hatched.
    names : sequence of str, optional
        Names of the motifs, for the legend.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        ax = Figure(figsize=(7.5, 7.8), layout="constrained", dpi=150).add_subplot()
    if image is not None:
        picture = to_numpy(image)
        show_grey(ax, picture)
    crystal = hierarchy.dominant[0] if hierarchy and hierarchy.dominant else cells.contents[0]
    dominant = hierarchy.dominant if hierarchy else (crystal,)
    other = {k for k, content in enumerate(cells.contents) if content not in dominant}
    usual = ~np.isin(cells.types, list(other))
    edge = "#FFFFFF55" if image is not None else "0.8"
    ax.add_collection(
        PolyCollection(
            [cells.polygons[k][:, ::-1] for k in np.flatnonzero(usual)],
            facecolors="none" if image is not None else CRYSTAL,
            edgecolors=edge,
            linewidths=0.5,
        )
    )
    grown = np.zeros(len(cells), bool)
    if hierarchy:
        grown[hierarchy.occurrences.cells] = True
    for rows, alpha in ((np.flatnonzero(~usual & grown), 0.85), (np.flatnonzero(~usual & ~grown), 0.4)):
        ax.add_collection(
            PolyCollection(
                [cells.polygons[k][:, ::-1] for k in rows],
                facecolors=[
                    cell_fill(cells.contents[cells.types[k]], crystal, cells.reading, 1.0) for k in rows
                ],
                edgecolors="white",
                linewidths=0.7,
                alpha=alpha,
            )
        )
    if image is None:
        ax.set_aspect("equal")
        ax.autoscale_view()
        ax.invert_yaxis()
    else:
        ax.set(xlim=(-0.5, picture.shape[1] - 0.5), ylim=(picture.shape[0] - 0.5, -0.5))
    ax.set(xticks=[], yticks=[])
    shares = f"{int((~usual).sum()):,} of {len(cells):,} motif-cells differ from the crystal's"
    ax.set_title(
        shares + (" (pale: cut by the border)" if hierarchy and (~usual & ~grown).any() else ""), fontsize=10
    )
    held = {
        label
        for k in other
        for label, is_ in zip(
            cells.contents[k], differing(cells.contents[k], crystal, cells.reading), strict=True
        )
        if is_
    }
    if held:
        motif_legend(ax, sorted(held), names)
    return ax


def plot_growth(hierarchy: Hierarchy, ax: Axes | None = None) -> Axes:
    """Draw the number of distinct motif-cells and of their occurrences against level.

    Parameters
    ----------
    hierarchy : Hierarchy
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        ax = Figure(figsize=(5.2, 3.6), layout="constrained", dpi=150).add_subplot()
    g = hierarchy.growth
    ax.plot(g.level, g.occurrences, "o-", color="0.6", markersize=4, linewidth=1.2, label="places")
    ax.plot(
        g.level, g.distinct, "o-", color="#0072B2", markersize=5, linewidth=1.6, label="distinct motif-cells"
    )
    times = f"{math.exp(g.rate):.2g} times as many from level to level"
    text = "too few places for a rate" if math.isnan(g.rate) else times
    ax.set_title(f"{counted(int(g.distinct.sum()), 'distinct motif-cell')}; {text}", fontsize=10)
    ax.set(xlabel="level (cells)", ylabel="number", xlim=(0.5, max(g.level, default=1) + 0.5))
    log_scale(ax, "y")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=8)
    return ax
