"""What a notebook shows of an analysis: the main numbers and two small pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motifgpu.core.text import counted
from motifgpu.report.markup import data_uri, fill
from motifgpu.report.pictures import draw

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_DPI = 50  # of the pictures, which a notebook keeps
_MOST = 12  # motifs listed
_DESCRIBED = {
    "micrograph": "micrograph with its columns, coloured by motif",
    "layout": "layout of the columns",
}


def summary(analysis: Analysis) -> str:
    """Return an analysis as a piece of HTML that stands on light and dark pages.

    Parameters
    ----------
    analysis : Analysis

    Returns
    -------
    str
    """
    numbers = analysis.summary()
    size, nm = numbers["patch_size_px"], numbers["pixel_size_nm"]
    facts = [
        counted(numbers["columns"], "atom column"),
        f"{counted(numbers['n_motifs'], 'motif')} in {counted(numbers['n_environments'], 'environment')}",
        f"patches of {size:.1f} px" + (f" ({size * nm:.2f} nm)" if nm else ""),
    ]
    if numbers["n_motif_cells"] is not None:
        cells = counted(numbers["n_motif_cells"], "motif-cell")
        facts.append(f"{cells} in {counted(numbers['motif_cell_places'], 'place')}")
    drawn: dict[str, Any] = {
        "micrograph": analysis.plot.micrograph().figure,
        "layout": analysis.plot.layout().figure,
    }
    for figure in drawn.values():
        figure.set_dpi(_DPI)
    return fill(
        "notebook",
        title=analysis.micrograph.title or numbers["source"],
        summary=numbers,
        facts=facts,
        motifs=numbers["motifs"][:_MOST],
        more=len(numbers["motifs"]) - _MOST,
        pictures=[(_DESCRIBED[name], data_uri(*draw(figure).for_page())) for name, figure in drawn.items()],
    )
