"""Figures of occupancy statistics, drawn with Matplotlib and without any global state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from motifgpu.figures.drawing import show_grey
from motifgpu.figures.palette import UNASSIGNED, motif_color
from motifgpu.occupancy.statistics import EXCLUDED, OccupancyStatistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ARROW = "#1E88E5"


def plot_patterns(statistics: OccupancyStatistics, limit: int = 16, columns: int = 8) -> Figure:
    """Draw the most frequent patterns with arrows to their filled corners, as in Fig. 4F and S20.

    Each square of 2 x 2 sites is drawn with one dot per site, filled or hollow, and an arrow from its middle
    to every filled corner. The title gives the entropy with its null.

    Parameters
    ----------
    statistics : OccupancyStatistics
    limit : int
        Most patterns drawn.
    columns : int
        Patterns in a row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = min(limit, len(statistics.counts))
    across = min(columns, shown)
    down = math.ceil(shown / across)
    figure = Figure(figsize=(1.15 * across + 0.4, 1.45 * down + 0.9), layout="constrained", dpi=150)
    null = statistics.null
    figure.suptitle(
        f"level {statistics.level}: {statistics.windows:,} windows, entropy {statistics.entropy:.2f} "
        f"of at most {statistics.ceiling:.2f} nats\n"
        f"independent sites {null.entropy:.2f} ± {null.deviation:.2f} (p = {null.p_value:.2g}); "
        f"top {shown}: {statistics.top[shown - 1]:.0%}, null {null.top[shown - 1]:.0%}",
        fontsize=8,
    )
    axes = figure.subplots(down, across, squeeze=False)
    for number, ax in enumerate(axes.ravel()):
        ax.axis("off")
        if number >= shown:
            continue
        _draw_pattern(ax, statistics.patterns[number], motif_color(number))
        ax.set_title(f"{statistics.counts[number] / statistics.windows:.1%}", fontsize=8)
    return figure


def _draw_pattern(ax: Axes, pattern: np.ndarray, color: str) -> None:
    side = len(pattern)
    ax.add_patch(Rectangle((-0.5, -0.5), side, side, facecolor="none", edgecolor=color, linewidth=2))
    rows, cols = np.nonzero(pattern >= 0)
    filled = pattern[rows, cols] == 1
    ax.scatter(cols, rows, s=90 / side, c=np.where(filled, "0.1", "w"), edgecolors="0.1", linewidths=0.8)
    _arrows(ax, cols[filled], rows[filled], (cols // 2 * 2 + 0.5)[filled], (rows // 2 * 2 + 0.5)[filled])
    ax.set(xlim=(-0.7, side - 0.3), ylim=(side - 0.3, -0.7), aspect="equal")


def _arrows(ax: Axes, x: np.ndarray, y: np.ndarray, from_x: np.ndarray, from_y: np.ndarray) -> None:
    """Draw arrows most of the way from the middle of a square to its filled corners."""
    ax.quiver(
        from_x,
        from_y,
        0.75 * (x - from_x),
        0.75 * (y - from_y),
        angles="xy",
        scale_units="xy",
        scale=1,
        color=_ARROW,
        units="xy",
        width=0.09 * float(np.median(np.hypot(x - from_x, y - from_y))) if len(x) else None,
        headwidth=3.5,
        headlength=3.5,
        headaxislength=3,
    )


def plot_arrows(
    grid: np.ndarray, centers: np.ndarray, image: np.ndarray | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the squares of 2 x 2 sites that tile the view, with arrows to their filled corners.

    As in Fig. S18. Squares with an excluded site are left out.

    Parameters
    ----------
    grid : (I, J) array
        Occupancies.
    centers : (I, J, 2) array
        Sites as (row, col), px.
    image : (H, W) array, optional
        Micrograph to draw on.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _canvas(centers, image, ax)
    rows, cols = (2 * (length // 2) for length in grid.shape)
    states = grid[:rows, :cols].reshape(rows // 2, 2, cols // 2, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
    places = centers[:rows, :cols].reshape(rows // 2, 2, cols // 2, 2, 2).transpose(0, 2, 1, 3, 4)
    places = places.reshape(-1, 4, 2)
    whole = (states != EXCLUDED).all(axis=1)
    states, places = states[whole], places[whole]
    ax.add_collection(
        PatchCollection(
            [Polygon(square[[0, 1, 3, 2], ::-1]) for square in places],
            facecolor="none",
            edgecolor="#56B4E9",
            linewidth=0.8,
        )
    )
    middle = np.repeat(places.mean(axis=1)[:, None], 4, axis=1)
    filled = states == 1
    _arrows(ax, *places[filled].T[::-1], *middle[filled].T[::-1])
    return ax


def plot_pattern_map(
    statistics: OccupancyStatistics,
    centers: np.ndarray,
    image: np.ndarray | None = None,
    limit: int = 8,
    ax: Axes | None = None,
) -> Axes:
    """Draw where the most frequent patterns stand, one colour per pattern, as in Fig. 4G.

    Windows may overlap; where they do, the more frequent pattern is on top.

    Parameters
    ----------
    statistics : OccupancyStatistics
    centers : (I, J, 2) array
        Sites of the grid as (row, col), px.
    image : (H, W) array, optional
        Micrograph to draw on.
    limit : int
        Patterns drawn in colour.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _canvas(centers, image, ax)
    side, stride = statistics.side, statistics.stride
    for rank in range(min(limit, len(statistics.counts)) - 1, -1, -1):
        squares = []
        for row, col in np.argwhere(statistics.ranks == rank) * stride:
            corners = centers[
                [row, row, row + side - 1, row + side - 1], [col, col + side - 1, col + side - 1, col]
            ]
            squares.append(Polygon(corners[:, ::-1]))
        ax.add_collection(
            PatchCollection(squares, facecolor=motif_color(rank), edgecolor=motif_color(rank), alpha=0.35)
        )
    share = statistics.top[min(limit, len(statistics.top)) - 1]
    ax.set_title(
        f"level {statistics.level}: {min(limit, len(statistics.top))} patterns, {share:.0%}", fontsize=9
    )
    return ax


def _canvas(centers: np.ndarray, image: np.ndarray | None, ax: Axes | None) -> Axes:
    if ax is None:
        ax = Figure(figsize=(6.5, 6.5), layout="constrained", dpi=150).add_subplot()
    options: dict[str, Any] = {"xticks": [], "yticks": [], "aspect": "equal"}
    if image is not None:
        show_grey(ax, image)
        ax.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5), **options)
    else:
        low, high = np.nanmin(centers, axis=(0, 1)), np.nanmax(centers, axis=(0, 1))
        ax.set(xlim=(low[1], high[1]), ylim=(high[0], low[0]), **options)
        ax.set_facecolor(UNASSIGNED + "30")
    return ax
