"""Micrographs in HyperSpy that find their motifs; it knows them by ``hyperspy_extension.yaml``.

HyperSpy is under the GPL: it is imported here, and where a run is exported as signals, alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hyperspy.api as hs
import numpy as np
import pyarrow as pa
from hyperspy.signals import LazySignal2D, Signal2D

from motifgpu.figures.drawing import per_label
from motifgpu.figures.palette import motif_color
from motifgpu.pipeline import analyze

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_NAMED = "motif_"  # how the markers of motifs begin


def motif_markers(columns: pa.Table, scale: float) -> list[Any]:
    """Return the columns of each motif as markers, one colour per motif.

    Parameters
    ----------
    columns : pyarrow.Table
        With the fields of `Analysis.table`.
    scale : float
        Of the axes, in their unit per px.

    Returns
    -------
    list of hyperspy.api.plot.markers.Points
        Named ``motif_0`` and so on, and ``motif_none``.
    """
    columns = columns.filter(columns["motif"].is_valid())
    places = scale * np.column_stack([columns["col_px"], columns["row_px"]])
    made = []
    for motif, rows in per_label(columns["motif"].to_numpy()):
        shade = {"facecolors": "none", "edgecolors": motif_color(motif)}
        made.append(hs.plot.markers.Points(offsets=places[rows], sizes=6, **shade))
        made[-1].name = f"{_NAMED}{motif}" if motif >= 0 else f"{_NAMED}none"
    return made


class _Motifs:
    """What is done with a micrograph."""

    def motifs(self, *, mark: bool = True, **options: Any) -> Analysis:
        """Find the motifs of the micrograph.

        Parameters
        ----------
        mark : bool
            Add the columns to the signal, as markers that `plot` shows and `save` keeps; those of an analysis
            before are taken away.
        **options
            As of `motifgpu.analyze`.

        Returns
        -------
        motifgpu.Analysis

        Raises
        ------
        StageError
            If the signal holds several images, or as of `motifgpu.analyze`.
        """
        analysis = analyze(self, **options)
        if mark:
            self._mark(analysis)
        return analysis

    def _mark(self: Any, analysis: Analysis) -> None:
        if self.metadata.has_item("Markers"):
            names = self.metadata.Markers.keys()
            for name in names:
                if name.startswith(_NAMED):
                    delattr(self.metadata.Markers, name)
        scale = self.axes_manager.signal_axes[0].scale
        self.add_marker(motif_markers(analysis.table(), scale), permanent=True, plot_marker=False)


class MotifSignal2D(_Motifs, Signal2D):  # type: ignore[misc]
    """A micrograph of the signal type ``motifs``."""

    _signal_type = "motifs"


class LazyMotifSignal2D(_Motifs, LazySignal2D):  # type: ignore[misc]
    """The same, whose data are computed when they are needed."""

    _signal_type = "motifs"
