"""Columns that are given: positions that another program or a person has found."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.columns.filtered import FilteredImage
from motifgpu.columns.find import Columns, on_data
from motifgpu.columns.refine import Peaks, measure_heights, settle, start_peaks
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.checks import check_array
from motifgpu.core.choices import SMOOTHINGS, either
from motifgpu.core.errors import StageError

# Two positions closer than this are one that is given twice, px.
_TWICE = 0.5


def measure_columns(
    image: Any,
    points: Any,
    *,
    refine: bool = False,
    smoothing: str = "auto",
    invert: bool = False,
    mask: Any = None,
) -> Columns:
    """Measure atom columns whose positions are known, by another program, a network or by hand.

    Parameters
    ----------
    image : (H, W) array_like
        Micrograph in any unit.
    points : (n, 2) array_like or Columns
        Positions as (row, col) in pixels, pixel centres at integers, in any order. Programs that give (x, y)
        mean (col, row): ``points[:, ::-1]``. Of columns, empty sites stay empty.
    refine : bool
        Fit the positions to the smoothed image; they are kept as they are by default.
    smoothing : {"auto", "fft", "svd"}
        As in `motifgpu.smooth`.
    invert : bool
        Columns are dark on bright ground.
    mask : (H, W) array_like of bool, optional
        True on the pixels that are data, as in `find_columns`.

    Returns
    -------
    Columns
        Those that stand on data, sorted, none added, all of them occupied unless given as columns; `notes`
        says how many were left out. In the namespace and on the device of `image`.

    Raises
    ------
    StageError
        If the points are not (n, 2) and finite, one of them is outside the image or given twice, or none
        stands on data; or as `find_columns` for the image.

    Examples
    --------
    Positions of a simulation in place of those of another program:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
    >>> inside = ((made.points > 0) & (made.points < 127)).all(axis=1)
    >>> columns = motifgpu.measure_columns(made.image, made.points[inside])
    >>> bool(len(columns) == inside.sum())
    True
    >>> bool((columns.prominence > 0).all())
    True
    """
    if smoothing not in SMOOTHINGS:
        raise StageError("columns", f"there is no smoothing {smoothing!r}", f"choose {either(SMOOTHINGS)}")
    standard = StandardImage.of(image, "columns", mask).single
    shape = standard.frame or (standard.values.shape[0], standard.values.shape[1])
    host, order = _checked(getattr(points, "points", points), shape)
    where = (host - np.array(standard.origin)).astype(namespace.dtype_name(standard.values))
    image_of_columns = standard.inverted if invert else standard
    filtered = FilteredImage(image_of_columns, smoothing)
    band = filtered.band
    start = start_peaks(filtered.smoothed, band.to_grid(where))
    known = filtered.weight
    peaks, _ = settle(filtered.smoothed, start, known=known)
    if refine:
        where = band.to_pixels(peaks.points)
    else:
        peaks = Peaks(start.points, peaks.heights, peaks.sigma)
    heights = measure_heights(filtered.detail, peaks, known) * standard.scale
    width = float(peaks.sigma) * (band.scale[0] * band.scale[1]) ** 0.5
    rows, cols = standard.values.shape
    inside = (where[:, 0] >= -0.5) & (where[:, 0] <= rows - 0.5)
    inside = inside & (where[:, 1] >= -0.5) & (where[:, 1] <= cols - 0.5)
    there = np.ones_like(where[:, 0])
    seen = there.astype(bool)
    if isinstance(points, Columns):
        seen, there = (namespace.to_numpy(given)[order] for given in (points.occupied, points.probability))
    inside = inside & on_data(standard, where, np.ones(len(where), bool), width)
    left = int((~inside).sum())
    if left == len(host):
        raise StageError("columns", f"none of the {left} given points stands on data", "check the mask")
    notes = standard.notes
    if left:
        notes = (*notes, f"{left:,} of {len(host):,} given columns stand on no data and were left out")
    placed, heights, seen, there = (
        namespace.from_numpy(x[inside], standard.values)
        for x in (where + np.array(standard.origin).astype(where.dtype), heights, seen, there)
    )
    return Columns(placed, heights, seen, there, width, notes)


def _checked(points: Any, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, 2) on the host, sorted by row and then column, and their order, after a check."""
    _, points = check_array(points, "columns", "points", 2)
    host: np.ndarray = namespace.to_numpy(points).astype(np.float64)
    if host.shape[1] != 2 or not len(host):
        raise StageError(
            "columns", f"points have shape {host.shape}", "give (row, col) for each, shape (n, 2)"
        )
    outside = ((host < -0.5) | (host > np.array(shape) - 0.5)).any(axis=1)
    if outside.any():
        first = tuple(np.round(host[outside.argmax()], 2).tolist())
        raise StageError(
            "columns",
            f"{int(outside.sum())} of {len(host)} points, such as {first}, are outside the image, {shape} px",
            "give (row, col) in pixels; points as (x, y) are points[:, ::-1]",
        )
    order = np.lexsort((host[:, 1], host[:, 0]))
    host = host[order]
    pairs = cKDTree(host).query_pairs(_TWICE, output_type="ndarray")
    if len(pairs):
        first = tuple(np.round(host[pairs[0, 0]], 2).tolist())
        raise StageError(
            "columns",
            f"{len(pairs)} pairs of points, such as that at {first}, are less than {_TWICE} px apart",
            "give each column once",
        )
    return host, order
