"""The choice of atom columns among candidates: on a lattice, by prominence, or by a maximum filter.

Lengths here are pixels of the band's grid (`motifgpu.columns.band`), on which the period of the first ring is
6.8 px in every micrograph: a hexagonal lattice constant is 7.9 px, columns of a honeycomb stand 4.5 px apart
and are about 1.1 px wide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from motifgpu.columns.band import Band, band_of
from motifgpu.columns.bragg import coherence, lattice_average
from motifgpu.columns.maxima import (
    group_sizes,
    local_maxima,
    near,
    peak_positions,
    pixel_of,
    prominent,
    strongest_within,
)
from motifgpu.columns.refine import REACH, Peaks, measure_heights, refine, render, start_peaks
from motifgpu.columns.scale import CUTOFF
from motifgpu.columns.smoothing import slow_response, smoothing_response
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array

# A site of the lattice average has at least this share of the height of the tallest tenth (S2 beside W has
# 0.10 to 0.15), and this many standard deviations of the average's noise.
FAINTEST_SITE, SITE_SIGNIFICANCE = 0.05, 4.0
# Where image and average correlate less, the average is not used; nor, after small holes were left out of
# both, where they correlate less than the second.
LEAST_COHERENCE, LEAST_WITHOUT_HOLES = 0.75, 0.8
# A small hole has at most so many vacant sites that hang together, and reaches to where a column would have
# this share of its height.
LARGEST_HOLE, HOLE_BORDER = 12, 0.2
# A column holds at least this share of the height its site has on average: V_Se2 has 0, V_Se 0.5.
LEAST_OCCUPANCY = 0.25
# An empty site is believed where at least this share of the sites around it holds a column; around is a
# Gaussian of two lattice constants, wide enough for holes of some ten columns. Among many holes the second
# share will do, if there are as many columns to the area as the third share of what is usual: at the edge of
# a flake there are half as many.
LEAST_FILLED, _AROUND = 0.8, 16.0
LEAST_AMONG_HOLES, LEAST_DENSITY = 0.6, 0.7
# Prominence in the smoothed image of a column off the lattice, in standard deviations of its noise and as a
# share of the height of the tallest.
SIGNIFICANCE, FAINTEST = 5.0, 0.1
# A fit that moves further than this has left its column.
LONGEST_MOVE = 1.5
# Two maxima closer than the first are one column; an empty site, or a column that is no maximum, stands at
# least the second from any other.
LEAST_SPACING, LEAST_CLEARANCE = 2.5, 3.5
# Radius of the paper's maximum filter over the period of the first ring.
RADIUS = 0.36
# Longest path to higher ground that prominence follows, and the reach of the level under columns.
_FLOOD, _LEVEL = 12, 4.7
# Gauss-Newton steps of a fit.
_STEPS = 4


class View:
    """The image as the choice sees it.

    Parameters
    ----------
    image : StandardImage
    smoothing : {"auto", "fft", "svd"}

    Attributes
    ----------
    band : Band
    detail, smoothed : (h, w) array
        The band without its background, before and after smoothing.
    noise : float
        Standard deviation of what noise is left in `smoothed`.
    lowest, frequency : float
        What sets the scale of the background and of the columns (`StandardImage.scales`), cycles per pixel.
    frame : (h, w) bool array
        The image and as much around it as its columns overlap with.
    """

    def __init__(self, image: StandardImage, smoothing: str) -> None:
        xp = self.xp = namespace.array_namespace(image.values)
        noise = image.spectrum.noise
        self.lowest, self.frequency = image.scales
        cutoff = CUTOFF * self.frequency
        self.band: Band = band_of(image.values, cutoff, margin=2.3 / self.frequency)
        slow = slow_response(self.band, self.lowest)
        response = (1 - slow) * smoothing_response(self.band, slow, noise, smoothing, cutoff)
        self.detail = self.band.grid(1 - slow)
        self.smoothed = self.band.grid(response)
        # Columns beyond the border overlap those within: mirrored ones, or in the lattice average real ones.
        self.frame = self.band.within(_LEVEL) > 0
        self.noise = float(xp.mean(response**2)) ** 0.5 * (noise * self.band.noise_gain) ** 0.5

    def at(self, values: Array, points: Array) -> Array:
        """Return an image's values (n,) on the pixels under points."""
        return self.xp.take(self.xp.reshape(values, (-1,)), pixel_of(points, self.band.size))

    def around(self, points: Array, members: Array) -> Array:
        """Return how many points (n, 2) that are `members` (n,) are around each, per pixel: (n,)."""
        xp, size = self.xp, self.band.size
        weight = xp.astype(members, points.dtype)
        ground = namespace.bincount(pixel_of(points, size), weight, size[0] * size[1])
        return self.at(self.band.blur(xp.reshape(ground, size), _AROUND), points)

    def density(self, points: Array, members: Array) -> Array:
        """Return the same over how much of the image is around, in units of the members' median."""
        ground = self.at(self.band.blur(self.band.inside, _AROUND), points)
        density = self.around(points, members) / ground
        return density / namespace.upper_median(namespace.take_rows(density, members))


