"""The plugin in a real napari: files are opened, layout and micrograph are selected with a real mouse."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import motifgpu
from motifgpu import simulate
from motifgpu.io.micrograph import Micrograph

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
napari = pytest.importorskip("napari", reason="the extra napari is not installed")
QtCore, QtGui, QtTest, QtWidgets = (
    pytest.importorskip(f"qtpy.{name}", exc_type=ImportError)
    for name in ("QtCore", "QtGui", "QtTest", "QtWidgets")
)
QApplication, QPoint, Qt, QTest = QtWidgets.QApplication, QtCore.QPoint, QtCore.Qt, QtTest.QTest
if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    pytest.skip("there is no display; try xvfb-run", allow_module_level=True)

NM = 0.0149
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def settle(until: Callable[[], bool] = lambda: True, seconds: float = 60.0) -> None:
    """Let Qt work until something is true, and a little longer."""
    limit = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < limit, "nothing happened"
        QApplication.processEvents()
        time.sleep(0.005)
    for _ in range(15):
        QApplication.processEvents()
        time.sleep(0.005)


def drag(widget: Any, places: Any, button: Any = LEFT, held: Any = NONE) -> None:
    """Press, move along places (k, 2) as (x, y) in the widget's pixels, and release."""
    along = [QPoint(round(float(x)), round(float(y))) for x, y in places]
    QTest.mousePress(widget, button, held, along[0])
    for point in along[1:]:
        QTest.mouseMove(widget, point)
        settle()
    QTest.mouseRelease(widget, button, held, along[-1])
    settle()


@pytest.fixture(scope="module")
def analysis() -> motifgpu.Analysis:
    truth = simulate.monolayer(
        "MoSe2", (256, 300), vacancies=0.05, divacancies=0.02, dopants={"W": 0.03}, angle=11.0, seed=5
    )
    return motifgpu.analyze(Micrograph(truth.image, NM, "simulated", "MoSe2"))


@pytest.fixture(scope="module")
def plugin() -> str:
    """Make napari know the plugin, also where the package is not installed with its entry point."""
    from npe2 import PluginManager, PluginManifest

    manager = PluginManager.instance()
    manager.discover()
    if "motifgpu" not in manager:
        folder = Path(motifgpu.__file__).parent / "napari_plugin"
        manager.register(PluginManifest.from_file(folder / "napari.yaml"))
    return "motifgpu"


@pytest.fixture
def viewer(plugin: str) -> Iterator[Any]:
    made = napari.Viewer(show=True)
    made.window.resize(1300, 850)
    settle()
    yield made
    made.close()
    settle()


def open_layout(viewer: Any) -> Any:
    _, widget = viewer.window.add_plugin_dock_widget("motifgpu", "Layout")
    settle()
    return widget


def layout_of(layer: Any) -> np.ndarray:
    return layer.features[["layout_x", "layout_y"]].to_numpy(float)


def circle(middle: Any, radius: float, corners: int = 48) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, corners)
    return middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def clump(layer: Any, motif: int) -> tuple[np.ndarray, float]:
    """Return a circle round the columns of a motif in whose rim no column lies."""
    places = layout_of(layer)
    middle = np.median(places[layer.features["motif"] == motif], axis=0)
    away = np.sort(np.linalg.norm(places - middle, axis=1))
    spread = np.ptp(places, axis=0).max()
    rims = np.flatnonzero(np.diff(away) > 0.04 * spread)
    assert len(rims), "there is no gap round the clump"
    return middle, float(away[rims[0] : rims[0] + 2].mean())


def opened(viewer: Any, analysis: motifgpu.Analysis, folder: Path) -> Any:
    viewer.open(str(analysis.save(folder / "scan.zip")), plugin="motifgpu")
    return viewer.layers["columns"]


