"""The report as a folder: page and figures, columns as CSV, hierarchy and summary as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.column_table import as_csv
from motifgpu.core.files import replacing, write_text
from motifgpu.report.page import render
from motifgpu.report.pictures import draw
from motifgpu.structure.hierarchy.export import save_hierarchy

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


def write_report(
    analysis: Analysis, folder: str | os.PathLike[str], *, linked: bool, above: str = "", **options: Any
) -> Path:
    """Write the report of an analysis; see `motifgpu.Analysis.report`, and `above` in `render`."""
    drawn = {name: draw(figure) for name, figure in analysis.figures(**options).items()}
    folder = Path(folder)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        (folder / "figures" / f"{name}.png").write_bytes(picture.file)
    with replacing(folder / "columns.csv") as file:
        file.write(as_csv(analysis.table()))
    if analysis.hierarchy is not None:
        save_hierarchy(analysis.hierarchy, folder / "hierarchy.json")
    write_text(folder / "summary.json", json.dumps(analysis.summary(), indent=1) + "\n")
    return write_text(folder / "report.html", render(analysis, drawn, linked=linked, above=above))
