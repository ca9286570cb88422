"""Where units of one kind are distorted, drawn on the micrograph (Fig. S17 of the paper)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.core.namespace import to_numpy
from motifgpu.figures.drawing import axes, show_grey

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_distortion(
    points: Any, scores: Any, image: Any = None, component: int = 0, ax: Axes | None = None
) -> Axes:
    """Draw one component of the distortion where the units are, as in Fig. S17.

    Parameters
    ----------
    points : (n, 2) array
        Units as (row, col), px.
    scores : (n, c) array
        `motifgpu.reconstruction.profiles.Distortion.scores`.
    image : (H, W) array, optional
        Micrograph to draw on.
    component : int
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    where, values = to_numpy(points), to_numpy(scores)[:, component]
    ax = axes(ax, (7.0, 6.2))
    if image is not None:
        picture = to_numpy(image)
        show_grey(ax, picture)
        ax.set(xlim=(-0.5, picture.shape[1] - 0.5), ylim=(picture.shape[0] - 0.5, -0.5))
    else:
        ax.invert_yaxis()
    limit = float(np.quantile(np.abs(values), 0.98)) or 1.0
    area = min(max(40_000 / max(len(where), 1), 4.0), 120.0)
    marks = ax.scatter(
        where[:, 1], where[:, 0], s=area, c=values, cmap="RdBu_r", vmin=-limit, vmax=limit, linewidths=0
    )
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.figure.colorbar(marks, ax=ax, label=f"component {component + 1}", shrink=0.8)
    return ax
