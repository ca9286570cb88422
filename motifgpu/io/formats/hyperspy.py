"""HyperSpy's signals in memory, known by their shape: HyperSpy itself is not imported."""

from __future__ import annotations

from typing import Any

from motifgpu.core.errors import StageError
from motifgpu.io.formats.units import square, step_nm


def is_signal(source: Any) -> bool:
    """Say whether an object has the data and the axes of a HyperSpy signal."""
    return hasattr(source, "axes_manager") and hasattr(source, "data")


def image(source: Any) -> tuple[Any, float | None, str]:
    """Return the image of a signal, its pixel size in nm or None, and its title.

    Parameters
    ----------
    source : object
        Has `data`, `axes_manager` with `signal_axes` and `navigation_axes` (each axis with `scale`, `units`
        and `index_in_array`), and `metadata.General.title`. Lazy data are computed.

    Raises
    ------
    StageError
        If the signal is not one real image.
    """
    general = getattr(getattr(source, "metadata", None), "General", None)
    title = str(getattr(general, "title", ""))
    axes = [*source.axes_manager.navigation_axes, *source.axes_manager.signal_axes]
    large = [axis for axis in axes if axis.size != 1]
    if len(large) == 3 and sum(axis.size != 1 for axis in source.axes_manager.signal_axes) == 2:
        raise StageError(
            "micrograph",
            f"the signal holds {large[0].size} images",
            "give one of them, signal.inav[0], or their sum, signal.sum()",
        )
    if len(large) != 2 or len(source.axes_manager.signal_axes) == 1:
        raise StageError(
            "micrograph",
            f"the signal has {len(source.axes_manager.navigation_axes)} navigation and "
            f"{len(source.axes_manager.signal_axes)} signal axes",
            "give an image (Signal2D without navigation axes)",
        )
    pixels = source.data.reshape([length for length in source.data.shape if length != 1])
    sides = (step_nm(getattr(axis, "scale", None), getattr(axis, "units", None)) for axis in large)
    return pixels, square(*sides), title
