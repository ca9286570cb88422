"""Columns chosen by the lattice: what stands at each of its places, and the columns apart from them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.columns.band import Band
from motifgpu.columns.by_maxima import Found, prominent_maxima
from motifgpu.columns.claims import COLUMN, EMPTY, column_probability
from motifgpu.columns.empty_sites import inside_lattice
from motifgpu.columns.filtered import FAINTEST, LEAST_SPACING, FilteredImage
from motifgpu.columns.lattice_places import Places
from motifgpu.columns.lattice_sites import ABOVE_MISFIT, LatticeSites, lattice_sites
from motifgpu.columns.maxima import peak_positions
from motifgpu.columns.overlap import all_in_pairs
from motifgpu.columns.refine import (
    Peaks,
    measure,
    refine,
    render,
    settle,
    start_peaks,
    tallest_tenth,
)
from motifgpu.columns.spacing import near, strongest_within
from motifgpu.columns.surface import on_surface, roughness
from motifgpu.core import namespace
from motifgpu.core.errors import StageError

# Standard deviation of columns about where the lattice average has them, px of the grid: the prior of a fit.
_ABOUT = 0.3
# Reach of the mean over which the noise around a column without equivalents is estimated, px of the grid.
_NOISE_AROUND = 8.0
# Least noise that is allowed for, in that of the image.
_LEAST_NOISE = 0.5
# Height of a column apart from the lattice over its error, at least.
_SIGNIFICANT = 5.0
# Share of its height at which a column shows where the crystal ends.
_SHOWN = 0.5
# Equivalents one translation away, of which fewer say nothing about a place.
_EQUIVALENTS = 2
# Share of the equivalents of an empty site around that hold a column, at least: less is beyond an edge.
_LEAST_OF_KIND = 0.6
# Share of the pairs of opposite equivalents of an empty site that hold equal columns, at least.
_LEAST_BETWEEN = 0.3
# Height that is expected, over that of its kind, of a place of that kind, at least.
_LEAST_OF_KIND_HEIGHT = 0.25
# Height that equivalents have, and that is expected, over that of the lattice average, at least.
_LEAST_OF_AVERAGE = 0.5
# The same for those of an empty site, at most.
_MOST_OF_AVERAGE = 1.7
# How near another column an empty site may be, in the distance of the nearest places of its kind: where two
# grains meet, the lattice of one has places between columns of the other.
_CLEARANCE = 0.87
# Distance that columns which overlap have on the grid in which they are parted, px, and how much finer than
# usual that grid is, at most.
_APART, _FINEST = 3.1, 2.5


def choose_by_lattice(image: FilteredImage) -> tuple[Band, Found]:
    """Say what stands at the places of the lattice, and take the maxima apart from them.

    Returns
    -------
    band : Band
        On whose grid they are given.
    found : Found

    Raises
    ------
    StageError
        If the lattice average describes no part of the image.
    """
    sites = lattice_sites(image)
    if sites.apart < math.inf:
        image, sites = _parted(image, sites)
    size = image.band.size
    n_sites, places = sites.peaks.points.shape[0], sites.places
    if places is None or n_sites == 0:
        raise StageError(
            "columns",
            "no part of the image shows its lattice clearly",
            'give a larger part of the sample, or choose the method prominence or lattice="none"',
        )
    others = peak_positions(image.smoothed, prominent_maxima(image, FAINTEST * tallest_tenth(sites.peaks)))
    apart = image.at(image.known, others) > 0
    others = others[apart & ~near(others, sites.peaks.points, size, LEAST_SPACING)]
    start = start_peaks(image.smoothed, np.concatenate([sites.peaks.points, others]))
    peaks, _ = settle(image.smoothed, start, tether=image.noise**2 / _ABOUT**2, known=image.weight)
    # Smoothing widens columns: heights are those of columns as wide as they are without it.
    sharp = replace(peaks, sigma=refine(image.detail, peaks, 1, known=image.weight).sigma)
    heights, unit = measure(image.detail, sharp, image.weight)
    errors = unit.astype(np.float64) * _noise(image, replace(sharp, heights=heights), places)
    seen, misfit, average = (
        x.astype(np.float64) for x in (heights[:n_sites], sites.misfit, sites.peaks.heights)
    )
    error = errors[:n_sites]
    weight = image.at(image.known, start.points[:n_sites, :]).astype(np.float64)
    scale = float((weight * seen) @ average / (weight * average @ average))
    seen_there = scale * average
    # Where equivalents have little of the height that the average has, it describes something else.
    mean = places.mean_around(seen, seen)
    of_kind = mean >= _LEAST_OF_AVERAGE * seen_there
    expected = np.maximum(places.usual(seen, error), _LEAST_OF_AVERAGE * seen_there)
    surface, beside = np.zeros(n_sites, dtype=bool), misfit * scale
    if not image.all_lattice:
        surface = on_surface(image, places.points, seen > _SHOWN * expected)
        beside = np.where(surface, np.hypot(beside, roughness(image, float(sharp.sigma))), beside)
    probability = column_probability(seen, error, expected, beside, surface, places.kind)
    # Without equivalents a place is a column if it stands out from the noise and from what is misfit.
    single = ~of_kind | (places.links.sum(axis=1) < _EQUIVALENTS)
    # Where its equivalents usually have next to nothing, it is no place of that kind.
    single = single | (expected < np.minimum(error, _LEAST_OF_KIND_HEIGHT * places.mean_of_kind(expected)))
    standing_out = seen > np.maximum(_SIGNIFICANT * error, ABOVE_MISFIT * scale * misfit)
    standing_out = standing_out & (seen > FAINTEST * scale * tallest_tenth(sites.peaks))
    probability_of_site = np.where(single, standing_out, probability)
    apart = heights[n_sites:] > _SIGNIFICANT * errors[n_sites:]
    probability = np.concatenate([probability_of_site, apart]).astype(heights.dtype)

    likely = probability >= COLUMN
    # A fit that slid onto another column is neither that column nor an empty site.
    strength = np.where(likely, heights, np.min(heights) - 1)
    occupied = likely & strongest_within(peaks.points, strength, size, LEAST_SPACING)
    on_site = np.arange(len(heights)) < n_sites
    believed = on_site & ~likely & _clear(places, start.points, peaks.points, occupied)
    held = probability_of_site > 0.5
    # The average fills a vacancy from its equivalents; where it does not, the lattice has another site.
    # Beyond the surface nothing is no empty site.
    of_kind = ~single & (~surface | (probability_of_site > EMPTY)) & (mean <= _MOST_OF_AVERAGE * seen_there)
    of_kind = of_kind & (places.between_equals(held) >= _LEAST_BETWEEN)
    of_kind = of_kind & (places.share_around(held) >= _LEAST_OF_KIND)
    believed[:n_sites] &= of_kind
    believed = believed & inside_lattice(image, start.points, (probability > 0.5) & on_site, on_site)
    points = np.where(occupied[:, None], peaks.points, start.points)
    chosen = occupied | believed
    points, heights, occupied, probability = (x[chosen] for x in (points, heights, occupied, probability))
    return image.band, Found(points, heights, occupied, probability, peaks.sigma)


def _parted(image: FilteredImage, sites: LatticeSites) -> tuple[FilteredImage, LatticeSites]:
    """Search for columns that overlap; return image and sites with them, or as they are.

    Two columns explain a place better than one if they leave nothing long there, and if they do so at all
    places of a kind.
    """
    finer = min(max(_APART / sites.apart, 1.0), _FINEST)
    closer = replace(image, finer=finer) if finer > 1 else image
    parted = lattice_sites(closer, overlapping=True)
    if parted.unparted < math.inf or parted.places is None:
        return image, sites
    if not all_in_pairs(parted.places.points, parted.places.kind, sites.apart * finer):
        return image, sites
    return closer, parted


def _noise(image: FilteredImage, peaks: Peaks, places: Places) -> np.ndarray:
    """Return the noise (n,) in the height of each column, by what is left on it and its equivalents.

    It is what errors for noise of standard deviation 1 and no neighbours are multiplied by. The first columns
    are those of the places.
    """
    band = image.band
    left = image.levelled(image.detail - render(peaks, image.detail)) * image.known
    white = image.image.spectrum.noise * band.noise_gain
    square, known, noise = band.transform(left * left), band.transform(image.known), []
    for reach in (float(peaks.sigma), _NOISE_AROUND):
        response = band.gaussian(reach)
        there = namespace.clip(band.inverse(known * response), min=0.1)
        around = band.inverse(square * response) / there
        noise.append(namespace.clip(image.at(around, peaks.points), min=_LEAST_NOISE * white))
    on_column, around = (x.astype(np.float64) for x in noise)
    number = len(places.points)
    around[:number] = places.mean_around(on_column[:number], around[:number])
    strength: np.ndarray = np.sqrt(around) * _overlap(peaks)
    return strength


def _overlap(peaks: Peaks) -> np.ndarray:
    """Return by how much the error (n,) of a height grows with the columns that overlap with it."""
    points, sigma = peaks.points.astype(np.float64), float(peaks.sigma)
    first, second = cKDTree(points).query_pairs(4 * sigma, output_type="ndarray").T
    apart = ((points[first] - points[second]) ** 2).sum(axis=1)
    shared = np.exp(-0.5 * apart / sigma**2)  # the square of the product of two columns
    total = np.bincount(np.concatenate([first, second]), np.tile(shared, 2), len(points))
    grown: np.ndarray = 1 / np.sqrt(1 - np.minimum(total, 0.9))
    return grown


def _clear(places: Places, start: np.ndarray, points: np.ndarray, occupied: np.ndarray) -> np.ndarray:
    """Say which places (n,), the first of all starts, have no column so near that it may be theirs."""
    place, point = (x.astype(np.float64) for x in (start, points))
    lattice = place[: len(places.points)]
    column = point[occupied]
    clear = np.zeros(len(place), dtype=bool)
    if len(lattice) > 1 and len(column):
        nearest = cKDTree(lattice).query(lattice, 2)[0][:, 1]
        usual = places.usual(nearest)
        clear[: len(lattice)] = cKDTree(column).query(lattice)[0] > _CLEARANCE * usual
    return clear
