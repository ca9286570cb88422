"""The linked view: layout and micrograph side by side; a selection in one is highlighted in the other."""

from __future__ import annotations

import html
from dataclasses import dataclass
from importlib import resources, util
from typing import TYPE_CHECKING

import numpy as np

from motifgpu.core.namespace import to_numpy
from motifgpu.figures.layout import COLORS
from motifgpu.figures.palette import motif_color
from motifgpu.figures.sample import LIMIT, drawn_columns

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis
    from motifgpu.motifs.find import Motifs

_DESCRIBED = {
    "layout": "Force-relaxed layout: one dot per column; the area of a disc shows how many columns an "
    "environment has. Draw a line around some to see where they are.",
    "micrograph": "Micrograph: one ring per column. Draw a line around some to see where they are in the "
    "layout.",
}
_NO_SCRIPT = "These two pictures need JavaScript; without it see the folder figures beside this file."
_HINT = "Drag on a picture, tap a column or choose a motif."


@dataclass(frozen=True)
class LinkedView:
    """The linked view as HTML.

    Attributes
    ----------
    head : str
        Scripts for the head of the page: BokehJS, which the view carries along.
    body : str
        The two pictures with what belongs to them.
    drawn : int
        Columns in it.
    """

    head: str
    body: str
    drawn: int


def linked_view(analysis: Analysis, limit: int = LIMIT) -> LinkedView | None:
    """Return layout and micrograph as linked pictures, None where Bokeh is not installed.

    Parameters
    ----------
    analysis : Analysis
    limit : int
        Most columns drawn; see `motifgpu.figures.sample.drawn_columns`.

    Returns
    -------
    LinkedView or None
    """
    if util.find_spec("bokeh") is None:
        return None
    from bokeh.document import Document
    from bokeh.embed import components
    from bokeh.models import CustomJS
    from bokeh.resources import Resources

    from motifgpu.report.linked_plots import linked_plots

    labels = to_numpy(analysis.motifs.labels)
    rows = drawn_columns(labels, limit)
    view = linked_plots(analysis, rows)
    document = Document()
    for plot in view.plots.values():
        document.add_root(plot)
    script = resources.files("motifgpu.report").joinpath("linked.js").read_text(encoding="utf-8")
    known = {"source": view.source, "scale": view.scale, "plots": list(view.plots.values())}
    ready = CustomJS(args=known | {"mappers": view.mappers}, code=script)
    document.js_on_event("document_ready", ready)
    code, places = components(view.plots)
    return LinkedView(
        # Of BokehJS the plots need the core alone, a third of all bundles.
        head=Resources(mode="inline", components=["bokeh"]).render_js(),
        body=_body(labels, rows, places, analysis.motifs) + code,
        drawn=len(rows),
    )


def _body(labels: np.ndarray, rows: np.ndarray, places: dict[str, str], motifs: Motifs) -> str:
    kinds, counts = np.unique(labels, return_counts=True)
    chips = "".join(
        f'<button type="button" class="pick" data-motif="{label}" aria-pressed="false">'
        f'<span class="chip" style="background:{motif_color(label)}"></span>'
        f"<span>{html.escape(motifs.name(label))}</span> <small>{count:,}</small></button>"
        for label, count in zip(kinds.tolist(), counts.tolist(), strict=True)
    )
    radio = '<label><input type="radio" name="color" value="{0}"{1}> {0}</label>'
    switch = "".join(radio.format(kind, " checked" if kind == COLORS[0] else "") for kind in COLORS)
    pictures = "".join(
        f'<figure role="group" aria-label="{html.escape(text)}">{places[name]}'
        f"<figcaption>{html.escape(text)}</figcaption></figure>"
        for name, text in _DESCRIBED.items()
    )
    return (
        f'<div id="linked" data-hint="{_HINT}">'
        f'<div class="bar"><fieldset><legend>Colour</legend>{switch}</fieldset>'
        '<span class="key" hidden>0 <span class="ramp"></span> 1</span>'
        '<label><input type="checkbox" name="rings" checked> rings on the micrograph</label></div>'
        f'<div class="bar picks" role="group" aria-label="Select a motif">{chips}</div>'
        f'<div class="bar"><output aria-live="polite">{_HINT}</output>'
        '<button type="button" data-do="clear">Clear</button>'
        '<button type="button" data-do="csv">Save as CSV</button></div>'
        f"<noscript>{_NO_SCRIPT}</noscript>"
        f'<div class="pair">{pictures}</div>'
        f'<p class="note">{html.escape(_counts_said(labels, rows, motifs))} Shift '
        "adds to a selection, Escape clears it; the button of a motif selects all of it.</p></div>"
    )


def _counts_said(labels: np.ndarray, rows: np.ndarray, motifs: Motifs) -> str:
    if len(rows) == len(labels):
        return f"All {len(labels):,} columns with a patch are drawn."
    kinds, counts = np.unique(labels, return_counts=True)
    drawn = np.array([(labels[rows] == kind).sum() for kind in kinds])
    thinned = ", ".join(
        f"{motifs.name(kind)} ({few:,} of {all_:,})"
        for kind, few, all_ in zip(kinds.tolist(), drawn.tolist(), counts.tolist(), strict=True)
        if few < all_
    )
    return f"{len(rows):,} of {len(labels):,} columns are drawn; thinned out: {thinned}."
