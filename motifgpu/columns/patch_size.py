"""The size of a patch, from the periodicity of the micrograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from motifgpu.columns.scale import LOWEST_BIN
from motifgpu.columns.standard_image import StandardImage
from motifgpu.columns.translations import shortest_translations
from motifgpu.core.errors import StageError
from motifgpu.core.shown import one_line


@dataclass(frozen=True)
class PatchSize:
    """A patch size and what it was estimated from.

    Attributes
    ----------
    pixels : float
        Side of a patch, px.
    confidence : float
        0 to 1. For the rule ``"environment"`` the fraction of the power on the first ring that exceeds that
        of its local background; for ``"lattice"`` this times the autocorrelation at the translation, without
        noise.
    frequency : float or None
        Radius of the first ring of the power spectrum, cycles per pixel; None where there is none and the
        size was given.
    curve : (ndarray, ndarray)
        Frequencies in cycles per pixel and the radial mean of the power there, both (m,) float64 on the host.
    candidates : tuple of float
        ``2 / f`` of every clear peak f of the curve, px, in order of f.

    Examples
    --------
    The first ring of the power spectrum, from which the size follows:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), lattice_constant=16.0)
    >>> size = motifgpu.estimate_patch_size(made.image)
    >>> round(size.pixels * size.frequency, 6)  # periods of the first ring in a patch
    2.0
    >>> bool(size.confidence > 0.5)
    True
    """

    pixels: float
    confidence: float
    frequency: float | None
    curve: tuple[np.ndarray, np.ndarray]
    candidates: tuple[float, ...]

    __repr__ = one_line


def estimate_patch_size(image: Any, rule: str = "environment") -> PatchSize:
    """Estimate how large patches should be.

    Parameters
    ----------
    image : (H, W) array_like
        Micrograph, raw or smoothed, square or not.
    rule : {"environment", "lattice"}
        ``"environment"`` is the paper's size (Fig. S30), two periods of the first ring of the power spectrum:
        1.73 lattice constants on a hexagonal lattice and 2 on a square one. It shows a column with its
        neighbours. ``"lattice"`` is the lattice constant, the mean length of the shortest lattice
        translations from the autocorrelation; a slightly smaller size is suited to the identity of a column.

    Returns
    -------
    PatchSize

    Raises
    ------
    StageError
        If the image is not a finite, varying, two-dimensional array of at least 16 x 16 real numbers, the
        rule is unknown, or no peak of the power spectrum is clear.

    Examples
    --------
    The two rules, in lattice constants of a monolayer:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(192, 192), lattice_constant=16.0)
    >>> for rule in ("environment", "lattice"):
    ...     print(rule, round(motifgpu.estimate_patch_size(made.image, rule).pixels / 16.0, 1))
    environment 1.7
    lattice 1.0
    """
    if rule not in ("environment", "lattice"):
        raise StageError("patch_size", f"there is no rule {rule!r}", "choose environment or lattice")
    standard = StandardImage.of(image, "patch_size").single
    if standard.ring is None:
        raise StageError(
            "patch_size",
            f"the power spectrum of the image of shape {tuple(standard.values.shape)} has no clear peak from "
            f"{LOWEST_BIN} periods across the image to 2 pixels a period",
            "give the size by hand, or a larger image",
        )
    pixels, confidence = 2 / standard.ring.frequency, standard.ring.confidence
    if rule == "lattice":
        pixels, height = shortest_translations(standard)
        confidence *= height
    return _patch_size(float(pixels), float(confidence), standard)


def given_patch_size(image: Any, pixels: float) -> PatchSize:
    """Return a size that was given, for images without a ring too, with what the image says beside it.

    Parameters
    ----------
    image : (H, W) array_like
        As for `estimate_patch_size`.
    pixels : float
        Side of a patch, px.

    Returns
    -------
    PatchSize
        With a confidence of 1.

    Raises
    ------
    StageError
        If `estimate_patch_size` does not take the image.
    """
    return _patch_size(float(pixels), 1.0, StandardImage.of(image, "patch_size").single)


def _patch_size(pixels: float, confidence: float, image: StandardImage) -> PatchSize:
    ring, spectrum = image.ring, image.spectrum
    return PatchSize(
        pixels=pixels,
        confidence=confidence,
        frequency=ring.frequency if ring else None,
        curve=(spectrum.frequency, spectrum.power),
        candidates=tuple(float(c) for c in 2 / ring.candidates) if ring else (),
    )
