"""A one-file HTML report of an analysis: pictures first, then numbers, parameters and versions."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.palette import motif_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from motifgpu.analysis import Analysis

_CSS = """
:root { --ink: #1c2430; --soft: #5b6675; --line: #dde2e8; --back: #f6f7f9; --card: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #9aa5b4; --line: #333c48; --back: #14181e; --card: #1d232b; }
  figure img { background: #ffffff; border-radius: 4px; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.5rem; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 36px 0 10px; }
p.where { color: var(--soft); margin: 0 0 20px; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; }
.facts div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
.facts b { display: block; font-size: 1.3rem; font-weight: 600; }
.facts span { color: var(--soft); font-size: 0.85rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 16px; }
figure { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin: 0;
  padding: 12px; }
figure img { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: 0.85rem; margin-top: 8px; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 6px 14px; border-top: 1px solid var(--line); white-space: nowrap; }
td.wide { white-space: normal; min-width: 240px; }
tr:first-child th { border-top: 0; }
th { color: var(--soft); font-weight: 500; font-size: 0.85rem; }
th:not(:first-child):not(:last-child) { text-align: right; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.chip { display: inline-block; width: 0.85em; height: 0.85em; border-radius: 50%; margin-right: 8px;
  vertical-align: -0.08em; }
.warn { border-left: 4px solid #d55e00; padding: 6px 12px; background: var(--card); margin: 8px 0; }
details { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin-top: 10px; }
summary { padding: 8px 14px; cursor: pointer; }
"""

_CAPTIONS = {
    "micrograph": "The micrograph with its atom columns, coloured by motif. Crosses: too near the border for "
    "a patch. Squares: lattice sites where no atom is seen.",
    "layout": "Every point is a column; columns whose patches look alike pulled together. The area of a disc "
    "shows how many columns an environment has.",
    "environments": "The same layout, coloured by environment: the column together with its surroundings.",
    "class_averages": "What each motif looks like: the mean of its patches, and the patch rebuilt from its "
    "mean Zernike moments.",
    "cells": "Unit cells coloured by what they hold; the crystal's own are left open. Pale: cut by the "
    "border, so not counted.",
    "hierarchy": "Motif-cells by level, which is their number of cells, with how often each occurs; those "
    "that the symmetry of the lattice makes one are counted as one. Lines say what contains what.",
    "patch_size": "Radial mean of the power spectrum. The marked peak sets the patch size.",
}


def _picture(figure: Figure, name: str) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=130)
    source = base64.b64encode(data.getvalue()).decode()
    caption = _CAPTIONS[name]
    return (
        f'<figure><img src="data:image/png;base64,{source}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[tuple[str, str]]]) -> str:
    """Return a table; a cell is its class and its content as HTML."""
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td class="{kind}">{content}</td>' for kind, content in row) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{cells}</tr>{body}</table></div>'


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    return '<div class="facts">' + "".join(
        f"<div><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>" for name, value in pairs
    ) + "</div>"  # fmt: skip


def _pairs(values: Mapping[str, Any]) -> str:
    return _table(
        ("name", "value"), [[("", html.escape(k)), ("wide", html.escape(str(v)))] for k, v in values.items()]
    )


def _motif_table(analysis: Analysis) -> str:
    summary = analysis.summary()
    head = ["motif", "columns", "share", "environments", "confidence", "nearest shell"]
    dense = summary["pixel_size_nm"] is not None
    if dense:
        head.insert(3, "per nm²")
    rows = []
    for motif in summary["motifs"]:
        name = "unassigned" if motif["label"] < 0 else str(motif["label"])
        row = [
            ("", f'<span class="chip" style="background:{motif_color(motif["label"])}"></span>{name}'),
            ("number", f"{motif['count']:,}"),
            ("number", f"{100 * motif['fraction']:.1f} %"),
            ("number", str(motif["environments"])),
            ("number", f"{motif['confidence']:.2f}"),
            ("wide", html.escape(motif["shell"])),
        ]
        if dense:
            row.insert(3, ("number", f"{motif['per_nm2']:.3g}"))
        rows.append(row)
    return _table(head, rows)


def render(analysis: Analysis, pictures: Mapping[str, Figure] | None = None) -> str:
    """Return the report of an analysis as one HTML document that needs no network.

    Parameters
    ----------
    analysis : Analysis
    pictures : mapping of str to Figure, optional
        The figures by name, where they are drawn already.

    Returns
    -------
    str
    """
    from motifgpu.plots import figures

    drawn = {name: _picture(figure, name) for name, figure in (pictures or figures(analysis)).items()}
    summary = analysis.summary()
    title = html.escape(analysis.micrograph.title or Path(summary["source"]).name)
    size = summary["patch_size_px"]
    nm = summary["pixel_size_nm"]
    facts = [
        ("atom columns", f"{summary['columns']:,}"),
        ("with a whole patch", f"{summary['points']:,}"),
        ("motifs", str(summary["n_motifs"])),
        ("environments", str(summary["n_environments"])),
        ("sites without an atom", f"{summary['empty_sites']:,}"),
        ("patch size", f"{size:.1f} px" + (f" ({size * nm:.2f} nm)" if nm else "")),
        ("pixel size", f"{nm:.4g} nm" if nm else "not known"),
        ("seconds", f"{sum(summary['timings_s'].values()):.2f}"),
    ]
    structure = ""
    if "hierarchy" in drawn:
        structure = f"<h2>How the motifs are composed</h2>{drawn['hierarchy']}<br>{drawn['cells']}"
        facts.insert(
            5,
            ("kinds of motif-cell", f"{summary['n_motif_cells']} in {summary['motif_cell_places']:,} places"),
        )
    warnings = "".join(f'<p class="warn">{html.escape(text)}</p>' for text in summary["warnings"])
    timings = {name: f"{seconds:.3f} s" for name, seconds in summary["timings_s"].items()}
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}: motifs</title><style>{_CSS}</style></head><body><main>"
        f'<h1>{title}</h1><p class="where">{html.escape(summary["source"])}, '
        f"{summary['shape'][0]} × {summary['shape'][1]} px</p>"
        f"{_facts(facts)}{warnings}"
        f'<h2>Where the motifs are</h2><div class="pair">{drawn["micrograph"]}{drawn["layout"]}</div>'
        f"<h2>What the motifs are</h2>{drawn['class_averages']}"
        f"<h2>Motifs</h2>{_motif_table(analysis)}"
        f"{structure}"
        f"<h2>Environments and patch size</h2>"
        f'<div class="pair">{drawn["environments"]}{drawn["patch_size"]}</div>'
        f"<h2>How this was made</h2>"
        f"<details><summary>Parameters</summary>{_pairs(summary['parameters'])}</details>"
        f"<details><summary>Seconds by stage</summary>{_pairs(timings)}</details>"
        f"<details><summary>Versions</summary>{_pairs(summary['versions'])}</details>"
        "</main></body></html>\n"
    )


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file whole or not at all: to a temporary name beside it, then renamed.

    Parameters
    ----------
    path : path-like
    text : str

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; a file that was there before is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
