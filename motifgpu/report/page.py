"""The report's page: which sections there are, and in which order."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.report.glossary import glossary
from motifgpu.report.linked import LinkedView, linked_view
from motifgpu.report.markup import Cell, chip, facts, folded, pairs, picture, table

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
}
_SHELL = (
    "Mean number of columns of each motif (column of the table) in a neighbour shell of each motif (row)."
)
_FOLDS = "2-fold", "3-fold", "4-fold", "6-fold", "mirror"
_STATIC = "micrograph", "layout", "environments", "confidence"  # the linked view shows all of these
_NO_BOKEH = (
    "These are still pictures because Bokeh is not installed where this report was made. With it (pip "
    'install "motifgpu[report]") a selection on the layout is highlighted on the micrograph, and back.'
)


def _motif_table(analysis: Analysis, summary: Mapping[str, Any]) -> str:
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
            ("", f"{chip(label)}{html.escape(_called(motif))}"),
            ("number", f"{motif['count']:,}"),
            ("number", f"{100 * motif['fraction']:.1f} %"),
            *(("number", _listed(motif[name])) for name in ("identities", "domains") if several),
            ("number", str(motif["environments"])),
            ("number", f"{motif['confidence']:.2f}"),
            *(("number", score) for score in shown),
            ("wide", html.escape(motif["shell"])),
        ]  # fmt: skip
        if dense:
            row.insert(3, ("number", f"{motif['per_nm2']:.3g}"))
        rows.append(row)
    return table(head, rows)


def _called(motif: Mapping[str, Any]) -> str:
    """Return what a motif is called, with its number where it has a name of its own."""
    label, name = motif["label"], motif["name"]
    if label < 0 or name == f"motif {label}":
        return str(label) if label >= 0 else str(name)
    return f"{label} {name}"


def _listed(labels: list[int]) -> str:
    """Return labels in words: several are all that stand at boundaries."""
    return ", ".join("boundary" if label < 0 else str(label) for label in labels)


def _facts(summary: Mapping[str, Any]) -> str:
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
        cells = f"{summary['n_motif_cells']} in {summary['motif_cell_places']:,} places"
        shown.insert(5, ("kinds of motif-cell", cells))
    return facts(shown)


class _Pictures:
    """The figures as HTML, each taken once, so that none is forgotten."""

    def __init__(self, drawn: Mapping[str, Figure | Picture], left_out: Iterable[str]) -> None:
        skipped = set(left_out)
        self._rest = {name: figure for name, figure in drawn.items() if name not in skipped}

    def take(self, *names: str) -> str:
        """Return those of the named figures that there are, side by side where there are several."""
        found = [self._one(name) for name in names if name in self._rest]
        return f'<div class="pair">{"".join(found)}</div>' if len(found) > 1 else "".join(found)

    def _one(self, name: str) -> str:
        caption = _CAPTIONS.get(name, _SHELL if name.startswith("shell_") else name)
        return picture(self._rest.pop(name), name, caption)

    def rest(self, prefix: str = "") -> list[str]:
        """Return the names of what was not taken yet."""
        return [name for name in self._rest if name.startswith(prefix)]


def _section(title: str, *contents: str) -> str:
    return f"<section><h2>{title}</h2>{''.join(contents)}</section>" if any(contents) else ""


def render(
    analysis: Analysis, pictures: Mapping[str, Figure | Picture] | None = None, *, linked: bool = True
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

    Returns
    -------
    str
    """
    from motifgpu.figures import figures

    view = linked_view(analysis) if linked else None
    drawn = _Pictures(figures(analysis) if pictures is None else pictures, _STATIC if view else ())
    summary = analysis.summary()
    title = html.escape(analysis.micrograph.title or Path(summary["source"]).name)
    warnings = "".join(f'<p class="warn">{html.escape(text)}</p>' for text in summary["warnings"])
    timings = {name: f"{seconds:.3f} s" for name, seconds in summary["timings_s"].items()}
    sections = [
        _where(view, drawn, said=linked),
        _section("Which domain they are in", drawn.take("domains")),
        _section("What the motifs are", drawn.take("class_averages"), _motif_table(analysis, summary)),
        _section(
            "Their neighbours, and how symmetric they are",
            drawn.take(*drawn.rest("shell_"), "symmetry"),
        ),
        _section("How the motifs are composed", drawn.take("hierarchy"), drawn.take("cells", "growth")),
        _section("How the lattice is deformed", drawn.take("strain", "rotation")),
        _section("What the motifs leave unexplained", drawn.take("reconstruction") or _not_rebuilt(analysis)),
        _section("How sites are filled", drawn.take("occupancy")),
        _section("The twist of the layers", drawn.take("twist")),
        _section("What was decided", _decided(summary["decisions"])),
        _section("Patch size and background", drawn.take("patch_size", "background")),
        _section("More", drawn.take(*drawn.rest())),
        _section(
            "What the words mean, and how this was made",
            folded("Words", glossary()),
            folded("Parameters", pairs(summary["parameters"])),
            folded("Seconds by stage", pairs(timings)),
            folded("Versions", pairs(summary["versions"])),
        ),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}: motifs</title><style>{_file('style.css')}</style>{view.head if view else ''}</head>"
        f'<body><main><h1>{title}</h1><p class="where">{html.escape(summary["source"])}, '
        f"{summary['shape'][0]} × {summary['shape'][1]} px</p>"
        f'<p class="lead">{html.escape(summary["in_words"])}</p>'
        f"{_facts(summary)}{warnings}{''.join(sections)}"
        f"</main><script>{_file('page.js')}</script></body></html>\n"
    )


def _where(view: LinkedView | None, drawn: _Pictures, said: bool) -> str:
    if view:
        return _section("Where the motifs are", view.body)
    note = f'<p class="note">{html.escape(_NO_BOKEH)}</p>' if said else ""
    return _section(
        "Where the motifs are",
        drawn.take("micrograph", "layout"),
        note,
        drawn.take("environments", "confidence"),
    )


def _decided(decisions: list[str]) -> str:
    """Return what a person decided, in its order."""
    if not decisions:
        return ""
    return f"<ol>{''.join(f'<li>{html.escape(text)}</li>' for text in decisions)}</ol>"


def _not_rebuilt(analysis: Analysis) -> str:
    from motifgpu.figures.every import QUICK_PIXELS

    height, width = analysis.micrograph.shape
    text = (
        "An image of this size takes longer to rebuild from its motifs, so it is rebuilt on request only: "
        "analysis.report(folder, reconstruction=True)."
    )
    return f'<p class="note">{text}</p>' if height * width > QUICK_PIXELS else ""


def _file(name: str) -> str:
    return resources.files("motifgpu.report").joinpath(name).read_text(encoding="utf-8")
