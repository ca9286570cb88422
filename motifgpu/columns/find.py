"""Atom columns of a micrograph: which there are and where, to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motifgpu.columns.by_lattice import choose_by_lattice
from motifgpu.columns.by_maxima import choose_by_maxima
from motifgpu.columns.claims import EMPTY
from motifgpu.columns.filtered import FilteredImage
from motifgpu.columns.refine import WIDEST
from motifgpu.columns.spacing import pixel_of
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.choices import SMOOTHINGS, either
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.shown import one_line

# Least share of data in a Gaussian of the width of a column, about a column and about an empty site.
_LEAST_SEEN, _LEAST_EMPTY = 0.5, 0.9


@dataclass(frozen=True)
class Columns:
    """Atom columns of a micrograph, sorted by row and then column; the arrays have one row per atom column.

    Attributes
    ----------
    points : (n, 2) float32 array
        Centres as (row, col) in pixels, pixel centres at integers.
    prominence : (n,) float32 array
        Height of the column above its local background in the image without smoothing, in the unit of the
        image: the least-squares height of a Gaussian of width `sigma_px` on a constant of its own, with all
        other columns subtracted.
    occupied : (n,) bool array
        False for a site of the lattice where no atom is seen, such as a double vacancy; its point is the
        position that the lattice around it predicts. False too where noise leaves open what there is, see
        `undecided`.
    probability : (n,) float32 array
        That a column stands there. A site is `occupied` from 0.75 on and `empty` up to 0.1.
    sigma_px : float
        Standard deviation of the Gaussian that fits the columns of the smoothed image, px. It is one number,
        because the probe is common to all columns.
    notes : tuple of str
        What a reader should know of how they were found, a sentence each; none where all is usual.

    Examples
    --------
    A double vacancy is an empty site: the lattice predicts a column where none is seen.

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), divacancies=0.05)
    >>> columns = motifgpu.find_columns(made.image)
    >>> empty = columns.points[~columns.occupied]
    >>> match = motifgpu.match_points(empty, made.points[~made.occupied], radius=3.0)
    >>> len(match.found) == len(empty)
    True
    >>> round(columns.sigma_px / 22.0, 1)  # in lattice constants
    0.1
    """

    points: Array
    prominence: Array
    occupied: Array
    probability: Array
    sigma_px: float
    notes: tuple[str, ...] = ()

    __repr__ = one_line

    def __len__(self) -> int:
        number: int = self.points.shape[0]
        return number

    @property
    def empty(self) -> Array:
        """Sites where no atom is seen: (n,) bool."""
        return self.probability <= EMPTY

    @property
    def undecided(self) -> Array:
        """Sites of which noise leaves open whether there is a column: (n,) bool."""
        return (self.probability > EMPTY) & ~self.occupied

    def select(self, mask: Array) -> Columns:
        """Return the columns where `mask` (n,) is True.

        The paper selects its candidates (Fig. S29) in this way: ``find_columns(image, "radius")``, then those
        whose patches respond to a symmetry (`motifgpu.features.symmetries`).

        Examples
        --------
        The columns that are at least 20 px away from the border:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128))
        >>> columns = motifgpu.find_columns(made.image)
        >>> inner = columns.select((abs(columns.points - 63.5) <= 43.5).all(axis=1))
        >>> 0 < len(inner.points) < len(columns.points)
        True
        """
        return replace(
            self,
            points=namespace.take_rows(self.points, mask),
            prominence=namespace.take_rows(self.prominence, mask),
            occupied=namespace.take_rows(self.occupied, mask),
            probability=namespace.take_rows(self.probability, mask),
        )


def find_columns(image: Any, method: str = "auto", *, smoothing: str = "auto", mask: Any = None) -> Columns:
    """Find the atom columns of a micrograph; no distance has to be given.

    The image is smoothed and its slow background removed; positions, heights and the common width of all
    candidates are then fitted together by least squares.

    Parameters
    ----------
    image : (H, W) array_like
        Micrograph in any unit, raw or smoothed; bright columns on dark ground.
    method : {"auto", "lattice", "prominence", "radius"}
        How columns are chosen. ``"lattice"`` averages the image over its lattice, locally
        (`motifgpu.columns.lattice_average`), takes the sites of that average, adds maxima of the
        smoothed image that are separate from them and above the noise, and determines which sites are empty.
        Where adjacent vacancies distort the average, it is taken once more without them. ``"prominence"``
        takes the maxima of the smoothed image by their prominence alone. ``"radius"`` is the paper's maximum
        filter (Fig. S29), of radius 0.36 periods of the first ring; it mistakes noise between faint columns
        for columns and misses faint columns beside bright ones. ``"auto"`` is ``"lattice"`` where there is
        one and ``"prominence"`` otherwise, also where the average describes no part of the image.
    smoothing : {"auto", "fft", "svd"}
        As in `motifgpu.smooth`.
    mask : (H, W) array_like of bool, optional
        True on the pixels that are data, False on those to leave out. NaN, infinity and what a masked array
        of NumPy masks are left out as well, and so are constant margins, bad lines and spikes, which are
        found.

    Returns
    -------
    Columns
        Every column whose centre lies in the image, also where no patch fits around it; none where the image
        is no data. `notes` says what was left out. In the namespace and
        on the device of `image`.

    Raises
    ------
    StageError
        If the image is not a varying, two-dimensional array of real numbers with at least 16 x 16 pixels of
        data, an option is unknown, the image shows nothing but noise, or the method needs a lattice and there
        is none.

    Notes
    -----
    Positions are measured on the smoothed image. With ``"svd"`` equivalent columns share their noise in it,
    so that the displacement of one from its lattice is underestimated, as by every estimate of least error:
    it is 0.73, 0.87 and 0.96 of the truth at 1, 10 and 100 counts at the peaks (displacements of 0.5 px,
    lattice constant 22 px), where ``"fft"`` has 1.0 with 1.5, 1.1 and 1.0 times the error.

    A device waits for the host where array sizes are decided: for the radial mean of the power spectrum and
    for the numbers of candidates.

    Examples
    --------
    All columns of a noisy monolayer are found, and nothing else is taken for a column:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.05)
    >>> columns = motifgpu.find_columns(made.image)
    >>> score = motifgpu.score_detection(columns.points, made.points, made.occupied, (160, 160), 4, 8)
    >>> score.precision, score.recall
    (1.0, 1.0)
    """
    if method not in ("auto", "lattice", "prominence", "radius"):
        raise StageError(
            "columns", f"there is no method {method!r}", "choose auto, lattice, prominence or radius"
        )
    if smoothing not in SMOOTHINGS:
        remedy = f"choose {either(SMOOTHINGS)}"
        raise StageError("columns", f"there is no smoothing {smoothing!r}", remedy)
    standard = StandardImage.of(image, "columns", mask).single
    if standard.ring is None and method in ("lattice", "radius"):
        raise StageError(
            "columns",
            f"the image has no lattice (no clear ring in its power spectrum), which {method!r} needs",
            "use the method prominence",
        )
    filtered = FilteredImage(standard, smoothing)
    if method in ("auto", "lattice") and standard.ring is not None:
        found = choose_by_lattice(filtered)
    else:
        found = choose_by_maxima(filtered, method)
    width = float(found.sigma) * (filtered.band.scale[0] * filtered.band.scale[1]) ** 0.5
    if float(found.sigma) >= WIDEST:
        raise StageError(
            "columns",
            f"the maxima of the image are too wide for columns (standard deviation above {width:.1f} px)",
            "invert the image if its columns are dark",
        )
    points = filtered.band.to_pixels(found.points)
    rows, cols = filtered.band.shape
    inside = (points[:, 0] >= -0.5) & (points[:, 0] < rows - 0.5)
    inside = inside & (points[:, 1] >= -0.5) & (points[:, 1] < cols - 0.5)
    inside = inside & _on_data(standard, points, found.occupied, width)
    xp = filtered.xp
    order = xp.argsort(points[:, 1], stable=True)
    order = xp.take(order, xp.argsort(xp.take(points[:, 0], order), stable=True))
    order = namespace.take_rows(order, xp.take(inside, order))
    return Columns(
        xp.take(points, order, axis=0) + namespace.as_like(np.array(standard.origin), points),
        xp.take(found.heights, order) * standard.scale,
        xp.take(found.occupied, order),
        xp.astype(xp.take(found.probability, order), xp.float32),
        width,
        standard.notes,
    )


def _on_data(image: StandardImage, points: Array, occupied: Array, sigma: float) -> Array:
    """Say which points (n, 2) stand on data: (n,) bool; an empty site, on nothing else."""
    xp = namespace.array_namespace(points)
    share = image.share_valid(sigma)
    if share is None:
        return xp.ones_like(occupied)
    there = xp.take(xp.reshape(share, (-1,)), pixel_of(points, (share.shape[0], share.shape[1])))
    return (there >= _LEAST_EMPTY) | (occupied & (there >= _LEAST_SEEN))
