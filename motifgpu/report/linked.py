"""The linked view: layout and micrograph side by side; a selection in one is highlighted in the other."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from importlib import resources, util
from typing import TYPE_CHECKING

import numpy as np

from motifgpu.core.namespace import to_numpy
from motifgpu.figures.layout import COLORS
from motifgpu.figures.sample import LIMIT, drawn_columns
from motifgpu.report.shown import about

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
_SCRIPTS = "decisions.js", "selection.js", "linked.js"  # one after the other
# What is done to a selection: the act, what it needs, and the words.
_ACTS = (
    ("merge", "two", "Merge", "Make the selected motifs one"),
    ("split", "some", "Split off", "Make the selected columns a motif of their own"),
    ("wrong", "some", "Wrong motif", "The selected columns belong to no motif"),
    ("remove", "some", "No column", "What is selected is no atom column: take it away"),
)


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
    folder = resources.files("motifgpu.report")
    script = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS)
    known = {"source": view.source, "scale": view.scale, "plots": list(view.plots.values())}
    ready = CustomJS(args=known | {"mappers": view.mappers}, code=script)
    document.js_on_event("document_ready", ready)
    code, places = components(view.plots)
    return LinkedView(
        # Of BokehJS the plots need the core alone, a third of all bundles.
        head=Resources(mode="inline", components=["bokeh"]).render_js(),
        body=_body(analysis, labels, rows, places) + code,
        drawn=len(rows),
    )


def _body(analysis: Analysis, labels: np.ndarray, rows: np.ndarray, places: dict[str, str]) -> str:
    radio = '<label><input type="radio" name="color" value="{0}"{1}> {0}</label>'
    switch = "".join(radio.format(kind, " checked" if kind == COLORS[0] else "") for kind in COLORS)
    pictures = "".join(
        f'<figure role="group" aria-label="{html.escape(text)}">{places[name]}'
        f"<figcaption>{html.escape(text)}</figcaption></figure>"
        for name, text in _DESCRIBED.items()
    )
    acts = "".join(
        f'<button type="button" data-do="{act}" data-needs="{needs}" title="{text}" disabled>{name}</button>'
        for act, needs, name, text in _ACTS
    )
    return (
        f'<div id="linked" data-hint="{_HINT}" data-about="{html.escape(json.dumps(about(analysis, rows)))}">'
        f'<div class="bar"><fieldset><legend>Colour</legend>{switch}</fieldset>'
        '<span class="key" hidden>0 <span class="ramp"></span> 1</span>'
        '<label><input type="checkbox" name="rings" checked> rings on the micrograph</label></div>'
        '<div class="bar picks" role="group" aria-label="Select a motif"></div>'
        '<div class="bar picks others" role="group" aria-label="Select by colour" hidden></div>'
        '<div class="selection" role="group" aria-label="What is selected">'
        '<canvas width="48" height="48" role="img" aria-label="Mean patch of the selected columns"></canvas>'
        f'<div><output aria-live="polite">{_HINT}</output><dl>'
        '<div><dt>confidence</dt><dd data-say="confidence">–</dd></div>'
        '<div><dt>nearest neighbours</dt><dd data-say="shell">–</dd></div></dl>'
        '<div class="bar"><input name="called" maxlength="60" placeholder="Name" aria-label="Name of what is '
        'selected" autocomplete="off" spellcheck="false"><button type="button" data-do="name" '
        f'data-needs="some" disabled>Name</button>{acts}<button type="button" data-do="zoom">Zoom</button>'
        '<button type="button" data-do="clear">Clear</button>'
        '<button type="button" data-do="csv">Save as CSV</button></div>'
        '<div class="bar"><button type="button" data-do="undo" disabled>Undo</button>'
        '<button type="button" data-do="save" disabled>Save decisions</button>'
        '<small data-say="made"></small></div></div></div>'
        f"<noscript>{_NO_SCRIPT}</noscript>"
        f'<div class="pair">{pictures}</div>'
        f'<p class="note">{html.escape(_counts_said(labels, rows, analysis.motifs))} Shift '
        "adds to a selection, Escape clears it, Ctrl Z takes a decision back; the button of a motif selects "
        "all of it.</p></div>"
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
