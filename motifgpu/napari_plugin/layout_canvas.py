"""The layout as a picture in which columns are chosen with the mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.backend_bases import MouseButton
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.widgets import LassoSelector
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from motifgpu.figures.drawing import per_label
from motifgpu.figures.layout import LEAST_CLUMP, dot_area
from motifgpu.napari_plugin.selection import inside

_DIM = (0.54, 0.58, 0.64, 0.3)  # of columns that are not selected
_NEAR = 8.0  # screen pixels from a click to the column that it means
_STEP = 1.25  # by which a notch of the wheel zooms
_DISC = 9000.0  # area, points squared, of an environment that held every column

REPLACE, ADD, REMOVE = "replace", "add", "remove"


class LayoutCanvas(FigureCanvasQTAgg):
    """The layout: one dot per column, one pale disc per environment.

    The left button draws round columns or taps one; with Shift they are added to the selection, with Ctrl
    taken from it. The wheel zooms, the right or middle button moves, a double click shows all.

    Parameters
    ----------
    chosen : callable
        Called as ``chosen(rows, how)`` with the rows (s,) that were drawn round, and "replace", "add" or
        "remove".
    """

    def __init__(self, chosen: Callable[[np.ndarray, str], None]) -> None:
        super().__init__(Figure(figsize=(4, 4)))  # type: ignore[no-untyped-call]
        self._chosen = chosen
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xticks=[], yticks=[])
        self.axes.spines[:].set_visible(False)
        self._places = np.zeros((0, 2))
        self._order = np.zeros(0, np.int64)
        self._colors = np.zeros((0, 4))
        self._dots: PathCollection | None = None
        self._picked: PathCollection | None = None
        self._middle, self._scale = np.zeros(2), 1.0
        self._held: tuple[float, float] | None = None
        self.setMinimumSize(220, 220)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        line = {"color": "white", "linewidth": 1.2}
        self._lasso = LassoSelector(
            self.axes, self._drawn_round, useblit=True, button=MouseButton.LEFT, props=line
        )
        self.mpl_connect("resize_event", lambda event: self.show_all())
        self.mpl_connect("scroll_event", self._zoom)
        self.mpl_connect("button_press_event", self._press)
        self.mpl_connect("motion_notify_event", self._move)
        self.mpl_connect("button_release_event", self._release)

    def set_background(self, color: str, ink: str) -> None:
        """Take the colours of the window around it."""
        self.figure.set_facecolor(color)
        self.axes.set_facecolor(color)
        self._lasso.set_props(color=ink)
        self.draw_idle()  # type: ignore[no-untyped-call]

    def set_columns(
        self, places: np.ndarray, colors: np.ndarray, labels: np.ndarray, environments: np.ndarray
    ) -> None:
        """Show other columns, none of them selected.

        Parameters
        ----------
        places : (n, 2) array
            The layout.
        colors : (n, 4) array
        labels, environments : (n,) int array
            Rare labels are drawn on top; every environment has a disc.
        """
        moved = places.shape != self._places.shape or not np.array_equal(places, self._places)
        self._places, self._colors = np.asarray(places, np.float64), colors
        _, kind, counts = np.unique(labels, return_inverse=True, return_counts=True)
        self._order = np.argsort(-counts[kind.reshape(-1)], kind="stable")
        for drawn in list(self.axes.collections):
            drawn.remove()
        # Clumps are small on the screen, so the area of a disc shows how many columns an environment has.
        for label, rows in per_label(environments):
            if label >= 0 and len(rows) >= LEAST_CLUMP:
                x, y = np.median(self._places[rows], axis=0)
                area = _DISC * len(rows) / len(places)
                self.axes.scatter(x, y, s=area, color=colors[rows[0]], alpha=0.2, linewidths=0, zorder=1)
        area = dot_area(len(places))
        x, y = self._places[self._order].T
        self._dots = self.axes.scatter(x, y, s=area, linewidths=0, zorder=2)
        self._picked = self.axes.scatter([], [], s=2.2 * area, linewidths=0, zorder=3)
        if moved:
            self.show_all()
        self.set_selected(np.zeros(len(places), bool))

    def set_selected(self, selected: np.ndarray) -> None:
        """Show which columns (n,) are selected: these in their colours, the others grey."""
        if self._dots is None or self._picked is None:
            return
        shades: Any = _DIM if selected.any() else self._colors[self._order]
        self._dots.set_facecolor(shades)
        shown = self._order[selected[self._order]]
        self._picked.set_offsets(self._places[shown])
        self._picked.set_facecolor(self._colors[shown])
        self.draw_idle()  # type: ignore[no-untyped-call]

    def show_all(self) -> None:
        """Fit the view to all columns."""
        if len(self._places):
            low, high = self._places.min(axis=0), self._places.max(axis=0)
            self._middle = (low + high) / 2
            self._scale = 1.12 * max(float((high - low).max()), 1e-6) / min(self.figure.bbox.size)
        self._frame()

    def _frame(self) -> None:
        """Show the layout about `_middle`, `_scale` of its units a screen pixel in x as in y."""
        half = self._scale * np.array(self.figure.bbox.size) / 2
        (left, right), (bottom, top) = np.stack([self._middle - half, self._middle + half], axis=1)
        self.axes.set(xlim=(left, right), ylim=(bottom, top))
        self.draw_idle()  # type: ignore[no-untyped-call]

    def on_screen(self, places: Any) -> np.ndarray:
        """Return where (k, 2) places of the layout are in the widget: x and y in its own pixels, y down."""
        at = self.axes.transData.transform(np.asarray(places, np.float64).reshape(-1, 2))
        at[:, 1] = self.figure.bbox.height - at[:, 1]
        return at / self.device_pixel_ratio

    def _drawn_round(self, outline: list[tuple[float, float]]) -> None:
        held = QApplication.keyboardModifiers()
        how = REPLACE
        if held & Qt.KeyboardModifier.ShiftModifier:
            how = ADD
        elif held & Qt.KeyboardModifier.ControlModifier:
            how = REMOVE
        corners = self.on_screen(outline)
        if np.ptp(corners, axis=0).max() < _NEAR / 2:
            away = np.linalg.norm(self.on_screen(self._places) - corners[0], axis=1)
            near = len(away) > 0 and away.min() <= _NEAR
            rows = np.array([away.argmin()]) if near else np.zeros(0, np.int64)
        else:
            rows = np.flatnonzero(inside(outline, self._places))
        self._chosen(rows, how)

    def _zoom(self, event: Any) -> None:
        if event.xdata is not None:
            factor = _STEP**-event.step
            under = np.array([event.xdata, event.ydata])
            self._middle = under + factor * (self._middle - under)
            self._scale *= factor
            self._frame()

    def _press(self, event: Any) -> None:
        if event.dblclick:
            self.show_all()
        elif event.button in (MouseButton.MIDDLE, MouseButton.RIGHT):
            self._held = event.x, event.y

    def _move(self, event: Any) -> None:
        if self._held is not None:
            self._middle = self._middle - self._scale * (np.array([event.x, event.y]) - self._held)
            self._held = event.x, event.y
            self._frame()

    def _release(self, event: Any) -> None:
        self._held = None