def test_lasso_in_the_layout_lights_up_columns(
    viewer: Any, analysis: motifgpu.Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = opened(viewer, analysis, tmp_path)
    assert viewer.layers[0].name == "MoSe2"
    assert viewer.layers.selection.active is layer
    widget = open_layout(viewer)
    before = viewer.screenshot(canvas_only=True, flash=False)
    middle, radius = clump(layer, 2)
    within = np.linalg.norm(layout_of(layer) - middle, axis=1) < radius
    assert 0 < within.sum() < len(within)

    drag(widget.canvas, widget.canvas.on_screen(circle(middle, radius)))
    assert widget.selected.tolist() == np.flatnonzero(within).tolist()
    assert layer.selected_data == set(np.flatnonzero(within).tolist())
    filled = np.asarray(layer.face_color)[:, 3] > 0
    np.testing.assert_array_equal(filled, within)
    assert widget.said.text().startswith(f"{within.sum():,} of {len(within):,} columns")
    assert (viewer.screenshot(canvas_only=True, flash=False) != before).any()

    middle2, radius2 = clump(layer, 3)
    both = within | (np.linalg.norm(layout_of(layer) - middle2, axis=1) < radius2)
    # QTest holds no key, so what Qt would say of the keyboard is put in its place.
    held = Qt.KeyboardModifier
    with monkeypatch.context() as keys:
        keys.setattr(QApplication, "keyboardModifiers", staticmethod(lambda: held.ShiftModifier))
        drag(widget.canvas, widget.canvas.on_screen(circle(middle2, radius2)))
        np.testing.assert_array_equal(widget.selected, np.flatnonzero(both))
        keys.setattr(QApplication, "keyboardModifiers", staticmethod(lambda: held.ControlModifier))
        drag(widget.canvas, widget.canvas.on_screen(circle(middle, radius)))
        np.testing.assert_array_equal(widget.selected, np.flatnonzero(both & ~within))

    widget.clear.click()
    settle()
    assert not layer.selected_data
    assert not (np.asarray(layer.face_color)[:, 3] > 0).any()


def test_selection_on_the_micrograph_lights_up_the_layout(
    viewer: Any, analysis: motifgpu.Analysis, tmp_path: Path
) -> None:
    layer = opened(viewer, analysis, tmp_path)
    widget = open_layout(viewer)
    viewer.layers.selection.active = layer
    layer.mode = "select"
    canvas = viewer.window._qt_viewer.canvas.native
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    middle = np.array(canvas.width() / 2), np.array(canvas.height() / 2)

    def on_canvas(point: Any) -> tuple[float, float]:
        down, right = (np.array(layer.data_to_world(point)) - camera.center[-2:]) * camera.zoom
        return float(middle[0] + right), float(middle[1] + down)

    first, last = np.array([90.4, 80.6]), np.array([170.2, 220.7])
    drag(canvas, [on_canvas(first + share * (last - first)) for share in np.linspace(0, 1, 8)])
    reach = float(layer.size[0]) / 2  # napari also takes what the box touches
    surely = ((layer.data > first) & (layer.data < last)).all(axis=1)
    atmost = ((layer.data > first - reach - 1) & (layer.data < last + reach + 1)).all(axis=1)
    chosen = np.zeros(len(layer.data), bool)
    chosen[list(layer.selected_data)] = True
    assert surely.sum() > 10
    assert (chosen | ~surely).all()
    assert (atmost | ~chosen).all()
    picked = np.asarray(widget.canvas._picked.get_offsets())
    want = layout_of(layer)[chosen]
    assert sorted(map(tuple, picked.tolist())) == sorted(map(tuple, want.tolist()))


def test_click_zoom_move_and_list(viewer: Any, analysis: motifgpu.Analysis, tmp_path: Path) -> None:
    layer = opened(viewer, analysis, tmp_path)
    widget = open_layout(viewer)
    canvas = widget.canvas
    places = layout_of(layer)
    alone = int(np.argmax(np.linalg.norm(places - places.mean(axis=0), axis=1)))
    drag(canvas, canvas.on_screen(places[[alone, alone]]))
    assert len(widget.selected) == 1
    assert np.linalg.norm(places[widget.selected[0]] - places[alone]) < 0.02 * np.ptp(places)

    x, y = canvas.on_screen(places[[alone]])[0]
    at = QtCore.QPointF(float(round(x)), float(round(y)))
    wide = np.ptp(canvas.axes.get_xlim())
    none = Qt.MouseButton.NoButton
    turn = QtGui.QWheelEvent(at, at, QPoint(), QPoint(0, 120), none, NONE, Qt.ScrollPhase(0), False)
    QApplication.sendEvent(canvas, turn)
    settle()
    assert np.ptp(canvas.axes.get_xlim()) == pytest.approx(wide / 1.25)
    np.testing.assert_allclose(canvas.on_screen(places[[alone]])[0], (x, y), atol=1.5)
    drag(canvas, [(x, y), (x + 30, y + 20)], Qt.MouseButton.RightButton)
    np.testing.assert_allclose(canvas.on_screen(places[[alone]])[0], (x + 30, y + 20), atol=1.5)
    QTest.mouseDClick(canvas, LEFT, NONE, QPoint(5, 5))
    settle()
    assert np.ptp(canvas.axes.get_xlim()) == pytest.approx(wide)

    drag(canvas, [(2, 2), (2, 2)])  # on nothing
    assert not len(widget.selected)
    widget.kinds.findItems("1", Qt.MatchFlag.MatchExactly)[0].setSelected(True)
    settle()
    assert widget.selected.tolist() == np.flatnonzero(layer.features["motif"] == 1).tolist()
    widget.color.setCurrentText("confidence")
    settle()
    assert len(widget.selected) == (layer.features["motif"] == 1).sum()


def test_selection_is_kept_and_saved(viewer: Any, analysis: motifgpu.Analysis, tmp_path: Path) -> None:
    import csv

    layer = opened(viewer, analysis, tmp_path)
    widget = open_layout(viewer)
    assert widget.keep_selection() is None
    rows = np.flatnonzero(layer.features["motif"] == 2)
    widget.select(rows)
    widget.name.setText("vacancies")
    kept = widget.keep_selection()
    settle()
    assert kept is viewer.layers["vacancies"]
    np.testing.assert_array_equal(kept.data, layer.data[rows])
    np.testing.assert_array_equal(kept.scale, layer.scale)
    assert kept.units == layer.units
    assert widget.layers.layer is layer
    assert widget.selected.tolist() == rows.tolist()
    path = widget.save_selection(tmp_path / "vacancies.csv")
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["selection"] for line in lines} == {"vacancies"}
    assert [int(line["column"]) for line in lines] == layer.features["column"][rows].tolist()
    fields = [name for name in analysis.table().column_names if name != "moments_row"]
    assert set(fields) <= lines[0].keys()
    assert [float(line["row_nm"]) for line in lines] == pytest.approx(layer.features["row_nm"][rows])
    widget.layers.choose(kept)  # a selection has a layout too
    settle()
    assert widget.said.text().startswith(f"{len(rows)} columns")
    viewer.layers.remove(kept)
    viewer.layers.remove(layer)
    settle()
    assert widget.said.text().startswith("There is no points layer with a layout")


