"""Columns chosen by the lattice: its sites, which of them are empty, and the columns apart from them."""

from __future__ import annotations

from motifgpu.columns.by_maxima import Found, choose_by_maxima, prominent_maxima
from motifgpu.columns.empty_sites import inside_lattice
from motifgpu.columns.filtered import FAINTEST, LEAST_CLEARANCE, LEAST_SPACING, FilteredImage
from motifgpu.columns.lattice_sites import LEAST_OCCUPANCY, lattice_sites, tallest_tenth
from motifgpu.columns.maxima import peak_positions
from motifgpu.columns.refine import LONGEST_MOVE, Peaks, measure_heights, settle, start_peaks
from motifgpu.columns.shoulders import mostly_columns
from motifgpu.columns.spacing import near, strongest_within
from motifgpu.core import namespace


def choose_by_lattice(image: FilteredImage) -> Found:
    """Take the sites of the lattice average and the maxima apart from them, and determine which are empty."""
    xp, size = image.xp, image.band.size
    average, sites, shoulders = lattice_sites(image)
    n_sites = sites.points.shape[0]
    if n_sites == 0:
        return choose_by_maxima(image, "prominence")
    others = peak_positions(image.smoothed, prominent_maxima(image, FAINTEST * tallest_tenth(sites)))
    others = namespace.take_rows(others, ~near(others, sites.points, size, LEAST_SPACING))
    start = start_peaks(image.smoothed, xp.concat([sites.points, others], axis=0))
    peaks, moved = settle(image.smoothed, start)
    heights = measure_heights(image.detail, peaks)

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
    on_site, shoulders = xp.concat([xp.ones_like(shoulders), no]), xp.concat([shoulders, no])
    empty = on_site & ~held & ~near(points, namespace.take_rows(points, occupied), size, LEAST_CLEARANCE)
    empty = empty & inside_lattice(image, points, held & on_site, on_site)
    chosen = (occupied | empty) & ~(shoulders & ~mostly_columns(held, shoulders))
    points, heights, occupied = (namespace.take_rows(x, chosen) for x in (points, heights, occupied))
    return Found(points, heights, occupied, peaks.sigma)
