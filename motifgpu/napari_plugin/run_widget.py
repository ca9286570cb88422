"""The widget that goes through the micrographs of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.core.text import counted
from motifgpu.napari_plugin.layers import analysis_layers
from motifgpu.napari_plugin.qt import LayerBox

if TYPE_CHECKING:
    import napari.viewer

    from motifgpu.analysis import Analysis
    from motifgpu.dataset.results import Run

# What is shown of a row of the table of micrographs; the last is how well its motifs explain it.
_SHOWN = ("title", "columns", "motifs", "explained")


class RunWidget(QWidget):  # type: ignore[misc]
    """Micrographs of a run, the strangest first; the one that is chosen comes into view.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._worker: Any = None
        self.layers = LayerBox(viewer, lambda layer: layer.ndim == 3 and "micrographs" in layer.metadata)
        self.table = QTableWidget(0, len(_SHOWN))
        self.table.setHorizontalHeaderLabels(_SHOWN)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.open = QPushButton("Open a run")
        self.again = QPushButton("Show with its lattice and motif-cells")
        self.said = QLabel()
        self.said.setWordWrap(True)
        whole = QVBoxLayout(self)
        for widget in (self.open, self.layers, self.table, self.again, self.said):
            whole.addWidget(widget)
        self.open.clicked.connect(self._ask)
        self.again.clicked.connect(self.analyze_again)
        self.layers.currentIndexChanged.connect(self._fill)
        self.table.itemSelectionChanged.connect(self._go)
        viewer.dims.events.current_step.connect(self._follow)
        self._fill()

    @property
    def chosen(self) -> int | None:
        """Place of the chosen micrograph on the first axis of the stack."""
        items = self.table.selectedItems()
        return items[0].data(Qt.ItemDataRole.UserRole) if items else None

    def analyze_again(self) -> None:
        """Analyse the chosen micrograph again, in a thread of its own, and show everything about it."""
        from napari.qt.threading import create_worker

        if self.chosen is None or self._worker is not None:
            return
        about = self.layers.layer.metadata
        name = about["micrographs"][self.chosen]
        self.said.setText("reads and analyses the file")
        self.again.setEnabled(False)
        self._worker = create_worker(_analysis, about["run"], name)
        self._worker.returned.connect(self._show)
        self._worker.errored.connect(lambda error: self.said.setText(f"{type(error).__name__}: {error}"))
        self._worker.finished.connect(self._rest)
        self._worker.start()

    def closeEvent(self, event: Any) -> None:
        """Let go of the viewer."""
        self._viewer.dims.events.current_step.disconnect(self._follow)
        self.layers.let_go()
        super().closeEvent(event)

    def _ask(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Folder of a run")
        if path:
            self._viewer.open(path, plugin="motifgpu")

    def _fill(self) -> None:
        self.table.blockSignals(True)
        self.table.setSortingEnabled(False)
        self.table.setRowCount(0)
        layer = self.layers.layer
        self.again.setEnabled(layer is not None and self._worker is None)
        if layer is not None:
            found = layer.metadata["run"].micrographs
            values = [found[name].to_pylist() for name in _SHOWN]
            self.table.setRowCount(len(found))
            for k, row in enumerate(zip(*values, strict=True)):
                for at, value in enumerate(row):
                    item = QTableWidgetItem()
                    shown = round(value, 3) if isinstance(value, float) else value
                    item.setData(Qt.ItemDataRole.DisplayRole, shown)
                    item.setData(Qt.ItemDataRole.UserRole, k)
                    self.table.setItem(k, at, item)
            self.table.setSortingEnabled(True)
            self.table.sortItems(_SHOWN.index("explained"))
        self.table.blockSignals(False)
        self._follow()

    def _go(self) -> None:
        if self.chosen is not None:
            layer = self.layers.layer
            self._viewer.dims.set_point(self._viewer.dims.ndim - layer.ndim, self.chosen)

    def _follow(self) -> None:
        """Choose the row of the micrograph in view."""
        layer = self.layers.layer
        if layer is None:
            return
        at = round(self._viewer.dims.point[self._viewer.dims.ndim - layer.ndim])
        if at == self.chosen:
            return
        self.table.blockSignals(True)
        for row in range(self.table.rowCount()):
            if self.table.item(row, 0).data(Qt.ItemDataRole.UserRole) == at:
                self.table.selectRow(row)
        self.table.blockSignals(False)

    def _show(self, found: Analysis | str) -> None:
        if isinstance(found, str):
            self.said.setText(found)
            return
        from napari.layers import Layer

        for layer in self._viewer.layers:
            layer.visible = False
        for data in analysis_layers(found):
            self._viewer.add_layer(Layer.create(*data))
        self.said.setText(
            f"{counted(len(found.points), 'column')}, {counted(len(found.motifs.counts), 'motif')}"
        )

    def _rest(self) -> None:
        self._worker = None
        self.again.setEnabled(self.layers.layer is not None)


def _analysis(run: Run, name: str) -> Analysis | str:
    """Return the analysis, or why there is none."""
    try:
        return run.analysis(name)
    except (StageError, MicrographReadError, OSError) as error:
        return str(error)
