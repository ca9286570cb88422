"""The micrograph with its columns, its background, and what was rebuilt from motifs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.figures.drawing import (
    PIXELS,
    TITLE,
    axes,
    display_range,
    frame,
    image_size,
    per_label,
    show_image,
)
from motifgpu.figures.layout import PLURALS, column_values
from motifgpu.figures.palette import SHAPES, label_color, motif_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from motifgpu.analysis import Analysis
    from motifgpu.reconstruction.rebuild import Reconstruction


def plot_micrograph(analysis: Analysis, ax: Axes | None = None, color: str = "motif") -> Axes:
    """Draw the micrograph with its columns, coloured by motif or by domain, and a scale bar.

    Columns too near the border for a patch are drawn as small grey crosses, predicted sites where no atom is
    seen as open squares.

    Parameters
    ----------
    analysis : Analysis
    ax : matplotlib.axes.Axes, optional
    color : {"motif", "identity", "domain", "environment"}
        What the columns are coloured by; of domains, columns at a boundary are grey.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    StageError
        If there is no such colouring.
    """
    if color not in PLURALS:
        raise StageError("plots", f"color is {color!r}", f"choose one of {', '.join(PLURALS)}")
    image = to_numpy(analysis.micrograph.image)
    height, width = image.shape
    spacing = math.sqrt(height * width / max(len(analysis.columns), 1))
    if ax is None:
        # Wide enough for 9 points between columns, within what a page and a screen show.
        inches = min(max(9 / 72 * width / spacing, 7.5), 12.0)
        ax = axes(None, image_size(image.shape, inches))
        shown = 72 * 0.96 * inches / width
    else:
        box = ax.get_window_extent()
        shown = 72 / ax.figure.dpi * min(box.width / width, box.height / height)
    valid = analysis.micrograph.valid
    show_image(ax, image, analysis.micrograph.pixel_size_nm, None if valid is None else to_numpy(valid))
    points, labels = to_numpy(analysis.points), column_values(analysis)[color]
    mask, occupied = to_numpy(analysis.mask), to_numpy(analysis.columns.occupied)
    every = to_numpy(analysis.columns.points)
    # Marker areas are in points squared; rings of 0.62 of the spacing go round a column and stay apart.
    area = min(max((0.62 * spacing * shown) ** 2, 2.0), 200.0)
    line = min(max(0.08 * spacing * shown, 0.4), 1.6)
    ax.scatter(
        every[~mask, 1], every[~mask, 0], s=0.15 * area, c="#B8C4D6", marker="x", linewidths=0.6 * line
    )
    for label, rows in per_label(labels):
        for marker, seen in ((SHAPES[motif_shape(label)][0], True), ("s", False)):
            chosen = rows[occupied[mask][rows] == seen]
            ax.scatter(
                points[chosen, 1],
                points[chosen, 0],
                s=area,
                marker=marker,
                facecolors="none",
                edgecolors=label_color(color, label),
                linewidths=line,
                alpha=1.0 if len(rows) < 0.2 * len(labels) else 0.6,  # the rare ones are what one looks for
                rasterized=True,
            )
    kinds = int(labels.max(initial=-1)) + 1
    ax.set_title(f"{len(points):,} atom columns, {kinds} {color if kinds == 1 else PLURALS[color]}", **TITLE)
    return ax


def plot_background(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """Draw the slow background of the micrograph, in the micrograph's unit of intensity.

    Parameters
    ----------
    analysis : Analysis
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    from motifgpu.columns.background import estimate_background

    image = analysis.micrograph.image
    background = to_numpy(estimate_background(image))
    ax = axes(ax, image_size(background.shape, 6.0, 0.9))
    drawn = ax.imshow(background, cmap="cividis", **PIXELS)
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.8)
    bar.set_label("intensity")
    frame(ax, background.shape, analysis.micrograph.pixel_size_nm)
    low, high = display_range(to_numpy(image))
    share = float(np.ptp(np.percentile(background, [2, 98]))) / (high - low)
    taken = "subtracted" if analysis.parameters.get("remove_background") else "left in"
    ax.set_title(f"background, {100 * share:.0f} % of the contrast, {taken}", **TITLE)
    return ax


def plot_reconstruction(analysis: Analysis, rebuilt: Reconstruction) -> Figure:
    """Draw the micrograph, what was rebuilt from motifs, and the residual, which is what they do not explain.

    Parameters
    ----------
    analysis : Analysis
    rebuilt : Reconstruction
        From `Analysis.reconstruct`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    image, covered = to_numpy(analysis.micrograph.image), to_numpy(rebuilt.covered)
    figure = Figure(figsize=(13.5, 4.9 * min(max(image.shape[0] / image.shape[1], 0.4), 1.6)), dpi=150)
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, 3)
    show_image(panels[0], image, analysis.micrograph.pixel_size_nm)
    low, high = display_range(to_numpy(rebuilt.image))
    shown = np.ma.masked_where(~covered, to_numpy(rebuilt.image))
    panels[1].imshow(shown, cmap="gray", vmin=low, vmax=high, **PIXELS)
    residual = np.ma.masked_where(~covered, to_numpy(rebuilt.residual))
    largest = float(np.percentile(np.abs(residual.compressed()), 99.5)) if covered.any() else 1.0
    drawn = panels[2].imshow(residual, cmap="RdBu_r", vmin=-largest, vmax=largest, **PIXELS)
    figure.colorbar(drawn, ax=panels[2], shrink=0.8)
    titles = (
        "micrograph",
        f"rebuilt, {100 * rebuilt.uncovered:.1f} % not covered",
        f"smoothed micrograph less rebuilt (PSNR {rebuilt.psnr:.1f} dB)",
    )
    for ax, title in zip(panels, titles, strict=True):
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, **TITLE)
    return figure
