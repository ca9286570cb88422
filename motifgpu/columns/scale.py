"""The scale of a micrograph, from its Bragg peaks: how far apart its columns are.

What is decided here is decided on the host: the radial mean is a few hundred numbers, and the sizes of later
arrays depend on it, so this is a point where a device is waited for in any case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from motifgpu.columns.spectrum import Spectrum
from motifgpu.core.errors import StageError

# Below four periods across the image a ring is an average of too few coefficients to be distinguished from
# chance; two bins more show how low the curve is before it.
LOWEST_BIN = 4
_BEFORE = 2
# Natural logarithm by which a peak must be above its local background: a factor of 4.5.
CLEAR = 1.5
# Cutoff over the radius of the first ring: at a lattice constant of 22 px (hexagonal) it keeps 10 % of the
# coefficients, which is the paper's share.
CUTOFF = 3.4
# Radius of the last clear ring over that of the first, at most, in a lattice whose cell is about as long as
# its columns are apart: 2.6 to 3.0 at high dose.
LAST_RING = 3.2
# A peak of the radial mean is a ring where a Bragg peak is within so many bins or this share of its radius.
_OFF_BINS, _OFF_RING = 1.5, 0.03
# Share of the strongest Bragg peak's power that makes a peak the first ring, if it is below this share of the
# first that the radial mean has.
_STRONG, _HIDDEN = 0.3, 0.8


@dataclass(frozen=True)
class Ring:
    """The first ring of Bragg peaks.

    Attributes
    ----------
    frequency : float
        Its radius, cycles per pixel.
    confidence : float
        Share of the power on the ring that is above its local background, 0 to 1.
    candidates : (c,) float64 ndarray
        Radii of all clear peaks of the radial mean, ascending, cycles per pixel.
    """

    frequency: float
    confidence: float
    candidates: np.ndarray


def first_ring(spectrum: Spectrum) -> Ring | None:
    """Find the first ring of Bragg peaks, or None where there is no lattice.

    It is the lowest prominent peak of the radial mean at which there are Bragg peaks. A peak is clear when it
    stands a factor of 4.5 above the higher of the two minima that part it from higher power on either side.
    The first ring is the lowest clear peak that has half the logarithmic prominence of the most prominent one
    and a thousandth of the power of the strongest ring. Its radius is refined by a parabola through three
    logarithms of the ring's total power. Where noise of the scan or a background hides all rings in the
    radial mean, or all but the outer ones, it is the lowest of the strong Bragg peaks.

    Parameters
    ----------
    spectrum : Spectrum

    Returns
    -------
    Ring or None
    """
    bragg = spectrum.bragg
    if not len(bragg):
        return None
    radii, prominence = _clear_peaks(spectrum)
    off = np.abs(radii[:, None] - bragg.radius).min(axis=1)
    ringed = off <= np.maximum(_OFF_BINS * spectrum.frequency[1], _OFF_RING * radii)
    radii, prominence = radii[ringed], prominence[ringed]
    strong = np.flatnonzero(bragg.power >= _STRONG * bragg.power.max())
    lowest = strong[bragg.radius[strong].argmin()]
    if len(radii):
        first = int(np.flatnonzero(prominence >= 0.5 * prominence.max())[0])
        if bragg.radius[lowest] > _HIDDEN * radii[first]:
            return Ring(float(radii[first]), 1 - math.exp(-prominence[first]), radii)
    radius = float(bragg.radius[lowest])
    radii = np.concatenate([[radius], radii[radii > radius]])
    return Ring(radius, 1 - 1 / float(bragg.clearness[lowest]), radii)


def _clear_peaks(spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Return radii and logarithmic prominences of the clear peaks of the radial mean."""
    start = LOWEST_BIN - _BEFORE
    power = spectrum.power[start:]
    if len(power) < _BEFORE + 3:
        return np.zeros(0), np.zeros(0)
    log = np.log(np.maximum(power, np.finfo(np.float64).tiny))
    peaks = 1 + np.flatnonzero((log[1:-1] > log[:-2]) & (log[1:-1] >= log[2:]))
    peaks = peaks[peaks >= _BEFORE]
    prominence = np.array([_prominence(log, int(peak)) for peak in peaks])
    energy = spectrum.frequency * spectrum.power
    clear = (prominence >= CLEAR) & (energy[peaks + start] >= 1e-3 * energy.max())
    peaks, prominence = peaks[clear], prominence[clear]
    # The mean over a ring divides by its circumference, which would pull the vertex inwards.
    total = log + np.log(spectrum.frequency[start:])
    radii = np.array([_parabola(total, int(peak)) for peak in peaks]) + start
    return radii * spectrum.frequency[1], prominence


def _prominence(curve: np.ndarray, peak: int) -> float:
    """Height of a peak above the higher of the minima that part it from higher values on either side."""
    height = curve[peak]
    sides = []
    for side in (curve[:peak][::-1], curve[peak + 1 :]):
        higher = np.flatnonzero(side > height)
        sides.append(side[: higher[0] if len(higher) else None].min(initial=height))
    return float(height - max(sides))


def _parabola(curve: np.ndarray, peak: int) -> float:
    """Position of the vertex of the parabola through a peak and its neighbours."""
    left, top, right = curve[peak - 1 : peak + 2]
    vertex: float = peak + 0.5 * (left - right) / (left - 2 * top + right)
    return vertex


def band_edge(spectrum: Spectrum) -> float | None:
    """Return the frequency up to which an image without a lattice has structure, or None if it is noise.

    It is 2.36 times the root mean square frequency of the gradient of what exceeds the white noise, the
    factor that gives a lattice of Gaussian columns the same band as its first ring does.
    """
    bins = np.arange(len(spectrum.power))
    # A bin averages about pi * bins independent coefficients (half the plane, half of it by the window).
    spread = 6 / np.sqrt(np.pi * np.maximum(bins, 1))
    above = spectrum.power > spectrum.noise * np.maximum(2.0, 1 + spread)
    weight = np.where(above, bins**3 * (spectrum.power - spectrum.noise), 0.0)
    weight[:LOWEST_BIN] = 0
    if weight.sum() <= 0:
        return None
    mean_square = float((weight * spectrum.frequency**2).sum() / weight.sum())
    return min(2.36 * math.sqrt(mean_square), 0.5)


def reference_frequencies(spectrum: Spectrum, ring: Ring | None, stage: str) -> tuple[float, float]:
    """Return the frequencies that set the scale of the background and of the columns, cycles per pixel.

    Both are the radius of the first ring, but in a long cell, whose columns are much closer than it is long,
    rings are clear far beyond the first: there the second is a share of the last of them, and at most the
    root mean square frequency of the Bragg peaks, beyond which rings are faint. Where there is no lattice the
    end of the band is used as the ring.

    Raises
    ------
    StageError
        If the image shows nothing but white noise.
    """
    if ring:
        bragg = spectrum.bragg
        mean_square = float((bragg.power * bragg.radius**2).sum() / bragg.power.sum())
        finest = min(float(ring.candidates[-1]) / LAST_RING, math.sqrt(mean_square))
        return ring.frequency, max(ring.frequency, finest)
    edge = band_edge(spectrum)
    if edge is None:
        raise StageError(
            stage,
            "the image shows no structure above its noise",
            "check that it is the right image, or average or bin it first",
        )
    return edge / CUTOFF, edge / CUTOFF
