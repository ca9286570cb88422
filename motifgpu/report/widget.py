"""The widget of a notebook, made with anywidget: the linked lasso, and its decisions in Python."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from motifgpu.core.namespace import to_numpy
from motifgpu.decisions import Decision
from motifgpu.decisions.places import rounded
from motifgpu.figures.palette import motif_color
from motifgpu.figures.sample import drawn_columns
from motifgpu.report.shown import RING, about, micrograph_picture, spacing, typical_columns

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_SPARE = 32  # colours of motifs that are not there yet
_SCRIPTS = "decisions.js", "selection.js", "widget.js"


def _file(name: str) -> str:
    return resources.files("motifgpu.report").joinpath(name).read_text(encoding="utf-8")


def sent(analysis: Analysis) -> dict[str, Any]:
    """Return what the page needs of an analysis, by the names of the widget's traits.

    Parameters
    ----------
    analysis : Analysis

    Returns
    -------
    dict
    """
    labels = to_numpy(analysis.motifs.labels)
    rows = drawn_columns(labels)
    parts = [
        to_numpy(analysis.points),
        to_numpy(analysis.layout),
        labels[:, None],
        to_numpy(analysis.motifs.confidence)[:, None],
        typical_columns(analysis)[:, None],
    ]
    columns = np.concatenate(parts, axis=1)[rows].astype("<f4")
    known = about(analysis, rows) | {
        "rows": rows.tolist(),
        "height": analysis.micrograph.shape[0],
        "ring": RING * spacing(analysis),
    }
    return {
        "about": json.dumps(known),
        "columns": columns.tobytes(),
        "picture": micrograph_picture(analysis.micrograph.image),
        "palette": [motif_color(k) for k in range(-1, len(analysis.motifs.counts) + _SPARE)],
    }


class MotifWidget(anywidget.AnyWidget):  # type: ignore[misc]
    """Layout and micrograph of an analysis, linked, with which motifs are named, merged and corrected.

    Parameters
    ----------
    analysis : Analysis
    """

    _esm = "\n".join(map(_file, _SCRIPTS)) + "\nexport default { render };\n"
    _css = _file("widget.css")
    about = traitlets.Unicode().tag(sync=True)
    columns = traitlets.Bytes().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    palette = traitlets.List().tag(sync=True)
    made = traitlets.List().tag(sync=True)
    selected = traitlets.List().tag(sync=True)

    def __init__(self, analysis: Analysis) -> None:
        super().__init__(**sent(analysis))
        self._begun = analysis

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What was decided in the widget, in order."""
        return tuple(map(_decision, self.made))

    @property
    def analysis(self) -> Analysis:
        """The analysis after these decisions."""
        return self._begun.apply((*self._begun.decisions, *self.decisions))


def _decision(sent: dict[str, Any]) -> Decision:
    return Decision(
        sent["do"],
        tuple(int(motif) for motif in sent["motifs"]),
        rounded(np.reshape(sent["at"], (-1, 2))),
        rounded(np.reshape(sent["columns"], (-1, 2))),
        tuple(str(name) for name in sent["names"]),
        str(sent["by"]),
    )
