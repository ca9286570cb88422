"""What the figures have in common: axes, grey ranges, scale bars."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredOffsetbox
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE: dict[str, Any] = {"fontsize": 10}
NO_DATA = (0.85, 0.25, 0.2, 0.45)  # over what is no data
# Pixels as they are. What is resampled are the data; four channels of colours look the same and take longer.
PIXELS: dict[str, Any] = {"interpolation": "nearest", "interpolation_stage": "data"}


def plain(text: str) -> str:
    """Return a name as Matplotlib shows it as it is: no formula, and in legends too."""
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return `ax`, or the axes of a new figure of `size` inches that no global state knows."""
    return Figure(figsize=size, layout="constrained", dpi=150).add_subplot() if ax is None else ax


def display_range(image: np.ndarray) -> tuple[float, float]:
    """Return the grey range that shows `image` well: its 0.5 and 99.5 percentiles, never of zero width."""
    low, high = (float(q) for q in np.percentile(image, [0.5, 99.5]))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def nice_length(longest: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above `longest`."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9))


def add_scale_bar(ax: Axes, width_px: float, pixel_size_nm: float | None) -> float:
    """Draw a scale bar of about a fifth of the width in the lower right corner.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes in pixel coordinates.
    width_px : float
        Width of the image, px.
    pixel_size_nm : float or None
        Without it the bar is in pixels.

    Returns
    -------
    float
        Length of the bar, nm or px.
    """
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    scale = pixel_size_nm or 1.0
    length = nice_length(0.22 * width_px * scale)
    bar: AnchoredOffsetbox = AnchoredSizeBar(
        ax.transData,
        length / scale,
        f"{length:g} {'nm' if pixel_size_nm else 'px'}",
        "lower right",
        pad=0.4,
        borderpad=0.6,
        sep=4,
        color="white",
        size_vertical=width_px / 120,
        frameon=True,
    )
    bar.patch.set(facecolor="black", alpha=0.55, edgecolor="none")
    ax.add_artist(bar)
    return length


def frame(ax: Axes, shape: tuple[int, int], pixel_size_nm: float | None) -> None:
    """Fit axes to an image of `shape`: no ticks, rows downwards, a scale bar."""
    ax.set(xticks=[], yticks=[], xlim=(-0.5, shape[1] - 0.5), ylim=(shape[0] - 0.5, -0.5))
    add_scale_bar(ax, shape[1], pixel_size_nm)


def show_grey(ax: Axes, image: np.ndarray) -> None:
    """Draw an image in grey."""
    low, high = display_range(image)
    ax.imshow(image, cmap="gray", vmin=low, vmax=high, **PIXELS)


def show_image(
    ax: Axes, image: np.ndarray, pixel_size_nm: float | None, valid: np.ndarray | None = None
) -> None:
    """Draw an image in grey with its scale bar, in red what is no data: where `valid` (H, W) is False."""
    show_grey(ax, image)
    if valid is not None:
        over = np.zeros((*valid.shape, 4), np.float32)
        over[~valid] = NO_DATA
        ax.imshow(over, **PIXELS)
    frame(ax, image.shape, pixel_size_nm)


def log_scale(ax: Axes, name: Literal["x", "y"]) -> None:
    """Make an axis of what is drawn logarithmic, with plain numbers, at least two; not that of nothing.

    Powers would be formulas, which have to be parsed: that takes 0.3 s.
    """
    if not math.isfinite(ax.dataLim.minposx if name == "x" else ax.dataLim.minposy):
        return  # nothing is drawn
    ax.set(**{f"{name}scale": "log"})
    axis = ax.xaxis if name == "x" else ax.yaxis
    low, high = axis.get_view_interval()
    steps = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0) if high > 4 * low else tuple(range(1, 10))
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def image_size(shape: tuple[int, int], inches: float, beside: float = 0.0) -> tuple[float, float]:
    """Return the size of a figure that holds an image of `shape` and a title, inches.

    It is `inches` wide, of which `beside` are for what is drawn beside the image.
    """
    return inches, 0.35 + (inches - beside) * min(max(shape[0] / shape[1], 0.4), 1.6)


def per_label(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the labels in rising order, unassigned first, with the rows of each."""
    for label in sorted(set(labels.tolist())):
        yield label, np.flatnonzero(labels == label)
