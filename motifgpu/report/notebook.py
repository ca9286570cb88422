"""What a notebook shows of an analysis: the main numbers and two small pictures."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from motifgpu.core.text import counted
from motifgpu.figures.palette import motif_color
from motifgpu.report.markup import data_uri
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
    motifs = "".join(
        f'<span style="margin-right:1em;white-space:nowrap"><span style="color:{motif_color(m["label"])}">'
        f"&#9679;</span> {html.escape(m['name'])}: {m['count']:,}</span>"
        for m in numbers["motifs"][:_MOST]
    )
    more = len(numbers["motifs"]) - _MOST
    warnings = "".join(f"<div>&#9888; {html.escape(text)}</div>" for text in numbers["warnings"])
    drawn: dict[str, Any] = {
        "micrograph": analysis.plot.micrograph().figure,
        "layout": analysis.plot.layout().figure,
    }
    for figure in drawn.values():
        figure.set_dpi(_DPI)
    pictures = "".join(
        f'<img src="{data_uri(*draw(figure).for_page())}" alt="{_DESCRIBED[name]}" '
        'style="max-height:300px;max-width:100%;margin:6px 6px 0 0">'
        for name, figure in drawn.items()
    )
    return (
        f"<div><b>{html.escape(analysis.micrograph.title or numbers['source'])}</b>"
        f"<div>{html.escape(numbers['in_words'])}</div><div>{'; '.join(facts)}</div>"
        f"<div>{motifs}{f'and {more} more' if more > 0 else ''}</div>"
        f"{warnings}<div>{pictures}</div></div>"
    )
