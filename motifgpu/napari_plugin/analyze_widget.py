"""The widget that analyses an image layer."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.core.text import counted
from motifgpu.napari_plugin.layers import analysis_layers, placement
from motifgpu.napari_plugin.qt import LayerBox, placed_like
from motifgpu.options import Options

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

    from motifgpu.analysis import Analysis

_FEWEST = 2.0  # px of a patch that can be requested


class _Stopped(Exception):
    """The user asked to stop."""


class _Told(QObject):  # type: ignore[misc]
    """Passes progress from the thread that computes to the one that draws."""

    progress = Signal(str, float)


class AnalyzeWidget(QWidget):  # type: ignore[misc]
    """Runs `motifgpu.analyze` on an image layer in a thread of its own and adds what it finds as layers.

    Of an image with more than two axes the page in view is analysed.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._stop = threading.Event()
        self._told = _Told()
        self._told.progress.connect(self._show_progress)
        self._worker: Any = None
        self._dictionary: Path | None = None
        self.layers = LayerBox(viewer, _is_image)
        self.pixel_size = QDoubleSpinBox()
        self.pixel_size.setDecimals(6)
        self.pixel_size.setRange(0.0, 1000.0)
        self.pixel_size.setSpecialValueText("not known")
        self.pixel_size.setSuffix(" nm")
        self.patch_size = QDoubleSpinBox()
        self.patch_size.setSpecialValueText("measured")
        self.patch_size.setSuffix(" px")
        self.n_motifs = QSpinBox()
        self.n_motifs.setRange(0, 1000)
        self.n_motifs.setSpecialValueText("found")
        self.dictionary = QPushButton("none")
        self.structure = QCheckBox("lattice and motif-cells")
        self.structure.setChecked(Options.structure)
        self.background = QCheckBox("subtract a slow background")
        self.background.setChecked(Options.remove_background)
        self.start = QPushButton("Analyse")
        self.cancel = QPushButton("Cancel")
        self.cancel.setEnabled(False)
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.said = QLabel()
        self.said.setWordWrap(True)
        self._arrange()
        self.layers.currentIndexChanged.connect(self._read_scale)
        self.dictionary.clicked.connect(self._ask_dictionary)
        self.start.clicked.connect(self.analyze)
        self.cancel.clicked.connect(self.stop)
        self._read_scale()

    def analyze(self) -> None:
        """Begin; the layers come when it is done."""
        from napari.qt.threading import create_worker

        layer = self.layers.layer
        if layer is None or self._worker is not None:
            return
        self._stop.clear()
        image = _page(layer, self._viewer)
        self._worker = create_worker(self._work, image, self._options(), self._dictionary, layer.name)
        self._worker.returned.connect(lambda found: self._finish(found, layer))
        self._worker.errored.connect(self._fail)
        self._worker.finished.connect(self._rest)
        self.start.setEnabled(False)
        self.cancel.setEnabled(True)
        self._worker.start()

    def stop(self) -> None:
        """Stop before the next stage."""
        self._stop.set()
        self.cancel.setEnabled(False)
        self.said.setText("stops before the next stage")

    def set_dictionary(self, path: str | Path | None) -> None:
        """Name the columns by the motifs of a dictionary; None: find motifs."""
        self._dictionary = None if path is None else Path(path)
        self.dictionary.setText("none" if self._dictionary is None else self._dictionary.name)

    def closeEvent(self, event: Any) -> None:
        """Stop, and let go of the viewer."""
        self._stop.set()
        self.layers.let_go()
        super().closeEvent(event)

    def _arrange(self) -> None:
        asked = QFormLayout()
        for name, widget in (
            ("image", self.layers),
            ("pixel size", self.pixel_size),
            ("patch size", self.patch_size),
            ("motifs", self.n_motifs),
            ("dictionary", self.dictionary),
        ):
            asked.addRow(name, widget)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start)
        buttons.addWidget(self.cancel)
        whole = QVBoxLayout(self)
        whole.addLayout(asked)
        for widget in (self.structure, self.background):
            whole.addWidget(widget)
        whole.addLayout(buttons)
        whole.addWidget(self.bar)
        whole.addWidget(self.said)
        whole.addStretch(1)

    def _options(self) -> Options:
        return Options(
            pixel_size_nm=self.pixel_size.value() or None,
            patch_size=self.patch_size.value() if self.patch_size.value() >= _FEWEST else None,
            n_motifs=self.n_motifs.value() or None,
            structure=self.structure.isChecked(),
            remove_background=self.background.isChecked(),
        )

    def _work(
        self, image: np.ndarray, options: Options, dictionary: Path | None, name: str
    ) -> Analysis | str:
        """Analyse, in the other thread; return a message where there is no result."""
        from motifgpu.dictionary import MotifDictionary
        from motifgpu.io.micrograph import Micrograph
        from motifgpu.pipeline import analyze_batch

        def progress(stage: str, fraction: float) -> None:
            if self._stop.is_set():
                raise _Stopped
            self._told.progress.emit(stage, fraction)

        try:
            if dictionary is not None:
                options = replace(options, dictionary=MotifDictionary.load(dictionary))
            micrograph = Micrograph.from_array(image, source="napari", title=name)
            [found] = analyze_batch([micrograph], options, progress)
            return str(found) if isinstance(found, Exception) else found
        except _Stopped:
            return "stopped"
        except (StageError, MicrographReadError, OSError) as error:
            return str(error)

    def _show_progress(self, stage: str, fraction: float) -> None:
        self.bar.setValue(round(100 * fraction))
        if not self._stop.is_set():
            self.said.setText(stage)

    def _finish(self, found: Analysis | str, layer: Image) -> None:
        if isinstance(found, str):
            self.bar.reset()
            self.said.setText(found)
            return
        from napari.layers import Layer

        size = found.micrograph.pixel_size_nm
        if size and layer.ndim == 2 and _in_pixels(layer):
            layer.scale, layer.units = placement(size).values()
        placed = placed_like(layer)
        if layer.ndim > 2:
            placed = {"scale": layer.scale[-2:], "translate": layer.translate[-2:], "units": layer.units[-2:]}
        for data in analysis_layers(found, placed):
            self._viewer.add_layer(Layer.create(*data))
        self.bar.setValue(100)
        number = counted(len(found.motifs.counts), "motif")
        notes = "".join(f"\n{text}" for text in found.warnings)
        self.said.setText(f"{counted(len(found.points), 'column')}, {number}{notes}")

    def _fail(self, error: BaseException) -> None:
        self.bar.reset()
        self.said.setText(f"{type(error).__name__}: {error}")

    def _rest(self) -> None:
        self._worker = None
        self.start.setEnabled(True)
        self.cancel.setEnabled(False)

    def _read_scale(self) -> None:
        layer = self.layers.layer
        self.start.setEnabled(layer is not None and self._worker is None)
        if layer is not None:
            self.pixel_size.setValue(_pixel_size_nm(layer) or 0.0)
            finest = layer.data[0] if layer.multiscale else layer.data
            self.patch_size.setRange(0.0, float(min(finest.shape[-2:])))

    def _ask_dictionary(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Motif dictionary", "", "Dictionaries (*.motifs);;All (*)"
        )
        self.set_dictionary(path or None)


def _is_image(layer: Any) -> bool:
    from napari.layers import Image

    return type(layer) is Image and not layer.rgb


def _in_pixels(layer: Image) -> bool:
    return bool(np.all(layer.scale == 1)) and {str(unit) for unit in layer.units} == {"pixel"}


def _pixel_size_nm(layer: Image) -> float | None:
    """Return the side of a pixel that a layer states with a unit of length, None where it states none."""
    sides = []
    for scale, unit in zip(layer.scale[-2:], layer.units[-2:], strict=True):
        if unit.dimensionality != {"[length]": 1}:
            return None
        sides.append(float((scale * unit).to("nm").magnitude))
    return sides[0] if np.isclose(sides[0], sides[1], rtol=1e-6) else None


def _page(layer: Image, viewer: napari.viewer.Viewer) -> np.ndarray:
    """Return the page in view (H, W) of an image, of its finest level."""
    data = layer.data[0] if layer.multiscale else layer.data
    at = layer.world_to_data(viewer.dims.point[-layer.ndim :])[:-2]
    place = tuple(int(np.clip(round(float(k)), 0, n - 1)) for k, n in zip(at, data.shape[:-2], strict=True))
    return np.array(data[place] if place else data)
