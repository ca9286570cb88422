"""The sites of a lattice: the columns of its average, where that describes the image.

Lengths are pixels of the band's grid, see `motifgpu.columns.filtered`.
"""

from __future__ import annotations

from dataclasses import replace

from motifgpu.columns.filtered import LEAST_SPACING, FilteredImage
from motifgpu.columns.lattice_average import coherence, lattice_average
from motifgpu.columns.maxima import local_maxima, peak_positions
from motifgpu.columns.refine import (
    LONGEST_MOVE,
    STEPS,
    Peaks,
    measure_heights,
    refine,
    render,
    start_peaks,
)
from motifgpu.columns.shoulders import find_shoulders
from motifgpu.columns.spacing import group_sizes, near, strongest_within
from motifgpu.core import namespace
from motifgpu.core.namespace import Array

# A site of the lattice average has at least this share of the height of the tallest tenth (S2 beside W has
# 0.10 to 0.15), and this many standard deviations of the average's noise.
FAINTEST_SITE, SITE_SIGNIFICANCE = 0.05, 4.0
# Where image and average correlate less, the average is not used; nor, after small holes were left out of
# both, where they correlate less than the second.
LEAST_COHERENCE, LEAST_WITHOUT_HOLES = 0.75, 0.8
# A small hole has at most so many connected vacant sites, and reaches to where a column would have
# this share of its height.
LARGEST_HOLE, HOLE_BORDER = 12, 0.2
# A column holds at least this share of the height its site has on average: V_Se2 has 0, V_Se 0.5.
LEAST_OCCUPANCY = 0.25


def lattice_sites(image: FilteredImage) -> tuple[Array, Peaks, Array]:
    """Return the lattice average, its columns where it describes the image, and which are no maxima.

    Vacancies side by side spoil both the average and its likeness to the image. Where that is too low, the
    average is taken once more without the small holes, and compared beside them.
    """
    xp, band = image.xp, image.band
    average, sites, faint = _average(image, image.known)
    in_image = image.known > 0
    likeness = coherence(band, image.smoothed, average, image.known, image.frequency)
    described = in_image & (likeness >= LEAST_COHERENCE)
    kept = image.at(described, sites.points)
    if bool(xp.any(image.at(in_image, sites.points) & ~kept)):
        holes = _small_holes(image, average, sites)
        if holes.points.shape[0]:
            known = image.known * xp.astype(render(holes, band.size) <= HOLE_BORDER, average.dtype)
            filled, others, faint_others = _average(image, known)
            without = coherence(band, image.smoothed, filled, known, image.frequency)
            mended = in_image & (likeness < LEAST_WITHOUT_HOLES) & (without >= LEAST_WITHOUT_HOLES)
            average = xp.where(described, average, filled)
            bright, faint = sites.select(kept), namespace.take_rows(faint, kept)
            added = image.at(mended, others.points)
            added = added & ~near(others.points, bright.points, band.size, LEAST_SPACING)
            others, faint_others = others.select(added), namespace.take_rows(faint_others, added)
            points = xp.concat([bright.points, others.points], axis=0)
            heights = xp.concat([bright.heights, others.heights])
            return average, Peaks(points, heights, sites.sigma), xp.concat([faint, faint_others])
    return average, sites.select(kept), namespace.take_rows(faint, kept)


def _small_holes(image: FilteredImage, average: Array, sites: Peaks) -> Peaks:
    """Return columns of height 1 for those of the average that the image lacks, alone or with a few others.

    Many connected ones are no hole in a lattice: there the average describes something else.
    """
    xp = image.xp
    expected, heights = measure_heights(average, sites), measure_heights(image.detail, sites)
    expected = expected * (xp.sum(heights * expected) / xp.sum(expected**2))
    vacant = (heights <= LEAST_OCCUPANCY * expected) & (image.at(image.known, sites.points) > 0)
    holes = sites.select(vacant)
    holes = holes.select(group_sizes(holes.points, image.band.size) <= LARGEST_HOLE)
    return replace(holes, heights=xp.ones_like(holes.heights))


def _average(image: FilteredImage, known: Array) -> tuple[Array, Peaks, Array]:
    """Return the lattice average of what is known (h, w), all its columns, and which are no maxima."""
    xp, band = image.xp, image.band
    average, noise = lattice_average(band, image.detail, known, image.lowest, image.frequency)
    nothing = xp.zeros((0, 2), dtype=average.dtype, device=namespace.device(average))
    if float(xp.max(xp.abs(average))) == 0:
        return average, start_peaks(average, nothing), nothing[:, 0] > 0
    maxima = peak_positions(average, local_maxima(average) & image.frame)
    sites, least = _tall(average, start_peaks(average, maxima), noise)
    bright = sites.points
    shoulders = find_shoulders(image, average, sites, least)
    if shoulders.shape[0]:
        sites, _ = _tall(average, start_peaks(average, xp.concat([bright, shoulders], axis=0)), noise)
    return average, sites, ~near(sites.points, bright, band.size, LEAST_SPACING)


def _tall(average: Array, start: Peaks, noise: float) -> tuple[Peaks, float]:
    """Fit peaks to the lattice average; return those that are no noise and stayed, and the least height."""
    peaks = refine(average, start, STEPS)
    least = max(FAINTEST_SITE * tallest_tenth(peaks), SITE_SIGNIFICANCE * noise)
    kept = peaks.select((peaks.heights > least) & (peaks.distance(start) <= LONGEST_MOVE))
    return kept.select(strongest_within(kept.points, kept.heights, average.shape, LEAST_SPACING)), least


def tallest_tenth(peaks: Peaks) -> float:
    """Return the height that a tenth of the peaks has or exceeds."""
    ordered = namespace.array_namespace(peaks.heights).sort(peaks.heights)
    return float(ordered[int(0.9 * ordered.shape[0])])