@dataclass(frozen=True)
class Found:
    """Columns on the band's grid.

    Attributes
    ----------
    points : (n, 2) array
    heights : (n,) array
        Above the level around each, in the image without smoothing.
    occupied : (n,) bool array
        False for empty sites.
    sigma : () array
        Width of all of them.
    """

    points: Array
    heights: Array
    occupied: Array
    sigma: Array


def off_lattice(view: View, method: str) -> Found:
    """Choose among the maxima of the smoothed image.

    Parameters
    ----------
    view : View
    method : {"prominence", "radius"}

    Raises
    ------
    StageError
        If there are none.
    """
    xp = view.xp
    if method == "radius":
        maxima = local_maxima(view.smoothed, RADIUS * 2 * CUTOFF) & view.frame
    else:
        maxima = _prominent(view, FAINTEST * float(xp.max(view.smoothed * view.band.inside)))
    starts = peak_positions(view.smoothed, maxima)
    if starts.shape[0] == 0:
        raise StageError(
            "columns", "no maximum of the image stands above its noise", "check that columns are bright in it"
        )
    start = start_peaks(view.smoothed, starts)
    peaks, _ = _settle(view, start, 2 * _STEPS)
    one_each = strongest_within(peaks.points, peaks.heights, view.band.size, LEAST_SPACING)
    peaks = _take(peaks, one_each)
    heights = measure_heights(view.detail, peaks)
    tall = heights > (0.0 if method == "radius" else FAINTEST) * xp.max(heights)
    points, heights = namespace.take_rows(peaks.points, tall), namespace.take_rows(heights, tall)
    return Found(points, heights, xp.ones_like(heights, dtype=xp.bool), peaks.sigma)


def on_lattice(view: View) -> Found:
    """Take the sites of the lattice average and what stands apart from them, and say which are empty."""
    xp, size = view.xp, view.band.size
    average, sites, faint = _sites(view)
    n_sites = sites.points.shape[0]
    if n_sites == 0:
        return off_lattice(view, "prominence")
    others = peak_positions(view.smoothed, _prominent(view, FAINTEST * _tallest_tenth(sites)))
    others = namespace.take_rows(others, ~near(others, sites.points, size, LEAST_SPACING))
    start = start_peaks(view.smoothed, xp.concat([sites.points, others], axis=0))
    peaks, moved = _settle(view, start, _STEPS)
    heights = measure_heights(view.detail, peaks)

    there = Peaks(peaks.points[:n_sites, :], heights[:n_sites], peaks.sigma)
    expected = measure_heights(average, there)
    expected = expected * (xp.sum(there.heights * expected) / xp.sum(expected**2))
    expected = xp.concat([expected, xp.zeros_like(others[:, 0]) + namespace.upper_median(expected)])
    held = (heights > LEAST_OCCUPANCY * expected) & (moved <= LONGEST_MOVE)
    points = xp.where(held[:, None], peaks.points, start.points)
    # A fit that slid onto another column is neither that column nor an empty site.
    strength = xp.where(held, heights, xp.min(heights) - 1)
    occupied = held & strongest_within(points, strength, size, LEAST_SPACING)

    no = xp.zeros_like(others[:, 0], dtype=xp.bool)
    on_site, faint = xp.concat([xp.ones_like(faint), no]), xp.concat([faint, no])
    empty = on_site & ~held & ~near(points, namespace.take_rows(points, occupied), size, LEAST_CLEARANCE)
    empty = empty & _surrounded(view, points, held & on_site, on_site)
    chosen = (occupied | empty) & ~(faint & ~_mostly(held, faint))
    points, heights, occupied = (namespace.take_rows(x, chosen) for x in (points, heights, occupied))
    return Found(points, heights, occupied, peaks.sigma)


