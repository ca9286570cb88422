"""The widget with which motifs are named, merged and split, and columns added and removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.napari_plugin.layers import ANALYSIS, COLUMNS, analysis_layers
from motifgpu.napari_plugin.qt import LayerBox, placed_like

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Points

    from motifgpu.analysis import Analysis

ADDED = "columns to add"
_HELP = (
    "Select columns in the layout or on the micrograph. Name: all of a motif is renamed, a part becomes a "
    "motif of that name. To add columns, take New columns, click where they are, and take Add."
)


class DecideWidget(QWidget):  # type: ignore[misc]
    """Changes the analysis that a columns layer shows, by what is selected in it.

    Every decision makes a new `Analysis`, whose layers take the place of the old one's.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._before: list[Analysis] = []
        self.layers = LayerBox(viewer, _has_analysis)
        self.name = QLineEdit()
        self.name.setPlaceholderText("name")
        self.said = QLabel(_HELP)
        self.said.setWordWrap(True)
        acts: tuple[tuple[str, Callable[[], None]], ...] = (
            ("Name", self.call),
            ("Merge", self.merge),
            ("Split off", self.split),
            ("Wrong motif", self.unassign),
            ("Remove", self.remove),
            ("New columns", self.begin_adding),
            ("Add", self.add),
            ("Undo", self.undo),
            ("Save decisions", lambda: self._ask(self.save_decisions, "decisions.toml", "TOML (*.toml)")),
            ("Apply decisions", self._ask_and_apply),
            ("Save analysis", lambda: self._ask(self.save, "analysis.zip", "Analyses (*.zip)")),
            ("Save dictionary", lambda: self._ask(self.learn, "named.motifs", "Dictionaries (*.motifs)")),
        )
        self.buttons = {text: QPushButton(text) for text, _ in acts}
        for text, act in acts:
            self.buttons[text].clicked.connect(lambda _=False, act=act: self._try(act))
        self.name.returnPressed.connect(lambda: self._try(self.call))
        self._arrange()

    @property
    def analysis(self) -> Analysis:
        """The analysis that the chosen layer shows.

        Raises
        ------
        StageError
            If there is no such layer.
        """
        layer = self.layers.layer
        if layer is None:
            raise StageError("napari", "there is no layer of an analysis", "open one, or analyse an image")
        found: Analysis = layer.metadata[ANALYSIS]
        return found

    @property
    def selected(self) -> np.ndarray:
        """Rows of `Analysis.points` that are selected.

        Raises
        ------
        StageError
            If there is none.
        """
        layer = self.layers.layer
        rows = np.array(sorted(layer.selected_data) if layer is not None else [], np.int64)
        if not rows.size:
            raise StageError("napari", "0 columns are selected", "select some in the layout")
        return rows

    def call(self) -> None:
        """Name the selected motif, or make the selected columns a motif of that name."""
        analysis, rows = self.analysis, self.selected
        labels = to_numpy(analysis.motifs.labels)
        motifs = np.unique(labels[rows])
        whole = len(motifs) == 1 and motifs[0] >= 0 and (labels == motifs[0]).sum() == len(rows)
        name = self.name.text().strip()
        self._show(analysis.rename({int(motifs[0]): name}) if whole else analysis.assign(rows, name))

    def merge(self) -> None:
        """Make the motifs one of which columns are selected."""
        labels = to_numpy(self.analysis.motifs.labels)[self.selected]
        self._show(self.analysis.merge(np.unique(labels[labels >= 0]).tolist(), self._name()))

    def split(self) -> None:
        """Make the selected columns of a motif another one."""
        rows = self.selected
        labels = np.unique(to_numpy(self.analysis.motifs.labels)[rows])
        if len(labels) > 1:
            raise StageError("napari", f"columns of {len(labels)} motifs are selected", "select one motif's")
        name = self._name()
        self._show(self.analysis.split(int(labels[0]), rows, names=[name] if name else []))

    def unassign(self) -> None:
        """Say that the selected columns are of no motif."""
        self._show(self.analysis.assign(self.selected, None))

    def remove(self) -> None:
        """Take the selected columns away."""
        self._show(self.analysis.remove_columns(self.selected))

    def begin_adding(self) -> None:
        """Make an empty points layer in which columns are clicked, see `add`."""
        from napari.layers import Points

        layer = self.layers.layer
        self.analysis  # noqa: B018  # says so where there is none
        new = Points(
            np.zeros((0, 2)),
            name=ADDED,
            size=float(np.median(layer.size)) if len(layer.size) else 5.0,
            face_color="transparent",
            border_color="#FFE14A",
            border_width=0.15,
            **placed_like(layer),
        )
        self._viewer.add_layer(new)
        new.mode = "add"

    def add(self) -> None:
        """Add the columns that were clicked."""
        layers = [layer for layer in self._viewer.layers if layer.name.startswith(ADDED)]
        if not layers or not len(layers[-1].data):
            raise StageError("napari", "0 columns were clicked", "take New columns and click where they are")
        points = np.asarray(layers[-1].data)
        found = self.analysis.add_columns(points)
        self._viewer.layers.remove(layers[-1])
        self._show(found)

    def undo(self) -> None:
        """Take the last decision back."""
        if not self._before:
            raise StageError("napari", "there are 0 decisions of this session", "nothing can be taken back")
        self._replace(self._before.pop())

    def save_decisions(self, path: str | Path) -> Path:
        """Write all decisions as a file; see `motifgpu.write_decisions`."""
        from motifgpu.decisions import write_decisions

        return write_decisions(path, self.analysis.decisions)

    def apply(self, path: str | Path) -> None:
        """Carry out the decisions of a file; see `motifgpu.Analysis.apply`."""
        self._show(self.analysis.apply(path))

    def save(self, path: str | Path) -> Path:
        """Write the analysis; see `motifgpu.Analysis.save`."""
        return self.analysis.save(path)

    def learn(self, path: str | Path) -> Path:
        """Write a dictionary with the motifs and their names, for other micrographs and runs."""
        from motifgpu.dictionary import MotifDictionary

        return MotifDictionary.learn(self.analysis).save(path)

    def closeEvent(self, event: Any) -> None:
        """Let go of the viewer."""
        self.layers.let_go()
        super().closeEvent(event)

    def _arrange(self) -> None:
        chosen = QFormLayout()
        chosen.addRow("columns", self.layers)
        chosen.addRow("name", self.name)
        grid = QGridLayout()
        for place, button in enumerate(self.buttons.values()):
            grid.addWidget(button, *divmod(place, 3))
        whole = QVBoxLayout(self)
        whole.addLayout(chosen)
        whole.addLayout(grid)
        whole.addWidget(self.said)
        whole.addStretch(1)

    def _name(self) -> str | None:
        return self.name.text().strip() or None

    def _try(self, act: Callable[[], None]) -> None:
        """Do something, and say what came of it."""
        try:
            act()
        except (StageError, OSError) as error:
            self.said.setText(str(error))

    def _show(self, found: Analysis) -> None:
        self._before.append(self.analysis)
        self._replace(found)
        self.name.clear()

    def _replace(self, found: Analysis) -> None:
        """Show an analysis in place of the one that is shown, with the image as it is."""
        from napari.layers import Layer

        shown: Points = self.layers.layer
        old = shown.metadata[ANALYSIS]
        mine = [layer for layer in self._viewer.layers if layer.metadata.get(ANALYSIS) is old]
        hidden = {layer.name: layer.visible for layer in mine}
        at = self._viewer.layers.index(mine[0])
        placed = placed_like(shown)
        for layer in mine:
            self._viewer.layers.remove(layer)
        new = [Layer.create(*data) for data in analysis_layers(found, placed)]
        for place, layer in enumerate(new):
            layer.visible = hidden.get(layer.name, layer.visible)
            self._viewer.layers.insert(at + place, layer)
        columns = next(layer for layer in new if layer.name.startswith(COLUMNS) and _has_analysis(layer))
        self.layers.choose(columns)
        self._viewer.layers.selection.active = columns
        kinds = [k for k in range(len(found.motifs.counts)) if found.motifs.counts[k]]
        counts = ", ".join(f"{int(found.motifs.counts[k]):,} {found.motifs.name(k)}" for k in kinds[:8])
        last = f"{found.decisions[-1]}\n" if found.decisions else ""
        self.said.setText(f"{last}{counts}")

    def _ask(self, write: Callable[[str], Path], name: str, kinds: str) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save", name, kinds)
        if path:
            self.said.setText(f"written: {write(path)}")

    def _ask_and_apply(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Decisions", "", "TOML (*.toml)")
        if path:
            self.apply(path)


def _has_analysis(layer: Any) -> bool:
    from napari.layers import Points

    return isinstance(layer, Points) and ANALYSIS in layer.metadata and "motif" in layer.features
