"""What motifs look like, what their neighbour shells hold, and how symmetric they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from motifgpu.core.namespace import to_numpy
from motifgpu.features import disc
from motifgpu.figures.drawing import TITLE, axes, plain
from motifgpu.figures.palette import motif_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from motifgpu.analysis import Analysis

FOLDS = 2, 3, 4, 6
_MOST = 24  # motifs drawn, the largest ones
_SHORT = 4  # characters of a name that is not turned below a table
_MOST_NUMBERS = 12  # motifs up to which the numbers are written into the cells


def plot_class_averages(analysis: Analysis, columns: int = 6, limit: int = _MOST) -> Figure:
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
    there = np.flatnonzero(to_numpy(averages.counts))
    total = len(there)
    shown = min(total, limit)
    across = max(1, min(columns, shown))
    down = max(1, math.ceil(shown / across))
    figure = Figure(figsize=(1.55 * across + 0.6, 3.45 * down + 0.5), layout="constrained", dpi=150)
    title = f"Class averages ({shown} of {total} motifs)" if shown < total else "Class averages"
    figure.suptitle(f"{title}: mean of the patches,\nand below from the mean moments", fontsize=9)
    if not shown:
        return figure
    patches, rebuilt = to_numpy(averages.patches), to_numpy(averages.reconstructions)
    counts, confidence = to_numpy(averages.counts), mean_confidence(analysis)
    there = there[:shown]
    low, high = float(patches[there].min()), float(patches[there].max())
    high = high if high > low else low + 1.0
    outside = np.ones_like(patches[0], dtype=bool)
    outside[disc.pixels(outside.shape[0], outside.shape[0])] = False
    cells = figure.subplots(2 * down, across, squeeze=False)
    for cell in cells.ravel():
        cell.axis("off")
    for place, label in enumerate(there.tolist()):
        row, column = divmod(place, across)
        for half, picture in enumerate((patches[label], rebuilt[label])):
            cell = cells[2 * row + half, column]
            cell.axis("on")
            cell.imshow(np.ma.masked_where(half * outside, picture), cmap="inferno", vmin=low, vmax=high)
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set(color=to_rgb(motif_color(label)), linewidth=2.5)
            if half == 0:
                cell.set_title(
                    f"{plain(analysis.motifs.name(label))}\n{int(counts[label]):,} columns\n"
                    f"confidence {confidence[label]:.2f}",
                    fontsize=8,
                )
    return figure


def mean_confidence(analysis: Analysis) -> np.ndarray:
    """Return the mean confidence (c,) of the columns of each motif; NaN for one without columns."""
    labels, confidence = to_numpy(analysis.motifs.labels), to_numpy(analysis.motifs.confidence)
    member, kinds = labels >= 0, len(analysis.motifs.counts)
    total = np.bincount(labels[member], confidence[member], minlength=kinds)
    number = np.bincount(labels[member], minlength=kinds)
    mean: np.ndarray = np.divide(total, number, out=np.full(kinds, np.nan), where=number > 0)
    return mean


def symmetry_scores(analysis: Analysis) -> np.ndarray:
    """Return how symmetric the mean moments of each motif are.

    Parameters
    ----------
    analysis : Analysis

    Returns
    -------
    (c, 5) float64 ndarray
        Rotations of 2, 3, 4 and 6 folds, and the best mirror, 0 to 1; see `motifgpu.features.symmetries`.
    """
    from motifgpu.features.symmetries import mirror_symmetry, symmetry

    means = analysis.motifs.means
    if not len(analysis.motifs.counts):
        return np.zeros((0, len(FOLDS) + 1))
    turned, mirrored = symmetry(means, FOLDS), mirror_symmetry(means)[0]
    return np.column_stack([to_numpy(turned), to_numpy(mirrored)]).astype(np.float64)


def plot_symmetry(analysis: Analysis, ax: Axes | None = None, limit: int = _MOST) -> Axes:
    """Draw how symmetric the mean of each motif is under rotations and mirrors.

    Parameters
    ----------
    analysis : Analysis
    ax : matplotlib.axes.Axes, optional
    limit : int
        Most motifs drawn, the largest ones.

    Returns
    -------
    matplotlib.axes.Axes
    """
    there = np.flatnonzero(to_numpy(analysis.motifs.counts))[:limit]
    scores = symmetry_scores(analysis)[there]
    ax = axes(ax, (4.4, 1.2 + 0.34 * max(len(scores), 1)))
    _heat_map(ax, scores, 1.0, "{:.2f}", _called(analysis, there))
    ax.set_xticks(range(len(FOLDS) + 1), [*(f"{fold}-fold" for fold in FOLDS), "mirror"], fontsize=8)
    ax.set_title("symmetry of the mean of each motif", **TITLE)
    return ax


def plot_shells(analysis: Analysis, shell: int = 0, ax: Axes | None = None, limit: int = _MOST) -> Axes:
    """Draw how many columns of each motif a neighbour shell of each motif holds on average.

    Parameters
    ----------
    analysis : Analysis
    shell : int
        Which shell, 0 the nearest.
    ax : matplotlib.axes.Axes, optional
    limit : int
        Most motifs drawn, the largest ones.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    StageError
        If there is no such shell.
    """
    from motifgpu.core.errors import StageError

    shells = analysis.shells
    if not 0 <= shell < len(shells.mean):
        raise StageError(
            "plots",
            f"there is no shell {shell}: {len(shells.mean)} were found",
            "choose one of those, from 0",
        )
    there = np.flatnonzero(to_numpy(analysis.motifs.counts))[:limit]
    mean = shells.mean[shell][np.ix_(there, there)]
    side = 1.4 + 0.38 * max(len(mean), 3)
    ax = axes(ax, (side + 0.3, side))
    called = _called(analysis, there)
    _heat_map(ax, mean, None, "{:.1f}", called)
    turned = 90 if max(map(len, called.values()), default=0) > _SHORT else 0
    ax.set_xticks(range(len(mean)), [*called.values()], fontsize=8, rotation=turned)
    for label, text in zip(called, ax.get_xticklabels(), strict=True):
        text.set_color(motif_color(label))
        text.set_fontweight("bold")
    unit = analysis.micrograph.pixel_size_nm
    inner, outer = shells.radii[shell] * (unit or 1), shells.radii[shell + 1] * (unit or 1)
    ax.set(xlabel="holds motif", ylabel="around motif")
    reach = f"{inner:.3g} to {outer:.3g} {'nm' if unit else 'px'}"
    ax.set_title(f"neighbour shell {shell + 1}:\n{reach}", **TITLE)
    return ax


def _called(analysis: Analysis, labels: np.ndarray) -> dict[int, str]:
    """Return what motifs are called where there is little room: their names, else their numbers."""
    names = analysis.motifs.names
    return {k: plain(names[k]) if k < len(names) and names[k] else str(k) for k in labels.tolist()}


def _heat_map(
    ax: Axes, values: np.ndarray, most: float | None, style: str, called: Mapping[int, str]
) -> None:
    """Draw one row per motif, its name in its colour, and the numbers where they can be read."""
    top = float(values.max(initial=0.0)) if most is None else most
    options: dict[str, Any] = {"cmap": "Blues", "vmin": 0.0, "vmax": top or 1.0, "aspect": "auto"}
    if values.size:
        ax.imshow(values, **options)
    ax.set_yticks(range(len(values)), [*called.values()], fontsize=8)
    for label, text in zip(called, ax.get_yticklabels(), strict=True):
        text.set_color(motif_color(label))
        text.set_fontweight("bold")
    if len(values) <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            ink = "white" if value > 0.6 * (top or 1.0) else "black"
            ax.text(column, row, style.format(value), ha="center", va="center", fontsize=7, color=ink)