def _mostly(held: Array, faint: Array) -> Array:
    """Say whether most faint sites hold a column, as on a faint sublattice and not where they are ringing."""
    xp = namespace.array_namespace(held)
    number, with_column = (xp.sum(xp.astype(x, xp.int64)) for x in (faint, faint & held))
    return 2 * with_column >= number


def _surrounded(view: View, points: Array, held: Array, on_site: Array) -> Array:
    """Say which points (n, 2) have enough sites that hold a column around them."""
    xp = view.xp
    filled = view.around(points, held) / xp.clip(view.around(points, on_site), min=1e-6)
    enough = filled >= LEAST_FILLED
    unsure = on_site & ~held & ~enough & (filled >= LEAST_AMONG_HOLES)
    if bool(xp.any(unsure)) and bool(xp.any(held)):
        enough = enough | (unsure & (view.density(points, held) >= LEAST_DENSITY))
    return enough


def _sites(view: View) -> tuple[Array, Peaks, Array]:
    """Return the lattice average, its columns where it describes the image, and which are no maxima.

    Vacancies side by side spoil both the average and its likeness to the image. Where that is too low, the
    average is taken once more without the small holes, and compared beside them.
    """
    xp, band = view.xp, view.band
    average, sites, faint = _average(view, band.inside)
    in_image = band.inside > 0
    likeness = coherence(band, view.smoothed, average, band.inside, view.frequency)
    described = in_image & (likeness >= LEAST_COHERENCE)
    kept = view.at(described, sites.points)
    if bool(xp.any(view.at(in_image, sites.points) & ~kept)):
        holes = _small_holes(view, average, sites)
        if holes.points.shape[0]:
            known = band.inside * xp.astype(render(holes, band.size) <= HOLE_BORDER, average.dtype)
            filled, others, faint_others = _average(view, known)
            without = coherence(band, view.smoothed, filled, known, view.frequency)
            mended = in_image & (likeness < LEAST_WITHOUT_HOLES) & (without >= LEAST_WITHOUT_HOLES)
            average = xp.where(described, average, filled)
            bright, faint = _take(sites, kept), namespace.take_rows(faint, kept)
            added = view.at(mended, others.points)
            added = added & ~near(others.points, bright.points, band.size, LEAST_SPACING)
            others, faint_others = _take(others, added), namespace.take_rows(faint_others, added)
            points = xp.concat([bright.points, others.points], axis=0)
            heights = xp.concat([bright.heights, others.heights])
            return average, Peaks(points, heights, sites.sigma), xp.concat([faint, faint_others])
    return average, _take(sites, kept), namespace.take_rows(faint, kept)


