"""The widget that links the layout with the columns on the micrograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from motifgpu.figures.layout import COLORS, PLURALS, no_label
from motifgpu.figures.palette import label_color
from motifgpu.napari_plugin.layers import LAYOUT, colors
from motifgpu.napari_plugin.layout_canvas import ADD, REMOVE, REPLACE, LayoutCanvas
from motifgpu.napari_plugin.qt import LayerBox, placed_like, theme_colors
from motifgpu.napari_plugin.selection import describe

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Points

_NEEDED = {*LAYOUT, *COLORS}
_FILLED, _FAINT = 0.55, 0.3  # opacities of the inside of a selected ring and of one that is not selected
_HELP = (
    "Draw a line around columns, or click on one. Shift adds, Ctrl takes away. The wheel zooms, the right "
    "button moves, a double click shows all. Back: take the selection tool of the points layer and drag on "
    "the micrograph."
)


class LayoutWidget(QWidget):  # type: ignore[misc]
    """Layout of the columns in a points layer, where a selection in one is a selection in the other.

    Any points layer serves whose features hold layout_x, layout_y and what `COLORS` names, so also
    one that was kept from a selection. Of a stack the columns of the micrograph in view are shown.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._layer: Points | None = None
        self._rows = np.zeros(0, np.int64)  # of the layer, shown in the layout
        self._telling = False
        self.canvas = LayoutCanvas(self._chosen)
        self.canvas.setToolTip(_HELP)
        self.layers = LayerBox(viewer, _has_layout)
        self.color = QComboBox()
        self.color.addItems(COLORS)
        self.kinds = QTreeWidget()
        self.kinds.setColumnCount(3)
        self.kinds.setRootIsDecorated(False)
        self.kinds.header().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.kinds.setSelectionMode(QTreeWidget.SelectionMode.ExtendedSelection)
        self.kinds.setMaximumHeight(170)
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.name = QLineEdit()
        self.name.setPlaceholderText("name of the selection")
        self.keep = QPushButton("Keep as layer")
        self.save = QPushButton("Save as CSV")
        self.clear = QPushButton("Clear")
        self._arrange()
        # Several changes of one selection are answered once.
        self._later = QTimer(self, singleShot=True, interval=0)
        self._later.timeout.connect(self._show_selection)
        self.layers.currentIndexChanged.connect(self._take_layer)
        self.color.currentTextChanged.connect(self._recolor)
        self.kinds.itemSelectionChanged.connect(self._kinds_chosen)
        self.keep.clicked.connect(self.keep_selection)
        self.save.clicked.connect(self._ask_and_save)
        self.clear.clicked.connect(lambda: self._chosen(np.zeros(0, np.int64), REPLACE))
        viewer.dims.events.current_step.connect(self._stepped)
        viewer.events.theme.connect(self._retheme)
        self._retheme()
        self._take_layer()

    @property
    def selected(self) -> np.ndarray:
        """Selected columns (s,) as rows of the layer, rising."""
        if self._layer is None:
            return np.zeros(0, np.int64)
        return np.array(sorted(self._layer.selected_data), np.int64)

    def select(self, rows: Any) -> None:
        """Select columns by their rows in the layer, and no others."""
        if self._layer is not None:
            self._layer.selected_data = {int(row) for row in rows}
            self._show_selection()

    def keep_selection(self) -> Points | None:
        """Make a points layer of the selected columns, with their features; None where there are none."""
        from napari.layers import Points

        if self._layer is None or not len(rows := self.selected):
            return None
        kept = Points(
            self._layer.data[rows],
            name=self._name(),
            features=self._layer.features.iloc[rows].reset_index(drop=True),
            size=1.25 * self._layer.size[rows],
            symbol="disc",
            face_color="transparent",
            border_color="#FFE14A",
            border_width=0.12,
            blending="translucent_no_depth",
            **placed_like(self._layer),
        )
        shown = self._layer
        self._viewer.add_layer(kept)
        self.layers.choose(shown)
        self._viewer.layers.selection.active = shown
        return kept

    def save_selection(self, path: str | Path) -> Path:
        """Write the features of the selected columns as CSV, one row per column, with the selection's name.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        from motifgpu.core.files import write_text
        from motifgpu.core.text import as_text

        table = self._table().iloc[self.selected].copy()
        table.insert(0, "selection", self._name())
        for text in table.columns.intersection(["selection", "name"]):
            table[text] = [as_text(str(value)) for value in table[text]]
        return write_text(Path(path), table.to_csv(index=False, lineterminator="\n"))

    def closeEvent(self, event: Any) -> None:
        """Let go of the viewer."""
        self._viewer.dims.events.current_step.disconnect(self._stepped)
        self._viewer.events.theme.disconnect(self._retheme)
        self.layers.let_go()
        self._leave_layer()
        super().closeEvent(event)

    def _arrange(self) -> None:
        chosen = QFormLayout()
        chosen.addRow("columns", self.layers)
        chosen.addRow("colour", self.color)
        done = QHBoxLayout()
        for button in (self.keep, self.save, self.clear):
            done.addWidget(button)
        whole = QVBoxLayout(self)
        whole.addLayout(chosen)
        whole.addWidget(self.canvas, 1)
        whole.addWidget(self.kinds)
        whole.addWidget(self.said)
        whole.addWidget(self.name)
        whole.addLayout(done)

    def _name(self) -> str:
        return self.name.text().strip() or "selection"

    def _table(self) -> Any:
        assert self._layer is not None
        return self._layer.features

    def _feature(self, name: str) -> np.ndarray:
        values: np.ndarray = self._table()[name].to_numpy()[self._rows]
        return values

    def _take_layer(self) -> None:
        layer = self.layers.layer
        if layer is not self._layer:
            self._leave_layer()
            self._layer = layer
            if layer is not None:
                layer.selected_data.events.items_changed.connect(self._soon)
                layer.events.data.connect(self._load)
        self._load()

    def _leave_layer(self) -> None:
        if self._layer is not None:
            self._layer.selected_data.events.items_changed.disconnect(self._soon)
            self._layer.events.data.disconnect(self._load)
            self._layer = None

    def _soon(self) -> None:
        if not self._telling:
            self._later.start()

    def _stepped(self) -> None:
        if self._layer is not None and self._layer.ndim > 2:
            self._load()

    def _load(self) -> None:
        """Show the columns of the layer, of a stack those of the micrograph in view."""
        layer = self._layer
        if layer is None:
            self._rows = np.zeros(0, np.int64)
            self.canvas.set_columns(np.zeros((0, 2)), np.zeros((0, 4)), *np.zeros((2, 0), np.int64))
            self.kinds.clear()
            self.said.setText(
                "There is no points layer with a layout: open an analysis, or analyse an image."
            )
            return
        inside = np.ones(len(layer.data), bool)
        if layer.ndim > 2:
            at = self._viewer.dims.point[-layer.ndim : -2]
            inside = (np.abs(layer.data[:, :-2] * layer.scale[:-2] - at) < 0.5).all(axis=1)
        self._rows = np.flatnonzero(inside)
        self._recolor()

    def _recolor(self) -> None:
        if self._layer is None:
            return
        kind = self.color.currentText()
        shades = colors(self._feature(kind), kind)
        places = np.stack([self._feature(name) for name in LAYOUT], axis=1)
        self.canvas.set_columns(places, shades, self._feature("motif"), self._feature("environment"))
        self._list_kinds()
        self._show_selection()

    def _list_kinds(self) -> None:
        """List what the colours show with counts, motifs for confidence; what is chosen there is selected."""
        kind = self._listed()
        self.kinds.blockSignals(True)
        self.kinds.clear()
        self.kinds.setHeaderLabels([kind, "columns", "selected"])
        for label, count in zip(*np.unique(self._feature(kind), return_counts=True), strict=True):
            item = QTreeWidgetItem([str(label) if label >= 0 else no_label(kind), f"{count:,}", ""])
            shade = QPixmap(12, 12)
            shade.fill(QColor(label_color(kind, int(label))))
            item.setIcon(0, QIcon(shade))
            item.setData(0, Qt.ItemDataRole.UserRole, int(label))
            self.kinds.addTopLevelItem(item)
        self.kinds.blockSignals(False)

    def _listed(self) -> str:
        kind = self.color.currentText()
        return kind if kind in PLURALS else "motif"

    def _kinds_chosen(self) -> None:
        items = self.kinds.selectedItems()
        labels = [item.data(0, Qt.ItemDataRole.UserRole) for item in items]
        if labels:
            self.select(self._rows[np.isin(self._feature(self._listed()), labels)])

    def _unlist(self) -> None:
        """Choose nothing in the list, so that a click there selects again."""
        self.kinds.blockSignals(True)
        self.kinds.clearSelection()
        self.kinds.blockSignals(False)

    def _chosen(self, rows: np.ndarray, how: str) -> None:
        """Take what was drawn round in the layout."""
        self._unlist()
        new, old = set(self._rows[rows].tolist()), set(self.selected.tolist())
        self.select(old | new if how == ADD else old - new if how == REMOVE else new)

    def _show_selection(self) -> None:
        """Show in both pictures what is selected in the layer."""
        layer = self._layer
        if layer is None:
            return
        chosen = np.zeros(len(layer.data), bool)
        chosen[self.selected] = True
        here = chosen[self._rows]
        self.canvas.set_selected(here)
        motif = self._feature("motif")
        self.said.setText(describe(motif[here], self._feature("confidence")[here], len(here)))
        kind = self._feature(self._listed())
        self.kinds.blockSignals(True)
        for k in range(self.kinds.topLevelItemCount()):
            item = self.kinds.topLevelItem(k)
            number = int((kind[here] == item.data(0, Qt.ItemDataRole.UserRole)).sum())
            item.setText(2, f"{number:,}" if number else "")
        self.kinds.blockSignals(False)
        for button in (self.keep, self.save, self.clear):
            button.setEnabled(bool(here.any()))
        self._paint(layer, chosen)

    def _paint(self, layer: Points, chosen: np.ndarray) -> None:
        """Colour the rings like the layout; selected ones are filled and the others faint."""
        by = self.color.currentText()
        rim = colors(layer.features[by].to_numpy(), by)
        fill = rim * [1, 1, 1, _FILLED]
        fill[~chosen, 3] = 0.0
        if chosen.any():
            rim[~chosen, 3] = _FAINT
        self._telling = True
        try:
            layer.border_color = rim
            layer.face_color = fill
        finally:
            self._telling = False

    def _ask_and_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the selection", f"{self._name()}.csv", "CSV (*.csv)"
        )
        if path:
            self.save_selection(path)

    def _retheme(self) -> None:
        self.canvas.set_background(*theme_colors(self._viewer))


def _has_layout(layer: Any) -> bool:
    from napari.layers import Points

    return isinstance(layer, Points) and set(layer.features.columns) >= _NEEDED
