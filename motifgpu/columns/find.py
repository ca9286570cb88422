"""Atom columns of a micrograph: which there are and where, to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motifgpu.columns.by_lattice import choose_by_lattice
from motifgpu.columns.by_maxima import choose_by_maxima
from motifgpu.columns.claims import EMPTY
from motifgpu.columns.filtered import FilteredImage
from motifgpu.columns.polarity import are_dark
from motifgpu.columns.single_atoms import choose_atoms
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.choices import LATTICES, SMOOTHINGS, either
from motifgpu.core.errors import StageError
from motifgpu.core.fitting import WIDEST
from motifgpu.core.namespace import Array
from motifgpu.core.on_points import pixel_of, values_at
from motifgpu.core.shown import one_line

# Least share of data in a Gaussian of the width of a column, about a column and about an empty site.
_LEAST_SEEN, _LEAST_EMPTY = 0.5, 0.9
# Period of the first ring in pixels below which a note says so and below which it is none of columns, and the
# share of the image with a lattice below which a note says so.
COARSE, FINEST, WHOLE = 4.0, 3.0, 0.98
DARK = "the columns are dark on bright ground: they were found in the inverted image"


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


def find_columns(
    image: Any,
    method: str = "auto",
    *,
    smoothing: str = "auto",
    lattice: str = "auto",
    invert: bool | None = None,
    mask: Any = None,
) -> Columns:
    """Find the atom columns of a micrograph; no distance has to be given.

    The image is smoothed and its slow background removed; positions, heights and the common width of all
    candidates are then fitted together by least squares. Columns are claimed where there is a lattice: Bragg
    peaks, points of the power spectrum of which one is the sum of two others, that exceed what noise of the
    scan, an amorphous film or a gradient makes.

    Parameters
    ----------
    image : (H, W) array_like
        Micrograph in any unit, raw or smoothed.
    method : {"auto", "lattice", "prominence", "radius"}
        How columns are chosen. ``"lattice"`` averages the image over its lattice, locally
        (`motifgpu.columns.lattice_average`), takes the sites of that average, thins and completes them by the
        translations between them (`motifgpu.columns.lattice_places`), says of each how probable a column is
        (`motifgpu.columns.claims`), and adds maxima of the smoothed image that are separate from them and
        above the noise. Where adjacent vacancies distort the average, it is taken once more without them.
        ``"prominence"`` takes the maxima of the smoothed image by their prominence alone. ``"radius"`` is the
        paper's maximum filter (Fig. S29), of radius 0.36 periods of the first ring; it mistakes noise between
        faint columns for columns and misses faint columns beside bright ones. ``"auto"`` is ``"lattice"``,
        or what `lattice` asks for.
    smoothing : {"auto", "fft", "svd"}
        As in `motifgpu.smooth`.
    lattice : {"auto", "none"}
        ``"auto"`` claims columns where there is a lattice and none elsewhere; ``"none"`` finds single atoms
        without one, such as on a support: blobs of a common width, as high as hardly any place of the image
        is deep.
    invert : bool, optional
        Whether columns are dark on bright ground, as in bright field and ABF. By default the image decides: a
        lattice of dark columns is recognised, and `notes` say so. Single atoms are taken to be bright.
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
        data, an option is unknown, the image shows nothing but noise, or there is no lattice that describes a
        part of it (methods other than ``"prominence"``), or no atom.

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

    Dark columns are found as they are, and noted:

    >>> made = motifgpu.simulate.sample("dark_perovskite", (160, 160), seed=1)
    >>> motifgpu.find_columns(made.image).notes
    ('the columns are dark on bright ground: they were found in the inverted image',)

    Single atoms on a support are no lattice, and are found when asked for:

    >>> made = motifgpu.simulate.sample("atoms", (160, 160), seed=1)
    >>> atoms = motifgpu.find_columns(made.image, lattice="none")
    >>> match = motifgpu.match_points(atoms.points, made.points, radius=3.0)
    >>> len(match.found) >= 0.9 * len(made.points)
    True
    """
    if method not in ("auto", "lattice", "prominence", "radius"):
        raise StageError(
            "columns", f"there is no method {method!r}", "choose auto, lattice, prominence or radius"
        )
    if smoothing not in SMOOTHINGS:
        remedy = f"choose {either(SMOOTHINGS)}"
        raise StageError("columns", f"there is no smoothing {smoothing!r}", remedy)
    if lattice not in LATTICES:
        raise StageError("columns", f"there is no lattice {lattice!r}", f"choose {either(LATTICES)}")
    if lattice == "none" and method in ("lattice", "radius"):
        raise StageError("columns", f"{method!r} needs a lattice", "leave the method out")
    standard = StandardImage.of(image, "columns", mask).single
    on_lattice = lattice == "auto" and method in ("auto", "lattice")
    filtered, dark = FilteredImage(standard, smoothing, on_lattice), bool(invert)
    if lattice == "auto" and method != "prominence":
        _check_lattice(standard)
        dark = are_dark(filtered) if invert is None else invert
    if dark:
        standard = standard.inverted
        filtered = FilteredImage(standard, smoothing, on_lattice)
    notes = standard.notes
    if dark and invert is None:
        notes = (*notes, DARK)
    if lattice == "none" and method == "auto":
        band, found = choose_atoms(standard)
    elif on_lattice:
        band, found = choose_by_lattice(filtered)
        notes = (*notes, *_scale_notes(filtered))
    else:
        band, found = filtered.band, choose_by_maxima(filtered, method)
    width = float(found.sigma) * (band.scale[0] * band.scale[1]) ** 0.5
    if float(found.sigma) >= WIDEST:
        if method in ("prominence", "radius") or lattice == "none":
            raise StageError(
                "columns",
                f"the maxima of the image are too wide for columns (standard deviation above {width:.1f} px)",
                "give a part of the image that shows columns alone",
            )
        notes = (
            *notes,
            f"columns are wider than a standard deviation of {width:.1f} px at a period of "
            f"{1 / filtered.frequency:.1f} px and run into each other: heights and empty sites are unsure",
        )
    points = band.to_pixels(found.points)
    rows, cols = band.shape
    inside = (points[:, 0] >= -0.5) & (points[:, 0] < rows - 0.5)
    inside = inside & (points[:, 1] >= -0.5) & (points[:, 1] < cols - 0.5)
    inside = inside & on_data(standard, points, found.occupied, width)
    order = np.lexsort((points[:, 1], points[:, 0]))
    order = order[inside[order]]
    points, heights, occupied, probability = (
        namespace.from_numpy(x, standard.values)
        for x in (
            points[order] + np.array(standard.origin).astype(points.dtype),
            found.heights[order] * standard.scale,
            found.occupied[order],
            found.probability[order].astype(np.float32),
        )
    )
    return Columns(points, heights, occupied, probability, width, notes)


def _check_lattice(image: StandardImage) -> None:
    """Refuse an image without a lattice, or whose periods are too few pixels for its columns.

    Raises
    ------
    StageError
    """
    if image.ring is None:
        _ = image.scales  # refuses pure noise in its own words
        strongest = image.spectrum.bragg.strongest
        seen = f"the clearest has {strongest:.0f} times" if strongest else "none has more than 7 times"
        raise StageError(
            "columns",
            "the image has no lattice: no three points of its power spectrum, one the sum of the two others, "
            f"have 12 times the power around them and along their row and column ({seen})",
            'find single atoms with lattice="none", or give a larger part of a crystal',
        )
    period = 1 / image.ring.frequency
    if period < FINEST:
        raise StageError(
            "columns",
            f"a period of the lattice is {period:.1f} px, and below {FINEST:g} px a column has no shape: "
            "pixels take turns",
            "record with smaller pixels, or give the image as it was before it was binned",
        )


def _scale_notes(image: FilteredImage) -> tuple[str, ...]:
    """Return what to know of the scale of an image, and of how much of it has a lattice."""
    notes = []
    period = 1 / image.frequency
    if period < COARSE:
        notes.append(
            f"a period is {period:.1f} px; below {COARSE:g} px columns and their shoulders are hardly told "
            "apart: record with smaller pixels"
        )
    xp = image.xp
    share = float(xp.sum(xp.where(image.region, image.known, 0.0)) / xp.sum(image.known))
    if share < WHOLE:
        notes.append(f"{100 * (1 - share):.0f} % of the image shows no lattice and has no columns")
    return tuple(notes)


def on_data(image: StandardImage, points: np.ndarray, occupied: np.ndarray, sigma: float) -> np.ndarray:
    """Say which points (n, 2) stand on data: (n,) bool; an empty site, on nothing else."""
    share = image.share_valid(sigma)
    if share is None:
        return np.ones_like(occupied)
    there = values_at(share, pixel_of(points, share.shape))
    return (there >= _LEAST_EMPTY) | (occupied & (there >= _LEAST_SEEN))