def _small_holes(view: View, average: Array, sites: Peaks) -> Peaks:
    """Return columns of height 1 for those of the average that the image lacks, alone or with a few others.

    Many that hang together are no hole in a lattice: there the average describes something else.
    """
    xp = view.xp
    expected, heights = measure_heights(average, sites), measure_heights(view.detail, sites)
    expected = expected * (xp.sum(heights * expected) / xp.sum(expected**2))
    vacant = (heights <= LEAST_OCCUPANCY * expected) & (view.at(view.band.inside, sites.points) > 0)
    holes = _take(sites, vacant)
    holes = _take(holes, group_sizes(holes.points, view.band.size) <= LARGEST_HOLE)
    return replace(holes, heights=xp.ones_like(holes.heights))


def _average(view: View, known: Array) -> tuple[Array, Peaks, Array]:
    """Return the lattice average of what is known (h, w), all its columns, and which are no maxima."""
    xp, band = view.xp, view.band
    average, noise = lattice_average(band, view.detail, known, view.lowest, view.frequency)
    nothing = xp.zeros((0, 2), dtype=average.dtype, device=namespace.device(average))
    if float(xp.max(xp.abs(average))) == 0:
        return average, start_peaks(average, nothing), nothing[:, 0] > 0
    maxima = peak_positions(average, local_maxima(average) & view.frame)
    sites, least = _tall(average, start_peaks(average, maxima), noise)
    # Of wide columns the windows of a fit cut off as much as faint columns have.
    if math.exp(-0.5 * ((REACH + 0.5) / float(sites.sigma)) ** 2) > FAINTEST:
        return average, sites, xp.zeros_like(sites.heights, dtype=xp.bool)
    # What is left above its level shows the faint columns that were shoulders of bright ones.
    left = average - render(sites, band.size)
    left = left - band.blur(left, _LEVEL)
    shoulders = peak_positions(left, local_maxima(left) & view.frame & (left > 0.7 * least))
    shoulders = namespace.take_rows(shoulders, ~near(shoulders, sites.points, band.size, LEAST_CLEARANCE))
    bright = sites.points
    if shoulders.shape[0]:
        sites, _ = _tall(average, start_peaks(average, xp.concat([bright, shoulders], axis=0)), noise)
    return average, sites, ~near(sites.points, bright, band.size, LEAST_SPACING)


def _tall(average: Array, start: Peaks, noise: float) -> tuple[Peaks, float]:
    """Fit peaks to the lattice average; return those that are no noise and stayed, and the least height."""
    peaks = refine(average, start, _STEPS)
    least = max(FAINTEST_SITE * _tallest_tenth(peaks), SITE_SIGNIFICANCE * noise)
    kept = _take(peaks, (peaks.heights > least) & (_distance(peaks, start) <= LONGEST_MOVE))
    return _take(kept, strongest_within(kept.points, kept.heights, average.shape, LEAST_SPACING)), least


def _tallest_tenth(peaks: Peaks) -> float:
    ordered = namespace.array_namespace(peaks.heights).sort(peaks.heights)
    return float(ordered[int(0.9 * ordered.shape[0])])


def _prominent(view: View, least: float) -> Array:
    """Maxima of the smoothed image that stand out by `least` and from the noise."""
    height = max(SIGNIFICANCE * view.noise, least)
    maxima = local_maxima(view.smoothed) & view.frame
    return maxima & prominent(view.smoothed, height, _FLOOD)


def _settle(view: View, start: Peaks, steps: int) -> tuple[Peaks, Array]:
    """Fit peaks to the smoothed image; also return how far each moved."""
    xp = view.xp
    peaks = refine(view.smoothed, start, steps)
    moved = _distance(peaks, start)
    points = xp.where((moved <= LONGEST_MOVE)[:, None], peaks.points, start.points)
    return replace(peaks, points=points), moved


def _distance(a: Peaks, b: Peaks) -> Array:
    xp = namespace.array_namespace(a.points)
    return xp.sqrt(xp.sum((a.points - b.points) ** 2, axis=1))


def _take(peaks: Peaks, mask: Array) -> Peaks:
    return Peaks(
        namespace.take_rows(peaks.points, mask), namespace.take_rows(peaks.heights, mask), peaks.sigma
    )
