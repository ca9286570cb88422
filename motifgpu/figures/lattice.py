"""How the lattice is deformed: strain and rotation of its cells, and the slow drift they contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import PolyCollection

from motifgpu.core.errors import StageError
from motifgpu.figures.drawing import TITLE, axes, frame, image_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from motifgpu.analysis import Analysis

STRAINS = {
    "dilatation": "dilatation (%)",
    "shear": "shear (%)",
    "rotation": "rotation (degrees, counter-clockwise)",
}


def plot_strain(analysis: Analysis, ax: Axes | None = None, component: str = "dilatation") -> Axes:
    """Draw the deformation of each cell against the mean lattice; arrows show the slow drift.

    Parameters
    ----------
    analysis : Analysis
        With a lattice.
    ax : matplotlib.axes.Axes, optional
    component : {"dilatation", "shear", "rotation"}
        Relative change of the area, shear strain between rows and columns, or rotation.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    StageError
        If there is no lattice, or no such component.
    """
    if component not in STRAINS:
        raise StageError("plots", f"component is {component!r}", f"choose one of {', '.join(STRAINS)}")
    lattice = analysis.cells.lattice if analysis.cells is not None else None
    if lattice is None:
        raise StageError("plots", "there is no lattice to show the strain of", "analyse with structure=True")
    strain = lattice.strain
    values = {
        "dilatation": 100 * np.trace(strain.gradient, axis1=1, axis2=2),
        "shear": 100 * strain.strain[:, 0, 1],
        "rotation": strain.rotation,
    }[component]
    shape = analysis.micrograph.shape
    ax = axes(ax, image_size(shape, 6.0, 0.9))
    known = np.isfinite(values)
    largest = float(np.percentile(np.abs(values[known]), 99)) if known.any() else 1.0
    drawn = PolyCollection(
        list(lattice.polygons(lattice.cells)[known][:, :, ::-1]), array=values[known], cmap="RdBu_r"
    )
    drawn.set(clim=(-largest or -1.0, largest or 1.0), edgecolor="face", linewidth=0.2)
    ax.add_collection(drawn)
    ax.set(aspect="equal", facecolor="0.85")
    frame(ax, shape, analysis.micrograph.pixel_size_nm)
    ax.figure.colorbar(drawn, ax=ax, shrink=0.8).set_label(STRAINS[component])
    title = component
    if lattice.drift.degree > 1:
        title += f"; arrows: drift, at most {_draw_drift(ax, analysis):.1f} px"
    ax.set_title(title, **TITLE)
    return ax


def _draw_drift(ax: Axes, analysis: Analysis) -> float:
    """Draw arrows from the straight lattice to the drifted one, and return the longest drift, px."""
    assert analysis.cells is not None
    lattice = analysis.cells.lattice
    assert lattice is not None
    height, width = analysis.micrograph.shape
    rows, cols = np.meshgrid(*((np.arange(8) + 0.5) * n / 8 for n in (height, width)), indexing="ij")
    places = np.stack([rows.ravel(), cols.ravel()], axis=1)
    low, high = lattice.points.min(axis=0), lattice.points.max(axis=0)
    places = places[((places >= low) & (places <= high)).all(axis=1)]
    shift = lattice.drift.departure(lattice.drift.inverse(places))
    longest = float(np.hypot(*shift.T).max(initial=0.0))
    # The longest arrow spans most of the way to the next one, so short drifts are seen as well.
    scale = max(longest, 1e-9) / (0.8 * min(height, width) / 8)
    ax.quiver(
        *places.T[::-1], *shift.T[::-1], angles="xy", scale_units="xy", scale=scale, color="0.15", width=0.003
    )
    return longest
