"""The linked view: layout and micrograph side by side; a selection in one is highlighted in the other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources, util
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from motifgpu.core.namespace import to_numpy
from motifgpu.figures.layout import COLORS
from motifgpu.figures.sample import LIMIT, drawn_columns
from motifgpu.report.markup import fill
from motifgpu.report.shown import about, undrawn

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis
    from motifgpu.motifs.find import Motifs

_DESCRIBED = {
    "layout": "Force-relaxed layout: one dot per column; the area of a disc shows how many columns an "
    "environment has. Draw a line around some to see where they are.",
    "micrograph": "Micrograph: one ring per column. Draw a line around some to see where they are in the "
    "layout.",
}
_HINT = "Drag on a picture, tap a column or choose a motif."
_SCRIPTS = "decisions.js", "selection.js", "undrawn.js", "linked.js"  # one after the other
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
    head : Markup
        Scripts for the head of the page: BokehJS, which the view carries along.
    body : Markup
        The two pictures with what belongs to them.
    drawn : int
        Columns in it.
    """

    head: Markup
    body: Markup
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
    body = fill(
        "linked",
        hint=_HINT,
        about=json.dumps(about(analysis, rows) | {"undrawn": undrawn(analysis, rows)}),
        colors=COLORS,
        acts=_ACTS,
        plots=[(Markup(places[name]), text) for name, text in _DESCRIBED.items()],
        counts=_counts_said(labels, rows, analysis.motifs),
        code=Markup(code),
    )
    return LinkedView(
        # Of BokehJS the plots need the core alone, a third of all bundles.
        head=Markup(Resources(mode="inline", components=["bokeh"]).render_js()),
        body=Markup(body),
        drawn=len(rows),
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
    return (
        f"{len(rows):,} of {len(labels):,} columns are drawn; thinned out: {thinned}. A line around a "
        "region means all columns in it."
    )
