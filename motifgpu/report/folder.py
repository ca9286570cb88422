"""The report as a folder: page and figures, columns as CSV, hierarchy and summary as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.column_table import as_csv
from motifgpu.core.choices import FIGURES
from motifgpu.core.files import replacing, write_text
from motifgpu.report.page import render
from motifgpu.report.pictures import draw, save_figures
from motifgpu.structure.hierarchy.export import save_hierarchy

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


def write_report(
    analysis: Analysis,
    folder: str | os.PathLike[str],
    *,
    linked: bool,
    figures: str = FIGURES[0],
    above: str = "",
    **options: Any,
) -> Path:
    """Write the report of an analysis; see `motifgpu.Analysis.report`, and `above` in `render`."""
    made = analysis.figures(**options)
    drawn = {name: draw(figure) for name, figure in made.items()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_figures(made, drawn, folder / "figures", figures)
    with replacing(folder / "columns.csv") as file:
        file.write(as_csv(analysis.table()))
    if analysis.hierarchy is not None:
        save_hierarchy(analysis.hierarchy, folder / "hierarchy.json")
    write_text(folder / "summary.json", json.dumps(analysis.summary(), indent=1) + "\n")
    return write_text(folder / "report.html", render(analysis, drawn, linked=linked, above=above))
