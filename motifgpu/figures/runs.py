"""Figures of a run: how dense its motifs are, over micrographs and time, and how well they explain it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from motifgpu.figures.drawing import plain
from motifgpu.figures.palette import motif_color

Row = dict[str, Any]
_MOST = 12  # motifs that a figure shows
_POINTS = 3000  # micrographs drawn one by one; above, every k-th, which the title says
_BARS = 200  # micrographs up to which intervals are drawn
_LABELS = {"per_nm2": "columns per nm²", "fraction": "share of the columns"}


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
    at = np.arange(len(rows))
    shown = [row[value] for row in rows]
    ax.barh(at, shown, color=[motif_color(row["motif"]) for row in rows])
    if value == "per_nm2":
        ax.errorbar(shown, at, xerr=_errors(rows), fmt="none", ecolor="0.2", capsize=2, linewidth=1)
    ax.set(yticks=at, yticklabels=[_name(row["motif"], row["name"]) for row in rows], xlabel=_LABELS[value])
    ax.set_ylabel("motif")
    ax.invert_yaxis()
    if rows:
        ax.set_xscale("log")
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
    if over == "time":  # a clock may have been beyond the calendar
        micrographs = [row for row in micrographs if row["modified"] is not None]
    step = max(1, math.ceil(len(micrographs) / _POINTS))
    shown = micrographs[::step]
    place: dict[str, Any] = {
        row["micrograph"]: row["modified"] if over == "time" else step * k for k, row in enumerate(shown)
    }
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
        if value == "per_nm2" and len(shown) <= _BARS:
            ax.errorbar(x, y, yerr=_errors(rows), fmt="o", markersize=3, linewidth=0.7, **style)
        else:
            ax.plot(x, y, ".", markersize=3, **style)
    if totals:
        ax.set_yscale("log")
        ax.legend(title="motif", loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    ax.set(ylabel=_LABELS[value])
    if over == "time":
        locator = AutoDateLocator()
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        ax.set_xlabel("when the file was written (UTC)")
    else:
        ax.set_xlabel("micrograph, by path")
    if step > 1:
        ax.set_title(f"every {step}th of {len(micrographs):,} micrographs", fontsize=10)
    return figure


def plot_explained(micrographs: Sequence[Row]) -> Figure:
    """Draw how well the motifs explain the micrographs: a histogram of their mean confidence."""
    figure = Figure(figsize=(6.5, 3.0), layout="constrained", dpi=150)
    ax = figure.add_subplot()
    bins = np.linspace(0, 1, 41).tolist()
    ax.hist([row["explained"] for row in micrographs], bins=bins, color=motif_color(0))
    ax.set(xlabel="mean confidence, 0 for columns without a motif", ylabel="micrographs", xlim=(0, 1))
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