def test_layout_lets_go_when_it_is_closed(viewer: Any, analysis: motifgpu.Analysis, tmp_path: Path) -> None:
    layer = opened(viewer, analysis, tmp_path)
    dock, widget = viewer.window.add_plugin_dock_widget("motifgpu", "Layout")
    settle()
    dock.close()
    settle()
    layer.selected_data = {1, 2}
    viewer.theme = "light"
    viewer.layers.clear()
    settle()


def test_image_is_analysed_and_cancelled(viewer: Any, plugin: str) -> None:
    viewer.open_sample(plugin, "ws2")
    (image,) = viewer.layers
    _, widget = viewer.window.add_plugin_dock_widget(plugin, "Analyse an image")
    settle()
    assert widget.pixel_size.value() == pytest.approx(float(image.scale[0]), abs=1e-6)
    widget.start.click()
    widget.cancel.click()
    settle(lambda: widget.start.isEnabled())
    assert widget.said.text() == "stopped"
    assert len(viewer.layers) == 1

    widget.start.click()
    assert not widget.start.isEnabled()
    settle(lambda: widget.start.isEnabled(), 120)
    columns = viewer.layers["columns"]
    found = columns.metadata["analysis"]
    assert widget.bar.value() == 100
    assert widget.said.text().startswith(f"{len(found.points):,} columns, {len(found.motifs.counts)} motifs")
    again = motifgpu.analyze(Micrograph(image.data, widget.pixel_size.value()))
    np.testing.assert_array_equal(columns.features["motif"], again.motifs.labels)
    np.testing.assert_array_equal(columns.scale, image.scale)

    widget.n_motifs.setValue(1000)
    widget.layers.choose(image)
    widget.set_dictionary("missing.motifs")
    widget.start.click()
    settle(lambda: widget.start.isEnabled())
    assert "missing.motifs" in widget.said.text()


def test_page_in_view_is_analysed_where_it_lies(viewer: Any, plugin: str) -> None:
    pages = [simulate.monolayer("MoSe2", (160, 180), vacancies=0.05, seed=k).image for k in range(3)]
    viewer.add_image(np.stack(pages), scale=(1, 0.5, 0.5), translate=(0, 3, 7), name="stack")
    viewer.dims.set_point(0, 2)
    _, widget = viewer.window.add_plugin_dock_widget(plugin, "Analyse an image")
    settle()
    assert widget.pixel_size.value() == 0.0
    widget.start.click()
    settle(lambda: widget.start.isEnabled(), 120)
    columns = viewer.layers["columns"]
    np.testing.assert_array_equal(columns.translate, (3, 7))
    np.testing.assert_array_equal(columns.data, motifgpu.analyze(pages[2]).points)


