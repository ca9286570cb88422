"""How alike the usual patches of two micrographs are, gain, offset, magnification and focus aside."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from motifgpu.features import disc
from motifgpu.features.disc import PICTURE

_RIM = 2  # pixels at the rim that are left out, where no derivative is
_FEWEST = 12  # columns of a sublattice for a usual patch, or a quarter of its share where there are few


class Similarity(NamedTuple):
    """A comparison.

    Attributes
    ----------
    gain, offset : float
        Intensity in the one micrograph = gain x intensity in the other + offset.
    agreement : float
        Share of the contrast that is explained, 0 to 1.
    """

    gain: float
    offset: float
    agreement: float


def usual_patches(moments: np.ndarray, sublattice: np.ndarray, number: int) -> tuple[np.ndarray, list[int]]:
    """Return the median moments (k, n_moments) of sublattices with enough columns, and which those are."""
    least = max(3, min(_FEWEST, len(moments) // (4 * number)))
    seen = [s for s in range(number) if np.count_nonzero(sublattice == s) >= least]
    # Moments as rows, which is how a median is fast.
    usual = [np.median(np.ascontiguousarray(moments[sublattice == s].T), axis=1) for s in seen]
    return np.array(usual).reshape(-1, moments.shape[1]), seen


class LearnedPatches:
    """The usual patches of a dictionary's sublattices, to compare others with.

    Parameters
    ----------
    means : (s, n_moments) ndarray
    order : int
        Highest Zernike order of the moments.
    """

    def __init__(self, means: np.ndarray, order: int) -> None:
        self.order = order
        pictures = _pictures(means, order)
        down, along = np.gradient(pictures, 2 / PICTURE, axis=(1, 2))
        place = (2 * np.arange(PICTURE) + 1 - PICTURE) / PICTURE
        larger = place * along + place[:, None] * down
        blurred = ndimage.laplace(pictures, axes=(1, 2)) * (PICTURE / 2) ** 2
        inside = _inside()
        self._parts = np.stack([a[:, inside] for a in (pictures, larger, blurred)], axis=2)

    def compare(self, usual: np.ndarray, seen: list[int]) -> Similarity | None:
        """Compare usual patches (k, n_moments) of the sublattices `seen`; None where they are opposites.

        Gain and offset are those of the patches as they are. For the agreement they may in addition be a
        little larger or smaller and more or less blurred than the dictionary's, to first order: columns
        wider by 20 % and patches cut too large by 3 % are still alike.
        """
        if not seen:
            return None
        drawn = _pictures(usual, self.order)[:, _inside()].reshape(-1)
        parts = self._parts[seen].reshape(-1, 3)
        from_mean, learned = drawn - drawn.mean(), parts - parts.mean(axis=0)
        contrast = max(float(from_mean @ from_mean), 1e-300)
        gain = float(from_mean @ learned[:, 0] / max(float(learned[:, 0] @ learned[:, 0]), 1e-300))
        if gain <= 0:
            return None
        heights = np.linalg.lstsq(learned, from_mean)[0]
        missed = from_mean - learned @ heights
        offset = float(drawn.mean() - gain * parts[:, 0].mean())
        return Similarity(gain, offset, 1.0 - float(missed @ missed) / contrast)


def _pictures(means: np.ndarray, order: int) -> np.ndarray:
    """Return patches (k, 64, 64) drawn from moments, zero outside the disc."""
    rows, cols = disc.pixels(PICTURE, PICTURE)
    pictures = np.zeros((len(means), PICTURE, PICTURE))
    pictures[:, rows, cols] = means @ disc.values(order, PICTURE, PICTURE)
    return pictures


@functools.cache
def _inside() -> np.ndarray:
    """Return which pixels (64, 64) of the disc are away from its rim."""
    disc_mask = np.zeros((PICTURE, PICTURE), dtype=bool)
    disc_mask[disc.pixels(PICTURE, PICTURE)] = True
    inside: np.ndarray = ndimage.binary_erosion(disc_mask, iterations=_RIM)
    return inside
