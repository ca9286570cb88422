"""The report's page: which sections there are, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.core.text import counted, percent
from motifgpu.report.linked import linked_view
from motifgpu.report.markup import Cell, Stills, chip, fill

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from motifgpu.analysis import Analysis
    from motifgpu.report.pictures import Picture

_CAPTIONS = {
    "micrograph": "The micrograph with its atom columns, coloured by motif. Crosses: too near the border for "
    "a patch. Squares: lattice sites where no atom is seen.",
    "layout": "Every point is a column; columns with similar patches attract each other. The area of a disc "
    "shows how many columns an environment has.",
    "domains": "The micrograph, its columns coloured by domain; those at boundaries are grey.",
    "environments": "The same layout, coloured by environment: the motif of a column with its neighbours.",
    "confidence": "The same layout, coloured by how sure the motif of a column is.",
    "class_averages": "What each motif looks like: the mean of its patches, and the patch rebuilt from its "
    "mean Zernike moments.",
    "symmetry": "How symmetric the mean of each motif is under rotations and its best mirror: 1 is "
    "wholly, and noise has 0.5 at 2 folds, 0.3 at 3, 0.1 at 6.",
    "cells": "Unit cells coloured by what they hold; the crystal's own are left open. Pale: cut by the "
    "border, so not counted.",
    "hierarchy": "Motif-cells by level, which is their number of cells, with how often each occurs; those "
    "that the symmetry of the lattice makes one are counted as one. Lines say what contains what.",
    "growth": "How many distinct motif-cells there are of each number of cells. The faster it rises, the "
    "less order there is among the defects.",
    "strain": "How the area of each cell differs from the mean. The slow drift of the scan is part of it; "
    "arrows show it, enlarged.",
    "rotation": "By how much each cell is turned against the mean lattice.",
    "patch_size": "Radial mean of the power spectrum. The marked peak sets the patch size; dotted lines are "
    "the other candidates.",
    "background": "The slow background of the micrograph.",
    "reconstruction": "The micrograph rebuilt from class averages, and what they do not explain: structure "
    "in the residual is structure that no motif explains.",
    "occupancy": "The most frequent patterns of filled and hollow sites, with what independent sites would "
    "give.",
    "twist": "Power spectrum with the Bragg peaks of the two layers.",
    "shell_": "Mean number of columns of each motif (column of the table) in a neighbour shell of each motif "
    "(row).",
}
_FOLDS = "2-fold", "3-fold", "4-fold", "6-fold", "mirror"
_STATIC = "micrograph", "layout", "environments", "confidence"  # the linked view shows all of these
_NO_BOKEH = (
    "These are still pictures because Bokeh is not installed where this report was made. With it (pip "
    'install "motifgpu[report]") a selection on the layout is highlighted on the micrograph, and back.'
)


def _motif_table(analysis: Analysis, summary: Mapping[str, Any]) -> tuple[list[str], list[list[Cell]]]:
    from motifgpu.figures.motifs import symmetry_scores

    several = summary["n_domains"] > 1 or summary["at_boundaries"] > 0
    where = ["identity", "domain"] if several else []
    head = ["motif", "columns", "share", *where, "environments", "confidence", *_FOLDS, "nearest neighbours"]
    dense = summary["pixel_size_nm"] is not None
    if dense:
        head.insert(3, "per nm²")
    scores = symmetry_scores(analysis)
    rows = []
    for motif in summary["motifs"]:
        label = motif["label"]
        shown = [f"{score:.2f}" for score in scores[label]] if label >= 0 else [""] * len(_FOLDS)
        row: list[Cell] = [
            ("", chip(label) + _called(motif)),
            ("number", f"{motif['count']:,}"),
            ("number", percent(motif["fraction"])),
            *(("number", _listed(motif[name])) for name in ("identities", "domains") if several),
            ("number", str(motif["environments"])),
            ("number", f"{motif['confidence']:.2f}"),
            *(("number", score) for score in shown),
            ("wide", motif["shell"]),
        ]  # fmt: skip
        if dense:
            row.insert(3, ("number", f"{motif['per_nm2']:.3g}"))
        rows.append(row)
    return head, rows


def _called(motif: Mapping[str, Any]) -> str:
    """Return what a motif is called, with its number where it has a name of its own."""
    label, name = motif["label"], motif["name"]
    if label < 0 or name == f"motif {label}":
        return str(label) if label >= 0 else str(name)
    return f"{label} {name}"


def _listed(labels: list[int]) -> str:
    """Return labels in words: several are all that stand at boundaries."""
    return ", ".join("boundary" if label < 0 else str(label) for label in labels)


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    size, nm = summary["patch_size_px"], summary["pixel_size_nm"]
    shown = [
        ("atom columns", f"{summary['columns']:,}"),
        ("with a patch, whole or cut", f"{summary['points']:,}"),
        ("motifs", str(summary["n_motifs"])),
        *([("domains", str(several))] if (several := summary["n_domains"]) > 1 else []),
        *([("columns at boundaries", f"{there:,}")] if (there := summary["at_boundaries"]) else []),
        ("environments", str(summary["n_environments"])),
        ("sites without an atom", f"{summary['empty_sites']:,}"),
        *([("sites that noise leaves open", f"{open_:,}")] if (open_ := summary["undecided_sites"]) else []),
        ("patch size", f"{size:.1f} px" + (f" ({size * nm:.2f} nm)" if nm else "")),
        ("pixel size", f"{nm:.4g} nm" if nm else "not known"),
        ("seconds of analysis", f"{sum(summary['timings_s'].values()):.2f}"),
    ]
    if summary["n_motif_cells"] is not None:
        cells = f"{summary['n_motif_cells']} in {counted(summary['motif_cell_places'], 'place')}"
        shown.insert(5, ("kinds of motif-cell", cells))
    return shown


def render(
    analysis: Analysis,
    pictures: Mapping[str, Figure | Picture] | None = None,
    *,
    linked: bool = True,
    above: str = "",
    save: str = "",
) -> str:
    """Return the report of an analysis as one HTML document that needs no network.

    Parameters
    ----------
    analysis : Analysis
    pictures : mapping of str to Figure or Picture, optional
        The figures by name, where they are made already; from `motifgpu.report.pictures.draw` where they are
        drawn already.
    linked : bool
        Show layout and micrograph as linked pictures where Bokeh is installed; with Bokeh absent or False as
        still ones.
    above : str
        What stands before the title: text, or HTML as `markupsafe.Markup`.
    save : str
        Where the page sends its decisions as they are made.

    Returns
    -------
    str
    """
    from motifgpu.figures import every, figures

    view = linked_view(analysis) if linked else None
    drawn = figures(analysis) if pictures is None else pictures
    summary = analysis.summary()
    height, width = summary["shape"]
    return fill(
        "micrograph",
        title=analysis.micrograph.title or Path(summary["source"]).name,
        above=above,
        save=save,
        summary=summary,
        facts=_facts(summary),
        motifs=_motif_table(analysis, summary),
        timings={name: f"{seconds:.3f} s" for name, seconds in summary["timings_s"].items()},
        view=view,
        no_view=_NO_BOKEH if linked else "",
        drawn=Stills(drawn, _CAPTIONS, _STATIC if view else ()),
        too_large=height * width > every.QUICK_PIXELS,
    )
