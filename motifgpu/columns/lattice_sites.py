"""The sites of a lattice: the columns of its average, where that describes the image.

Lengths are pixels of the band's grid, see `motifgpu.columns.filtered`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from motifgpu.columns.filtered import LEAST_SPACING, FilteredImage
from motifgpu.columns.lattice_average import coherence
from motifgpu.columns.lattice_places import BEYOND, Places, lattice_places
from motifgpu.columns.maxima import local_maxima, peak_positions
from motifgpu.columns.overlap import halves_apart, nearest_overlap
from motifgpu.columns.refine import (
    LONGEST_MOVE,
    STEPS,
    Peaks,
    measure_heights,
    refine,
    render,
    start_peaks,
    tallest_tenth,
)
from motifgpu.columns.shoulders import find_shoulders
from motifgpu.columns.spacing import disc_of, group_sizes, near, strongest_within
from motifgpu.columns.tails import tails
from motifgpu.core import namespace
from motifgpu.core.fitting import WIDEST
from motifgpu.core.namespace import Array
from motifgpu.core.on_points import sampled, sums_around

# A site of the lattice average has at least this share of the height of the tallest tenth (S2 beside W has
# 0.10 to 0.15), and this many standard deviations of the average's noise; with the second of each it is kept
# where its equivalents are sites.
FAINTEST_SITE, SITE_SIGNIFICANCE = (0.05, 0.02), (4.0, 2.0)
# Where image and average correlate less, the average is not used; nor, after small holes were left out of
# both, where they correlate less than the second.
LEAST_COHERENCE, LEAST_WITHOUT_HOLES = 0.75, 0.8
LARGEST_HOLE, HOLE_BORDER = 12, 0.2
# A column holds at least this share of the height its site has on average: V_Se2 has 0, V_Se 0.5.
LEAST_OCCUPANCY = 0.25
# Equivalent sites are together at least this many times as high as what fits leave of the average around
# them, by which columns differ from Gaussians, within this distance, px of the grid.
ABOVE_MISFIT, _MISFIT_AROUND = 4.0, 7
# Least curvature of the average, in that of a column of their height: faint columns have at least 0.25,
# hollow sites between columns with tails at most 0.1.
_LEAST_BULGE, _OF_ITS_KIND = 0.15, 0.5
_FEW = 12  # places of a kind of which a mean shows what is common, at least
# Where the band reaches so far beyond what pixels hold, cycles per pixel, their rings are up to 0.2 of a
# column: fainter sites than this share of the height of the tallest tenth are none.
_BEYOND_PIXELS, _FAINTEST_THERE = 0.85, 0.3


@dataclass(frozen=True, eq=False)
class LatticeSites:
    """The n places of a lattice, for each of which the image says whether there is a column.

    Attributes
    ----------
    peaks : Peaks
        The places, with the heights of the average there.
    misfit : (n,) ndarray
        Standard deviation of what fits leave of the average around each.
    places : Places or None
        The same places with the translations between them, on the host; None where there are none.
    unparted : float
        Distance of two columns that may stand where one is, px; infinity where one does.
    """

    peaks: Peaks
    misfit: np.ndarray
    places: Places | None
    unparted: float = math.inf

    @property
    def apart(self) -> float:
        """Distance of columns that overlap, seen as two or as one, px; infinity where there are none."""
        if self.places is None or float(self.peaks.sigma) >= WIDEST:
            return math.inf
        return min(self.unparted, nearest_overlap(self.places.points, float(self.peaks.sigma)))


def lattice_sites(image: FilteredImage, overlapping: bool = False) -> LatticeSites:
    """Return the places that the lattice average predicts, where it describes the image.

    Vacancies side by side spoil both the average and its likeness to the image. Where that is too low, the
    average is taken once more without the small holes, and compared beside them.

    Parameters
    ----------
    image : FilteredImage
    overlapping : bool
        Search for columns that overlap, by the curvature of the average.
    """
    xp, band = image.xp, image.band
    average, sites, sure, noise = _columns_of(image, *image.average, overlapping)
    in_image, near_image = image.known > 0, image.frame & (band.within(BEYOND) > 0)
    smoothed = image.without_rare(image.smoothed)
    likeness = coherence(band, smoothed, average, image.known, image.frequency, image.noise)
    described = near_image & (likeness >= LEAST_COHERENCE)
    kept = image.at(described, sites.points)
    if (sure & image.at(in_image, sites.points) & ~kept).any():
        holes = _small_holes(image, average, sites.select(sure))
        if holes.points.shape[0]:
            known = image.known * xp.astype(render(holes, average) <= HOLE_BORDER, average.dtype)
            filled, others, others_sure, noise = _columns_of(image, *image.average_of(known), overlapping)
            without = coherence(band, smoothed, filled, known, image.frequency, image.noise)
            mended = near_image & (likeness < LEAST_WITHOUT_HOLES) & (without >= LEAST_WITHOUT_HOLES)
            average = xp.where(described, average, filled)
            bright, sure = sites.select(kept), sure[kept]
            added = image.at(mended, others.points)
            added = added & ~near(others.points, bright.points, band.size, LEAST_SPACING)
            others, others_sure = others.select(added), others_sure[added]
            points = np.concatenate([bright.points, others.points])
            heights = np.concatenate([bright.heights, others.heights])
            described = described | mended
            sites, sure = Peaks(points, heights, sites.sigma), np.concatenate([sure, others_sure])
            return _completed(image, average, noise, sites, sure, described)
    return _completed(image, average, noise, sites.select(kept), sure[kept], described)


def _completed(
    image: FilteredImage, average: Array, noise: float, sites: Peaks, sure: np.ndarray, described: Array
) -> LatticeSites:
    """Thin and complete the sites by their translations, and leave out what the shape of columns explains."""
    if sites.points.shape[0] == 0:
        return LatticeSites(sites, sites.heights, None)
    places = lattice_places(image, average, sites, sure, described)
    points = places.points.astype(sites.points.dtype)
    peaks = Peaks(points, np.zeros_like(points[:, 0]), sites.sigma)
    peaks = replace(peaks, heights=measure_heights(average, peaks))
    shape = tails(image, image.levelled(average - render(peaks, average)), peaks)
    peaks = replace(peaks, heights=measure_heights(average - shape, peaks))
    left = image.levelled(average - shape - render(peaks, average)) * image.known
    height = peaks.heights.astype(np.float64)
    kind = places.kind
    beside, unparted = _misfit(left, peaks, kind, noise)
    around = places.links + sparse.eye_array(len(height))
    heights = (around @ height) / around.sum(axis=1)
    peaks = replace(peaks, heights=heights.astype(points.dtype))
    bulges = _bulges(average, peaks)
    mean, bulge = (places.mean_around(x, x) for x in (height, bulges))
    # Noise is the same over some lattice constants: equivalents farther away say that it is noise.
    of_kind, usual = ((np.bincount(kind, x) / np.bincount(kind))[kind] for x in (bulges, height))
    real = np.minimum(mean, of_kind) > ABOVE_MISFIT * beside
    # What is far fainter than its kind is of another, that a few translations took for it.
    real = real & ((bulge > _LEAST_BULGE * mean) | (mean > _OF_ITS_KIND * usual))
    if image.band.cutoff > _BEYOND_PIXELS:
        real = real & (height > _FAINTEST_THERE * tallest_tenth(peaks))
    return LatticeSites(peaks.select(real), beside.astype(points.dtype)[real], places.select(real), unparted)


def _bulges(average: Array, peaks: Peaks) -> np.ndarray:
    """Return how high columns (n,) would be that are as curved as the average is there.

    Tails of the columns around make a place brighter, but no maximum.
    """
    steps = np.array([[0, 1, -1, 0, 0], [0, 0, 0, 1, -1]]).astype(peaks.points.dtype)
    seen = namespace.to_numpy(sampled(average, peaks.points, steps)).astype(np.float64)
    curved = seen[:, 0] - seen[:, 1:].mean(axis=1)
    bulges: np.ndarray = curved / (1 - np.exp(-0.5 / float(peaks.sigma) ** 2))
    return bulges


def _misfit(left: Array, peaks: Peaks, kind: np.ndarray, noise: float) -> tuple[np.ndarray, float]:
    """Say what is left around each kind of places on average.

    What is common to all of a kind is no noise, and shows what the shape of columns explains.

    Returns
    -------
    misfit : (n,) ndarray
        Its standard deviation.
    unparted : float
        Distance of two columns that are seen as one, px, see `motifgpu.columns.overlap`.
    """
    disc = disc_of(np.arange(-_MISFIT_AROUND, _MISFIT_AROUND + 1))
    centre = np.round(peaks.points).astype(np.int64)
    total, own = sums_around(left, centre, disc, kind.astype(np.int64))
    count = np.bincount(kind, minlength=len(own))
    heights = np.bincount(kind, peaks.heights, len(own)) / count
    mean = total / count[:, None]
    unparted = halves_apart(mean, disc, heights, count, tallest_tenth(peaks), float(peaks.sigma))
    common = np.sqrt((mean**2).mean(axis=1))
    own = np.sqrt(np.maximum(own / (disc.shape[1] * count) - noise**2, 0.0))
    misfit: np.ndarray = np.where(count >= _FEW, common, np.maximum(own, common))[kind]
    return misfit, unparted


def _small_holes(image: FilteredImage, average: Array, sites: Peaks) -> Peaks:
    """Return columns of height 1 for those of the average that the image lacks, alone or with a few others.

    Many connected ones are no hole in a lattice: there the average describes something else.
    """
    expected, heights = measure_heights(average, sites), measure_heights(image.detail, sites)
    expected = expected * (np.sum(heights * expected) / np.sum(expected**2))
    vacant = (heights <= LEAST_OCCUPANCY * expected) & (image.at(image.known, sites.points) > 0)
    holes = sites.select(vacant)
    holes = holes.select(group_sizes(holes.points, image.band.size) <= LARGEST_HOLE)
    return replace(holes, heights=np.ones_like(holes.heights))


def _columns_of(
    image: FilteredImage, average: Array, noise: float, overlapping: bool
) -> tuple[Array, Peaks, np.ndarray, float]:
    """Return a lattice average (h, w), its columns, which of them are sure, and its noise."""
    xp, band = image.xp, image.band
    maxima = np.zeros((0, 2), namespace.dtype_name(average))
    if float(xp.max(xp.abs(average))) > 0:
        shape = band.inverse(band.transform(average) * band.frequency**2) if overlapping else average
        seen = local_maxima(shape) & image.frame
        if overlapping:
            seen = seen & (shape > 0) & (average > 0)
        maxima = peak_positions(shape, seen)
    if maxima.shape[0] == 0:
        return average, start_peaks(average, maxima), maxima[:, 0] > 0, noise
    sites, sure, least = _tall(average, start_peaks(average, maxima), noise)
    bright = sites.select(sure)
    shoulders = find_shoulders(image, average, bright, least)
    if shoulders.shape[0]:
        shoulders = shoulders[~near(shoulders, sites.points, band.size, LEAST_SPACING)]
        start = start_peaks(average, np.concatenate([sites.points, shoulders]))
        sites, sure, _ = _tall(average, start, noise)
        # A shoulder may be the ringing of a column; its equivalents decide.
        sure = sure & near(sites.points, bright.points, band.size, LEAST_SPACING)
    return average, sites, sure, noise


def _tall(average: Array, start: Peaks, noise: float) -> tuple[Peaks, np.ndarray, float]:
    """Fit peaks to the lattice average; return those that may be sites, which are, and the least height."""
    peaks = refine(average, start, STEPS)
    tallest = tallest_tenth(peaks)
    sure, possible = (
        max(share * tallest, number * noise)
        for share, number in zip(FAINTEST_SITE, SITE_SIGNIFICANCE, strict=True)
    )
    kept = peaks.select((peaks.heights > possible) & (peaks.distance(start) <= LONGEST_MOVE))
    kept = kept.select(strongest_within(kept.points, kept.heights, average.shape, LEAST_SPACING))
    return kept, kept.heights > sure, sure
