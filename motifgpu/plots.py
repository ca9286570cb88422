"""Figures of an analysis, drawn with Matplotlib and without any global state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredOffsetbox

from motifgpu import disc
from motifgpu.backend import to_numpy
from motifgpu.palette import motif_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from motifgpu.analysis import Analysis
    from motifgpu.reconstruction import Reconstruction

_LEAST_CLUMP = 3  # columns of an environment that get a disc in the layout
_STYLE: dict[str, Any] = {"fontsize": 10}


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    return Figure(figsize=size, layout="constrained", dpi=150).add_subplot() if ax is None else ax


def display_range(image: np.ndarray) -> tuple[float, float]:
    """Return the grey range that shows `image` well: its 0.5 and 99.5 percentiles, never of zero width."""
    low, high = (float(q) for q in np.percentile(image, [0.5, 99.5]))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def nice_length(longest: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above `longest`."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9))


def add_scale_bar(ax: Axes, width_px: float, pixel_size_nm: float | None) -> float:
    """Draw a scale bar of about a fifth of the width in the lower right corner.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes in pixel coordinates.
    width_px : float
        Width of the image, px.
    pixel_size_nm : float or None
        Without it the bar is in pixels.

    Returns
    -------
    float
        Length of the bar, nm or px.
    """
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    scale = pixel_size_nm or 1.0
    length = nice_length(0.22 * width_px * scale)
    bar: AnchoredOffsetbox = AnchoredSizeBar(
        ax.transData,
        length / scale,
        f"{length:g} {'nm' if pixel_size_nm else 'px'}",
        "lower right",
        pad=0.4,
        borderpad=0.6,
        sep=4,
        color="white",
        size_vertical=width_px / 120,
        frameon=True,
    )
    bar.patch.set(facecolor="black", alpha=0.55, edgecolor="none")
    ax.add_artist(bar)
    return length


def _show_image(ax: Axes, image: np.ndarray, pixel_size_nm: float | None) -> None:
    low, high = display_range(image)
    ax.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    ax.set(xticks=[], yticks=[], xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    add_scale_bar(ax, image.shape[1], pixel_size_nm)


def _per_motif(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the motifs, largest first and unassigned drawn below all, with the rows of each."""
    for label in sorted(set(labels.tolist())):
        yield label, np.flatnonzero(labels == label)


