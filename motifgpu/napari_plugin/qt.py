"""What the widgets share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox

if TYPE_CHECKING:
    import napari.viewer


class LayerBox(QComboBox):  # type: ignore[misc]
    """A list of the viewer's layers from which one is chosen; a new one that fits is chosen at once.

    Parameters
    ----------
    viewer : napari.Viewer
    fits : callable
        Says of a layer whether it is listed.
    """

    def __init__(self, viewer: napari.viewer.Viewer, fits: Callable[[Any], bool]) -> None:
        super().__init__()
        self._viewer, self._fits = viewer, fits
        self._listed: list[Any] = []
        # Long names of layers shall not widen the widget.
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        for event in self._events():
            event.connect(self._refresh)
        self._refresh()

    @property
    def layer(self) -> Any:
        """The chosen layer, None where there is none."""
        at = self.currentIndex()
        return self._listed[at] if 0 <= at < len(self._listed) else None

    def choose(self, layer: Any) -> None:
        """Choose a layer that is listed."""
        self.setCurrentIndex(self._listed.index(layer))

    def let_go(self) -> None:
        """Listen to the viewer no longer."""
        for event in self._events():
            event.disconnect(self._refresh)

    def _events(self) -> list[Any]:
        events = self._viewer.layers.events
        return [events.inserted, events.removed, events.reordered]

    def _refresh(self) -> None:
        before = self.layer
        found = [layer for layer in reversed(self._viewer.layers) if self._fits(layer)]
        new = [layer for layer in found if layer not in self._listed]
        wanted = [*new, *([before] if before in found else found)]
        self.blockSignals(True)
        self._listed = found
        self.clear()
        self.addItems([layer.name for layer in found])
        if wanted:
            self.setCurrentIndex(found.index(wanted[0]))
        self.blockSignals(False)
        if self.layer is not before:
            self.currentIndexChanged.emit(self.currentIndex())


def placed_like(layer: Any) -> dict[str, Any]:
    """Return the keywords that place a new layer over `layer`."""
    return {
        name: getattr(layer, name) for name in ("scale", "translate", "rotate", "shear", "affine", "units")
    }


def theme_colors(viewer: napari.viewer.Viewer) -> tuple[str, str]:
    """Return the colours of the window's background and of its text in hexadecimal."""
    from napari.utils.theme import get_theme

    theme = get_theme(viewer.theme)
    return theme.background.as_hex(), theme.text.as_hex()
