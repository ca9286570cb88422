"""Where in the view a lattice is."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

# Cells over which the share of occupied sites is averaged.
_WINDOW = 7
# More empty cells side by side are a hole, or lie beyond the edge of the sample.
_LARGEST_VACANCY = 16


def local_share(present: np.ndarray, possible: np.ndarray) -> np.ndarray:
    """Return the share of possible sites (I, J) present around each cell; 0 where none are possible."""
    held, all_ = (
        ndimage.uniform_filter(a.astype(float), _WINDOW, mode="constant") for a in (present, possible)
    )
    return np.where(all_ > 1e-9, held / np.maximum(all_, 1e-9), 0.0)


def held_cells(occupied: np.ndarray, view: np.ndarray, chance: float | None) -> np.ndarray:
    """Say which cells (I, J) are of the lattice.

    Parameters
    ----------
    occupied, view : (I, J, m) bool ndarray
        Sites with a point, and sites in view.
    chance : float or None
        Share of sites that points of another grain would occupy; None where there is none.

    Returns
    -------
    (I, J) bool ndarray
        False in holes and beyond the edge of the sample: pieces of cells without a single point that are
        larger than any cluster of vacancies would be or lead out of view; and where not clearly more sites
        are occupied than by chance.
    """
    empty = ~occupied.any(axis=2)
    piece, number = ndimage.label(empty)
    size = np.bincount(piece.reshape(-1), minlength=number + 1)
    outside = np.asarray(~view.all(axis=2))
    outside[[0, -1]] = True
    outside[:, [0, -1]] = True
    leads_out = np.bincount(piece.reshape(-1), outside.reshape(-1), number + 1) > 0
    held: np.ndarray = ~empty | ~(leads_out | (size > _LARGEST_VACANCY))[piece]
    if chance is None:
        return held
    share = local_share(occupied.sum(axis=2), view.sum(axis=2))
    whole = view.all(axis=2)
    usual = float(np.quantile(share[whole], 0.8)) if whole.any() else 1.0
    held &= share > max((chance + usual) / 2, 0.5 * usual)
    return held
