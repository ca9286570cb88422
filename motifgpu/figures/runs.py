"""Figures of a run: how dense its motifs are, over micrographs and time, and how well they explain it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from motifgpu.figures.drawing import log_scale, plain
from motifgpu.figures.palette import SHAPES, motif_color, motif_shape

Row = dict[str, Any]
_MOST = 12  # motifs that a figure shows
_POINTS = 3000  # micrographs drawn one by one; above, every k-th, which the title says
_BARS = 200  # micrographs up to which intervals are drawn
_NAMED = 40  # micrographs up to which each is named at the axis
_LONGEST = 28  # characters of such a name
_INK = "#4A6FA5"  # of what belongs to no motif
_LABELS = {"per_nm2": "columns per nm²", "fraction": "share of the columns"}
# What micrographs with motifs of their own have in common, and how it is called.
_COMMON = {"per_nm2": "columns per nm²", "motifs": "motifs", "explained": "explained"}


def _name(motif: int, name: str | None = None) -> str:
    """Return what a motif is called where it is said that it is one: its name, or its number."""
    if motif < 0:
        return "none"
    return plain(name) if name and name != f"motif {motif}" else str(motif)


def _value(rows: Sequence[Row]) -> str:
    """Return what is shown: densities, or shares where a pixel size is not known."""
    return "per_nm2" if all(row["per_nm2"] is not None for row in rows) else "fraction"


def _errors(rows: Sequence[Row]) -> list[list[float]]:
    return [
        [row["per_nm2"] - row["per_nm2_low"] for row in rows],
        [row["per_nm2_high"] - row["per_nm2"] for row in rows],
    ]


def plot_densities(motifs: Sequence[Row]) -> Figure:
    """Draw the density of every motif that all micrographs share, with its 95 % interval.

    Parameters
    ----------
    motifs : sequence of dict
        Rows of ``motifs.parquet`` of a run with a dictionary.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = [row for row in motifs if row["count"]][: _MOST + 1]
    value = _value(rows)
    figure = Figure(figsize=(6.5, 0.6 + 0.32 * max(len(rows), 2)), layout="constrained", dpi=150)
    ax = figure.add_subplot()
    for at, row in enumerate(rows):
        style: dict[str, Any] = {"color": motif_color(row["motif"]), "markersize": 8, "capsize": 3}
        errors = [[low] for [low] in _errors([row])] if value == "per_nm2" else None
        ax.errorbar([row[value]], [at], xerr=errors, fmt=SHAPES[motif_shape(row["motif"])][0], **style)
    names = [_name(row["motif"], row["name"]) for row in rows]
    ax.set(yticks=np.arange(len(rows)), yticklabels=names, xlabel=_LABELS[value], ylabel="motif")
    ax.grid(axis="x", color="0.9")
    ax.invert_yaxis()
    if rows:
        log_scale(ax, "x")
    return figure


def plot_micrographs(
    counts: Sequence[Row], micrographs: Sequence[Row], over: str, names: Sequence[str] = ()
) -> Figure:
    """Draw the density of every motif in every micrograph, with its 95 % interval.

    Parameters
    ----------
    counts, micrographs : sequence of dict
        Rows of ``counts.parquet`` and ``micrographs.parquet``.
    over : {"time", "order"}
        Against when the file was written, or micrograph by micrograph in the order of their paths.
    names : sequence of str
        Of the motifs.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown, place = _places(micrographs, over)
    value = _value(counts)
    by_motif: dict[int, list[Row]] = {}
    for row in counts:
        if row["count"] and row["micrograph"] in place:
            by_motif.setdefault(row["motif"], []).append(row)
    totals = {motif: sum(row["count"] for row in rows) for motif, rows in by_motif.items()}
    figure = Figure(figsize=(11, 4.2), layout="constrained", dpi=130)
    ax = figure.add_subplot()
    for motif in sorted(totals, key=lambda m: (-totals[m], m))[:_MOST]:
        rows = by_motif[motif]
        x, y = [place[row["micrograph"]] for row in rows], [row[value] for row in rows]
        called = _name(motif, names[motif] if 0 <= motif < len(names) else None)
        style: dict[str, Any] = {"color": motif_color(motif), "label": f"{called} ({totals[motif]:,})"}
        shape = SHAPES[motif_shape(motif)][0]
        if value == "per_nm2" and len(shown) <= _BARS:
            ax.errorbar(x, y, yerr=_errors(rows), fmt=shape, markersize=4, linewidth=0.7, **style)
        else:
            ax.plot(x, y, shape, markersize=3, **style)
    if totals:
        log_scale(ax, "y")
        most = f", {_MOST} of {len(totals)}" if len(totals) > _MOST else ""
        ax.legend(title=f"motif{most}", loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    ax.set(ylabel=_LABELS[value])
    _name_places(ax, shown, micrographs, over)
    return figure


def plot_own_motifs(micrographs: Sequence[Row], over: str) -> Figure:
    """Draw by what micrographs with motifs of their own compare: columns, motifs, and how well explained.

    Parameters
    ----------
    micrographs : sequence of dict
        Rows of ``micrographs.parquet``.
    over : {"time", "order"}
        As of `plot_micrographs`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown, place = _places(micrographs, over)
    figure = Figure(figsize=(11, 6.4), layout="constrained", dpi=130)
    panels = figure.subplots(len(_COMMON), 1, sharex=True)
    known = all(row["area_nm2"] for row in shown)
    for ax, (value, label) in zip(panels, _COMMON.items(), strict=True):
        if value == "per_nm2":
            label = label if known else "atom columns"
            y = [row["columns"] / (row["area_nm2"] if known else 1) for row in shown]
        else:
            y = [row[value] for row in shown]
        ax.plot([place[row["micrograph"]] for row in shown], y, "o", markersize=4, color=_INK)
        ax.set(ylabel=label)
        ax.set_ylim(0, 1.15 * max(y, default=1.0) or 1.0)
        ax.grid(axis="y", color="0.9")
        if value == "motifs":
            ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    _name_places(panels[-1], shown, micrographs, over)
    return figure


