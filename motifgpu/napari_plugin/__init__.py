"""A plugin for napari: analyses and runs as layers, and the layout linked with them.

Neither napari nor Qt is imported before something of it is used. `layers` and `stack` say what is shown and
need neither; `reader` opens files; the widgets are in modules of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


def view(analysis: Analysis, viewer: Any = None) -> Any:
    """Show an analysis in napari, with its layout beside it.

    Parameters
    ----------
    analysis : Analysis
    viewer : napari.Viewer, optional
        Where to show it; a new window by default.

    Returns
    -------
    napari.Viewer
        In a script, call `napari.run` afterwards.

    Raises
    ------
    StageError
        If napari is not installed.
    """
    try:
        import napari
        from napari.layers import Layer
    except ImportError as error:
        from motifgpu.core.errors import StageError

        raise StageError(
            "napari", f"napari cannot be imported ({error})", "install it: pip install 'motifgpu[napari]'"
        ) from error
    from motifgpu.napari_plugin.layers import analysis_layers
    from motifgpu.napari_plugin.layout_widget import LayoutWidget

    viewer = napari.Viewer(title="motifgpu") if viewer is None else viewer
    for data in analysis_layers(analysis):
        viewer.add_layer(Layer.create(*data))
    viewer.window.add_dock_widget(LayoutWidget(viewer), name="Layout")
    viewer.reset_view()
    return viewer
