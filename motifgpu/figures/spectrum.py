"""What the power spectrum shows: the patch size, and the twist of a bilayer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from motifgpu.core.namespace import to_numpy
from motifgpu.figures.drawing import PIXELS, TITLE, axes, log_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from motifgpu.analysis import Analysis
    from motifgpu.moire.twist import Twist

_LAYERS = ("#E69F00", "#56B4E9")  # the brighter layer, the fainter one


def plot_patch_size(analysis: Analysis, ax: Axes | None = None) -> Axes:
    """Draw the radial power spectrum with the peak that sets the patch size and the other candidates.

    Parameters
    ----------
    analysis : Analysis
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes(ax, (6.5, 3.6))
    size = analysis.patch_size
    frequency, power = (to_numpy(a) for a in size.curve)
    ax.plot(frequency, power, color="0.25", linewidth=1.2)
    for candidate in size.candidates:
        ax.axvline(2 / candidate, color="0.75", linewidth=0.8, linestyle=":")
    if size.frequency is not None:
        ax.axvline(size.frequency, color="#D55E00", linewidth=1.6)
    unit = analysis.micrograph.pixel_size_nm
    text = f"patch {size.pixels:.1f} px" + (f" = {size.pixels * unit:.2f} nm" if unit else "")
    ax.set_title(f"{text} (confidence {size.confidence:.2f})", **TITLE)
    ax.set(xlabel="spatial frequency (cycles/px)", ylabel="mean power")
    # Below, almost nothing is left after the mean was subtracted.
    seen = power[frequency >= 0.5 * (size.frequency or 2 / size.pixels)]
    ax.set(xlim=(0, float(frequency[-1])), ylim=(0.5 * float(seen.min()), 2 * float(seen.max())))
    log_scale(ax, "y")
    return ax


def plot_twist(analysis: Analysis, twist: Twist, ax: Axes | None = None) -> Axes:
    """Draw the power spectrum with the Bragg peaks of the two layers of a bilayer.

    Parameters
    ----------
    analysis : Analysis
    twist : Twist
        From `motifgpu.twist_angle`.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    from motifgpu.columns.standard_image import StandardImage

    ax = axes(ax, (6.0, 6.2))
    image = to_numpy(StandardImage.of(analysis.micrograph.image, "plots", analysis.micrograph.valid).values)
    window = np.hanning(image.shape[0])[:, None] * np.hanning(image.shape[1])
    power = np.fft.fftshift(np.log(np.abs(np.fft.fft2(image * window)) ** 2 + 1e-12))
    # Pixel centres stand on whole coefficients, so the outermost ones reach half a coefficient further.
    rows, cols = (np.fft.fftshift(np.fft.fftfreq(length)) for length in power.shape)
    half = (rows[1] - rows[0]) / 2, (cols[1] - cols[0]) / 2
    extent = (cols[0] - half[1], cols[-1] + half[1], rows[-1] + half[0], rows[0] - half[0])
    low, high = np.percentile(power, [40, 99.95])
    ax.imshow(power, cmap="gray", extent=extent, vmin=low, vmax=high, **PIXELS)
    reach = 2.4 * (analysis.patch_size.frequency or 2 / analysis.patch_size.pixels)
    for color, peaks, name in zip(_LAYERS, twist.peaks, ("brighter layer", "fainter layer"), strict=True):
        seen = peaks[np.isfinite(peaks).all(axis=1)]
        if len(seen):
            reach = max(reach, 1.15 * float(np.abs(seen).max()))
            both = np.concatenate([seen, -seen])
            ax.scatter(
                both[:, 1], both[:, 0], s=60, facecolors="none", edgecolors=color, linewidths=1.3, label=name
            )
    reach = min(reach, 0.5)
    ax.set(xlim=(-reach, reach), ylim=(reach, -reach), xlabel="cycles/px", ylabel="cycles/px")
    if math.isnan(twist.degrees):
        ax.set_title(f"twist not resolved: {twist.reason}", wrap=True, **TITLE)
    else:
        ax.set_title(f"twist {twist.degrees:.3f}° ± {twist.error:.3f}°", **TITLE)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper right", fontsize=8)
    return ax