def plot_micrograph(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """Draw the micrograph with its columns, coloured by motif, and a scale bar.

    Columns too near the border for a patch are drawn as small grey crosses, predicted sites where no atom is
    seen as open squares.

    Parameters
    ----------
    analysis : Analysis
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    image = to_numpy(analysis.micrograph.image)
    height, width = image.shape
    spacing = math.sqrt(height * width / max(len(analysis.columns), 1))
    # Wide enough for 9 points between columns, within what a page and a screen show.
    inches = min(max(9 / 72 * width / spacing, 7.5), 12.0)
    ax = _axes(ax, (inches, 0.3 + inches * min(max(height / width, 0.4), 1.6)))
    _show_image(ax, image, analysis.micrograph.pixel_size_nm)
    points, labels = to_numpy(analysis.points), to_numpy(analysis.motifs.labels)
    mask, occupied = to_numpy(analysis.mask), to_numpy(analysis.columns.occupied)
    every = to_numpy(analysis.columns.points)
    # Marker areas are in points squared; rings of 0.62 of the spacing go round a column and stay apart.
    shown = 72 * 0.96 * inches / width
    area = min(max((0.62 * spacing * shown) ** 2, 2.0), 200.0)
    line = min(max(0.08 * spacing * shown, 0.4), 1.6)
    ax.scatter(
        every[~mask, 1], every[~mask, 0], s=0.15 * area, c="#B8C4D6", marker="x", linewidths=0.6 * line
    )
    for label, rows in _per_motif(labels):
        for marker, seen in (("o", True), ("s", False)):
            chosen = rows[occupied[mask][rows] == seen]
            ax.scatter(
                points[chosen, 1],
                points[chosen, 0],
                s=area,
                marker=marker,
                facecolors="none",
                edgecolors=motif_color(label),
                linewidths=line,
                alpha=1.0 if len(rows) < 0.2 * len(labels) else 0.6,  # the rare ones are what one looks for
                rasterized=True,
            )
    ax.set_title(f"{len(points):,} atom columns, {len(analysis.motifs.counts)} motifs", **_STYLE)
    return ax


def plot_layout(analysis: Analysis, ax: Axes | None = None, color_by: str = "motif") -> Axes:
    """Draw the force-relaxed layout, a point a column and a disc an environment.

    Parameters
    ----------
    analysis : Analysis
    ax : matplotlib.axes.Axes, optional
    color_by : {"motif", "environment"}

    Returns
    -------
    matplotlib.axes.Axes
    """
    if color_by not in ("motif", "environment"):
        raise ValueError(f"plots: color_by is {color_by!r}; choose motif or environment")
    ax = _axes(ax, (7.5, 6.0))
    layout = to_numpy(analysis.layout)
    environments = to_numpy(analysis.motifs.environments)
    labels = to_numpy(analysis.motifs.labels) if color_by == "motif" else environments
    # Clumps are small on the page, so the area of a disc shows how many columns an environment has.
    for _, rows in _per_motif(environments):
        if len(rows) >= _LEAST_CLUMP and environments[rows[0]] >= 0:
            x, y = np.median(layout[rows], axis=0)
            color = motif_color(int(labels[rows[0]]))
            ax.scatter(
                x, y, s=9000 * len(rows) / len(layout), color=color, alpha=0.22, linewidths=0, zorder=1
            )
    size = min(max(6000 / max(len(layout), 1), 1.5), 14.0)
    counts = {label: len(rows) for label, rows in _per_motif(labels)}
    for label, rows in _per_motif(labels):
        ax.scatter(
            layout[rows, 0],
            layout[rows, 1],
            s=size,
            c=motif_color(label),
            linewidths=0,
            rasterized=True,
            label=f"{'unassigned' if label < 0 else label} ({counts[label]:,})",
            zorder=2,
        )
    ax.set_aspect("equal", adjustable="datalim")
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"Force-relaxed layout, {len(layout):,} columns in {len(counts)} {color_by}s", **_STYLE)
    if len(counts) <= 24:
        ax.legend(title=color_by, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, markerscale=3)
    return ax


def plot_class_averages(analysis: Analysis, columns: int = 6, limit: int = 24) -> Figure:
    """Draw the class average of each motif with its count: mean patch above, mean moments below.

    Parameters
    ----------
    analysis : Analysis
    columns : int
        Motifs in a row.
    limit : int
        Most motifs drawn, the largest ones; the title says how many there are.

    Returns
    -------
    matplotlib.figure.Figure
    """
    averages = analysis.averages
    total = len(averages.counts)
    shown = min(total, limit)
    across = max(1, min(columns, shown))
    down = max(1, math.ceil(shown / across))
    figure = Figure(figsize=(1.55 * across + 0.6, 3.35 * down + 0.5), layout="constrained", dpi=150)
    title = f"Class averages ({shown} of {total} motifs)" if shown < total else "Class averages"
    figure.suptitle(f"{title}: mean of the patches above, from the mean moments below", fontsize=9)
    if not shown:
        return figure
    patches, rebuilt = to_numpy(averages.patches), to_numpy(averages.reconstructions)
    counts = to_numpy(averages.counts)
    low, high = float(patches[:shown].min()), float(patches[:shown].max())
    high = high if high > low else low + 1.0
    outside = np.ones_like(patches[0], dtype=bool)
    outside[disc.pixels(outside.shape[0], outside.shape[0])] = False
    axes = figure.subplots(2 * down, across, squeeze=False)
    for cell in axes.ravel():
        cell.axis("off")
    for label in range(shown):
        row, column = divmod(label, across)
        for half, picture in enumerate((patches[label], rebuilt[label])):
            cell = axes[2 * row + half, column]
            cell.axis("on")
            cell.imshow(np.ma.masked_where(half * outside, picture), cmap="inferno", vmin=low, vmax=high)
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set(color=to_rgb(motif_color(label)), linewidth=2.5)
            if half == 0:
                cell.set_title(f"motif {label}\n{int(counts[label]):,} columns", fontsize=8)
    return figure


def plot_patch_size(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """Draw the radial power spectrum with the peak that sets the patch size and the other candidates.

    Parameters
    ----------
    analysis : Analysis
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (6.5, 3.6))
    size = analysis.patch_size
    frequency, power = (to_numpy(a) for a in size.curve)
    ax.semilogy(frequency, power, color="0.25", linewidth=1.2)
    for candidate in size.candidates:
        ax.axvline(2 / candidate, color="0.75", linewidth=0.8, linestyle=":")
    ax.axvline(size.frequency, color="#D55E00", linewidth=1.6)
    unit = analysis.micrograph.pixel_size_nm
    text = f"patch {size.pixels:.1f} px" + (f" = {size.pixels * unit:.2f} nm" if unit else "")
    ax.set_title(f"{text} (confidence {size.confidence:.2f})", **_STYLE)
    ax.set(xlabel="spatial frequency (cycles/px)", ylabel="mean power")
    seen = power[
        frequency >= 0.5 * size.frequency
    ]  # below, the mean that was taken off leaves next to nothing
    ax.set(xlim=(0, float(frequency[-1])), ylim=(0.5 * float(seen.min()), 2 * float(seen.max())))
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
    axes = figure.subplots(1, 3)
    _show_image(axes[0], image, analysis.micrograph.pixel_size_nm)
    low, high = display_range(to_numpy(rebuilt.image))
    shown = np.ma.masked_where(~covered, to_numpy(rebuilt.image))
    axes[1].imshow(shown, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    residual = np.ma.masked_where(~covered, to_numpy(rebuilt.residual))
    largest = float(np.percentile(np.abs(residual.compressed()), 99.5)) if covered.any() else 1.0
    drawn = axes[2].imshow(residual, cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")
    figure.colorbar(drawn, ax=axes[2], shrink=0.8)
    titles = (
        "micrograph",
        f"rebuilt, {100 * rebuilt.uncovered:.1f} % not covered",
        f"smoothed micrograph less rebuilt (PSNR {rebuilt.psnr:.1f} dB)",
    )
    for ax, title in zip(axes, titles, strict=True):
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, **_STYLE)
    return figure


def figures(analysis: Analysis) -> dict[str, Figure]:
    """Draw every figure of an analysis.

    Parameters
    ----------
    analysis : Analysis

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        By name: micrograph, layout, environments, class_averages, patch_size, and where there is a lattice
        cells and hierarchy.
    """
    drawn: dict[str, Any] = {
        "micrograph": plot_micrograph(analysis).figure,
        "layout": plot_layout(analysis).figure,
        "environments": plot_layout(analysis, color_by="environment").figure,
        "class_averages": plot_class_averages(analysis),
        "patch_size": plot_patch_size(analysis).figure,
    }
    if analysis.cells is not None and analysis.hierarchy is not None:
        from motifgpu.cell_plots import plot_cells
        from motifgpu.hierarchy.plots import plot_hierarchy

        image = analysis.micrograph.image
        drawn["cells"] = plot_cells(analysis.cells, image, hierarchy=analysis.hierarchy).figure
        drawn["hierarchy"] = plot_hierarchy(analysis.hierarchy, analysis.cells)
    return drawn
