"""The plots of the page of results, drawn from the result files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from benchmarks.page.markdown import NotMeasured, Results, figures, ours_first

STYLE = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
DPI = 110


def noise(results: Results) -> Figure:
    rows = figures(results, "crystal_broadening")
    sigma = [row["sigma"] for row in rows]
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    for axes, key in zip(figure.subplots(1, 2), ("silhouette", "davies_bouldin"), strict=True):
        for kind, label in (
            ("flattened", "flattened patches"),
            ("motifgpu", "motifgpu"),
            ("motif_learn", "motif-learn"),
        ):
            axes.plot(sigma, [row[kind][key] for row in rows], "o-", ms=3, lw=1, label=label)
        axes.set_xlabel("Gaussian noise, sigma")
        axes.set_ylabel({"silhouette": "silhouette", "davies_bouldin": "Davies-Bouldin"}[key])
    figure.axes[0].legend()
    return figure


def embeddings(results: Results) -> Figure:
    names = sorted(name for name in results if name.startswith("embeddings "))
    if not names:
        raise NotMeasured("embeddings")
    studies = [figures(results, name)["methods"] for name in names]
    # After a run of some of the cases a method may be new to the others.
    methods = [method for method in ours_first(studies[0]) if all(method in study for study in studies)]
    figure = Figure(figsize=(7.2, 2.8), layout="constrained")
    every: Any = figure.subplots(1, 2, sharey=True)
    for axes, key in zip(every, ("ami_kmeans", "ami_hdbscan"), strict=True):
        for index, method in enumerate(methods):
            cells = [study[method][key] for study in studies]
            axes.errorbar(
                np.arange(len(names)) + 0.1 * (index - len(methods) / 2),
                [cell["mean"] for cell in cells],
                [cell["standard_error"] or 0 for cell in cells],
                fmt="o",
                ms=3.5,
                lw=1,
                label=method,
            )
        ticks = [name.removeprefix("embeddings ").replace(", ", "\n") for name in names]
        axes.set_xticks(range(len(names)), ticks, fontsize=6)
        axes.set_title({"ami_kmeans": "KMeans, told the number", "ami_hdbscan": "HDBSCAN"}[key], fontsize=8)
    every[0].set_ylabel("AMI with the truth")
    figure.legend(*every[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def columns(results: Results) -> Figure:
    rows = [r for r in figures(results, "columns") if r["lattice"] == "defects" and r["material"] == "MoSe2"]
    dose = [row["counts"] for row in rows]
    figure = Figure(figsize=(3.8, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.loglog(dose, [row["rms_px"] for row in rows], "o-", ms=3, lw=1, label="motifgpu")
    axes.loglog(dose, [row["motif_learn"]["rms_px"] for row in rows], "s-", ms=3, lw=1, label="motif-learn")
    axes.loglog(dose, [row["cramer_rao_px"] for row in rows], "k--", lw=1, label="Cramér-Rao bound")
    axes.set_xlabel("counts at the peak of a column")
    axes.set_ylabel("position error, px")
    axes.legend()
    return figure


def scaling(results: Results) -> Figure:
    rows = [row for row in figures(results, "scaling")["threads"]["1"] if "stages" in row]
    n = [row["columns"] for row in rows]
    figure = Figure(figsize=(7.2, 3), layout="constrained")
    every: Any = figure.subplots(1, 2)
    for axes, key, label in ((every[0], "cpu_s", "CPU time, s"), (every[1], "peak_mb", "peak memory, MB")):
        for index, stage in enumerate(rows[0]["stages"]):
            values = [row["stages"].get(stage, {}).get(key) or np.nan for row in rows]
            color = matplotlib.colormaps["tab20"](index)
            axes.loglog(n, values, "osv^D"[index % 5] + "-", ms=3, lw=1, color=color, label=stage)
        axes.set_xlabel("columns")
        axes.set_ylabel(label)
    every[1].set_ylim(bottom=0.5)
    figure.legend(*every[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def draw(results: Results, folder: Path) -> None:
    """Write every plot whose study has been measured, as PNG."""
    folder.mkdir(exist_ok=True)
    for plot in (noise, embeddings, columns, scaling):
        try:
            with matplotlib.rc_context(STYLE):
                plot(results).savefig(folder / f"{plot.__name__}.png", dpi=DPI, metadata={"Software": None})
        except NotMeasured:
            continue