def tells_time(micrographs: Sequence[Row]) -> bool:
    """Say whether the times of the files differ by more than a copy takes, a minute."""
    times = [row["modified"].timestamp() for row in micrographs if row["modified"] is not None]
    return bool(times) and max(times) - min(times) > 60


def _places(micrographs: Sequence[Row], over: str) -> tuple[Sequence[Row], dict[str, Any]]:
    """Return the micrographs that are drawn, and where along the axis each is."""
    if over == "time":  # a clock may have been beyond the calendar
        micrographs = [row for row in micrographs if row["modified"] is not None]
    step = max(1, math.ceil(len(micrographs) / _POINTS))
    shown = micrographs[::step]
    return shown, {
        row["micrograph"]: row["modified"] if over == "time" else step * k for k, row in enumerate(shown)
    }


def _name_places(ax: Any, shown: Sequence[Row], micrographs: Sequence[Row], over: str) -> None:
    """Say along the axis where the micrographs are."""
    if over == "time":
        locator = AutoDateLocator()
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        ax.set_xlabel("when the file was written (UTC)")
    elif len(micrographs) <= _NAMED:
        names = [_short(row["title"]) for row in shown]
        ax.set_xticks(
            range(len(shown)), labels=names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8
        )
    else:
        ax.set_xlabel("micrograph, by path")
    if len(shown) * 2 <= len(micrographs):
        ax.figure.suptitle(f"{len(shown):,} of {len(micrographs):,} micrographs, evenly chosen", fontsize=10)


def _short(name: str) -> str:
    """Return a name with its middle left out if it is long: what tells files apart is often their end."""
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST // 2 - 1]}…{name[-_LONGEST // 2 :]}"
    return plain(name)


def plot_explained(micrographs: Sequence[Row]) -> Figure:
    """Draw how well the motifs explain the micrographs: a histogram of their mean confidence."""
    figure = Figure(figsize=(6.5, 3.0), layout="constrained", dpi=150)
    ax = figure.add_subplot()
    low = min(0.9, math.floor(10 * min((row["explained"] for row in micrographs), default=0.0)) / 10)
    bins = np.linspace(low, 1, 41).tolist()
    ax.hist([row["explained"] for row in micrographs], bins=bins, color=_INK)
    ax.set(xlabel="mean confidence, 0 for columns without a motif", ylabel="micrographs", xlim=(low, 1))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def plot_averages(motifs: Sequence[Row]) -> Figure:
    """Draw the mean patch of every motif that all micrographs share."""
    rows = [row for row in motifs if row["average"] is not None][:_MOST]
    across = max(1, min(6, len(rows)))
    down = max(1, math.ceil(len(rows) / across))
    figure = Figure(figsize=(1.5 * across + 0.4, 1.85 * down + 0.2), layout="constrained", dpi=130)
    axes = figure.subplots(down, across, squeeze=False)
    for cell in axes.ravel():
        cell.axis("off")
    for cell, row in zip(axes.ravel(), rows, strict=False):
        cell.axis("on")
        cell.imshow(np.reshape(row["average"], (row["average_side"], -1)), cmap="inferno")
        cell.set(xticks=[], yticks=[])
        name = plain(row["name"] or f"motif {row['motif']}")
        cell.set_title(f"{name}\n{row['count']:,} columns", fontsize=8)
        cell.spines[:].set(color=motif_color(row["motif"]), linewidth=2.5)
    return figure