def test_run_is_gone_through(viewer: Any, plugin: str, tmp_path: Path) -> None:
    for k in range(3):
        truth = simulate.monolayer("MoSe2", (200, 200 + 30 * k), vacancies=0.05, seed=k)
        np.save(tmp_path / f"scan{k}.npy", truth.image)
    motifgpu.run([str(tmp_path)], tmp_path / "out.motif", workers=1, pixel_size_nm=NM)
    viewer.open(str(tmp_path / "out.motif"), plugin=plugin)
    assert [layer.name for layer in viewer.layers] == ["out", "titles", "columns"]
    _, widget = viewer.window.add_plugin_dock_widget(plugin, "Micrographs of a run")
    layout = open_layout(viewer)
    features = viewer.layers["columns"].features
    for row in (2, 0, 1):
        widget.table.selectRow(row)
        settle()
        page = viewer.dims.current_step[0]
        assert page == widget.chosen
        assert widget.table.item(row, 0).text() == f"scan{page}"
        here = int((features["micrograph"] == page).sum())
        assert layout.said.text() == f"{here:,} columns, none selected"
    viewer.dims.set_point(0, 2)
    settle()
    assert widget.chosen == 2
    layout.kinds.findItems("1", Qt.MatchFlag.MatchExactly)[0].setSelected(True)
    settle()
    want = (features["micrograph"] == 2) & (features["motif"] == 1)
    assert layout.selected.tolist() == np.flatnonzero(want).tolist()
    widget.again.click()
    settle(lambda: widget.again.isEnabled(), 120)
    shown = [layer.metadata["analysis"] for layer in viewer.layers if "analysis" in layer.metadata]
    assert shown
    assert all(one is shown[0] for one in shown)
    assert shown[0].micrograph.source.endswith("scan2.npy")
    assert "motif-cells" in viewer.layers


def test_view_shows_everything(analysis: motifgpu.Analysis) -> None:
    from motifgpu.napari_plugin import view

    made = view(analysis)
    settle()
    try:
        assert "columns" in made.layers
        picture = made.screenshot(canvas_only=False, flash=False)
        assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 100
    finally:
        made.close()
        settle()


def test_motifs_are_named_merged_and_corrected(
    viewer: Any, analysis: motifgpu.Analysis, tmp_path: Path
) -> None:
    opened(viewer, analysis, tmp_path)
    _, widget = viewer.window.add_plugin_dock_widget("motifgpu", "Name and correct motifs")
    layout = open_layout(viewer)
    shown = [layer.name for layer in viewer.layers]

    def press(text: str) -> None:
        QTest.mouseClick(widget.buttons[text], LEFT)
        settle()

    def choose(rows: Any) -> Any:
        viewer.layers["columns"].selected_data = set(np.asarray(rows).tolist())
        settle()
        return rows

    labels = analysis.motifs.labels
    press("Name")
    assert "0 columns are selected" in widget.said.text()
    for motif, name in ((0, "Mo"), (1, "Se2")):
        choose(np.flatnonzero(labels == motif))
        widget.name.setText(name)
        press("Name")
    assert widget.analysis.motifs.names[:2] == ("Mo", "Se2")
    assert set(viewer.layers["columns"].features["name"]) >= {"Mo", "Se2"}
    assert [layer.name for layer in viewer.layers] == shown

    choose(np.flatnonzero(np.isin(labels, (1, 2))))
    press("Merge")
    assert widget.analysis.motifs.counts[2] == 0
    press("Undo")
    np.testing.assert_array_equal(widget.analysis.motifs.labels, labels)
    rows = choose(np.flatnonzero(labels == 0)[5:9])
    widget.name.setText("strange")
    press("Name")
    assert (widget.analysis.motifs.labels[rows] == len(analysis.motifs.counts)).all()
    place = analysis.points[rows[0]]
    choose(rows[:1])
    press("Remove")
    assert len(widget.analysis.columns) == len(analysis.columns) - 1
    press("New columns")
    viewer.layers["columns to add"].add(place + 0.3)
    press("Add")
    assert len(widget.analysis.columns) == len(analysis.columns)
    assert [layer.name for layer in viewer.layers] == shown
    layout.select(rows)  # the layout follows
    assert layout.selected.tolist() == rows.tolist()

    made = motifgpu.read_decisions(widget.save_decisions(tmp_path / "decisions.toml"))
    assert [one.do for one in made] == ["rename", "rename", "assign", "remove", "add"]
    known = motifgpu.MotifDictionary.load(widget.learn(tmp_path / "named.motifs"))
    assert {"Mo", "Se2"} <= set(known.names)
    again = motifgpu.Analysis.load(widget.save(tmp_path / "scan.zip"))
    assert again.apply(made) is again
