"""What the image says of each place of a lattice: how probable it is that a column stands there.

The height at a place, fitted together with those of all columns around, is compared with what its
equivalents have. Three things may be there: a column as high as theirs, one of half that height, such as a
pair that lacks an atom, and nothing. How common each is, is found from all places of a kind together.

Runs on the host, on a few numbers a place.
"""

from __future__ import annotations

import numpy as np

# Probability of a column above which one is claimed, and below which an empty site is.
COLUMN, EMPTY = 0.75, 0.1
# Heights of what may stand at a place, in shares of the expected one, and by how much each varies.
_HEIGHTS, _VARIATIONS = (0.0, 0.5, 1.0), (0.03, 0.12, 0.12)
# What is seen before any place is looked at: pseudo-observations of nothing, half and whole columns; in the
# crystal, and where it ends, of which nothing is known.
_PRIOR, _PRIOR_OF_SURFACE = (0.05, 0.05, 4.9), (2.5, 0.0, 2.5)
# Places at which columns exceed the error by less teach nothing about how common they are.
_CLEAR = 2.0
_ITERATIONS = 50
_FEW = 40  # places of a kind of their own, at least


def column_probability(
    heights: np.ndarray,
    errors: np.ndarray,
    expected: np.ndarray,
    misfit: np.ndarray,
    surface: np.ndarray | None = None,
    kind: np.ndarray | None = None,
) -> np.ndarray:
    """Return the probability (n,) that a column stands at each place.

    Parameters
    ----------
    heights, errors : (n,) ndarray
        Height at each place, and its standard error.
    expected : (n,) ndarray
        Height of a column there.
    misfit : (n,) ndarray
        Standard deviation of what may be seen where there is no column, beside noise.
    surface : (n,) bool ndarray, optional
        Which places are where the crystal ends.
    kind : (n,) int64 ndarray, optional
        Which places are of one kind, 0 to the last: how common columns are is found for each.
    """
    expected = np.maximum(expected, 1e-3 * np.max(np.abs(expected), initial=1e-30))
    height = np.minimum(heights, expected)[:, None]  # more than expected speaks for a column no less
    mean = np.array(_HEIGHTS) * expected[:, None]
    variance = errors[:, None] ** 2 + misfit[:, None] ** 2 + (np.array(_VARIATIONS) * expected[:, None]) ** 2
    likelihood = np.exp(-0.5 * (height - mean) ** 2 / variance) / np.sqrt(variance)
    clear = expected > _CLEAR * np.hypot(errors, misfit)
    common = np.empty_like(likelihood)
    inside = np.ones(len(heights), dtype=bool) if surface is None else ~surface
    kind = np.zeros(len(heights), dtype=np.int64) if kind is None else kind
    kind = np.where(np.bincount(kind)[kind] >= _FEW, kind, -1)
    groups = [(inside & (kind == each), _PRIOR) for each in np.unique(kind)]
    for members, before in [*groups, (~inside, _PRIOR_OF_SURFACE)]:
        prior = np.array(before)
        weights = prior / prior.sum()
        informative = np.ascontiguousarray(likelihood[clear & members].T)
        for _ in range(_ITERATIONS if members.any() else 0):
            weights = prior + weights * (informative @ (1 / np.maximum(weights @ informative, 1e-300)))
            weights = weights / weights.sum()
        common[members] = weights
    joint = likelihood * common
    probability: np.ndarray = joint[:, 1:].sum(axis=1) / np.maximum(joint.sum(axis=1), 1e-300)
    return probability
