"""Uneven background and uneven brightness of a micrograph, read from its columns.

Contamination and what lies below a sample add to the intensity of a column; thickness, aperture and detector
multiply it. Both vary slowly, or by steps such as those of thickness, so the columns around a column show
both. They are found by sublattice, as by how much its columns, and the gaps between them, differ from the
commonest ones, and removed from moments where they are more than noise.

Runs on the host, on two numbers per column; the moments stay where they are.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.features.windows import gaps, window
from motifgpu.motifs.regions import AROUND, SMALLEST, divided, settled, together

_AROUND = 30  # columns that a field is averaged over
# A field is one when its standard deviation is this many times that of an average of noise, and this share of
# the height of a column. Without any field, 3 to 30 counts: 2.3 at most where it is not below the second.
_NOISE, _LEAST = 3.0, 0.02
_OUTLIER = 2.5  # standard deviations at which a column counts as one of another kind
_LIMIT = 12.0  # most that one column says against a level, in variances
_DIMMEST = 0.1  # least relative brightness that is corrected for


def flattened(moments: Array, points: np.ndarray, order: int, domain: np.ndarray, part: np.ndarray) -> Array:
    """Return moments as if background and brightness were even, the same where they are.

    Parameters
    ----------
    moments : (n, n_moments) array
    points : (n, 2) ndarray
        Positions, px.
    order : int
        Highest radial order of the moments.
    domain : (n,) int64 ndarray
        Domain of each; -1 for none. Brightness may change abruptly between domains.
    part : (n,) int64 ndarray
        Sublattice of each within its domain.

    Returns
    -------
    (n, n_moments) array
    """
    dark, height = _read(moments, order, part)
    tree = cKDTree(points[domain >= 0])
    inside = domain[domain >= 0][tree.query(points)[1]]  # of columns in no domain, the nearest one
    level = _levels(height, points, inside, part)
    steps = level.max() > inside.max()
    background, gain = np.zeros(part.size), np.ones(part.size)
    found = np.zeros(2, dtype=bool)
    levels = []
    for each in np.unique(level).tolist():
        rows = np.flatnonzero(level == each)
        kind = np.unique(part[rows], return_inverse=True)[1].reshape(-1)
        base, scale = (
            np.array([np.median(x[rows][kind == k]) for k in range(kind.max() + 1)]) for x in (dark, height)
        )
        scale = np.maximum(scale, 1e-300)
        usual = float(scale[kind].mean())
        levels.append((rows, float(base[kind].mean()), usual))
        count = min(_AROUND, len(rows))
        near = cKDTree(points[rows]).query(points[rows], [*range(1, count + 1)])[1]
        for number, (field, values) in enumerate(
            ((background, (dark[rows] - base[kind]) / usual), (gain, height[rows] / scale[kind]))
        ):
            smooth, real = _smooth(values, points[rows], near)
            field[rows] = smooth
            found[number] |= real
    if not (found.any() or steps):
        return moments
    # The brightness of a domain, or of what is beyond a step, as a whole is part of the field.
    floor = float(sum(len(at) * dim for at, dim, _ in levels) / part.size)
    top = float(sum(len(at) * bright for at, _, bright in levels) / part.size)
    for at, dim, bright in levels:
        background[at] = (background[at] if found[0] else 0.0) * bright + dim
        gain[at] = np.maximum(gain[at] if found[1] else 1.0, _DIMMEST) * bright / top
    xp = namespace.array_namespace(moments)
    constant = np.zeros((1, moments.shape[1]))
    constant[0, 0] = 1.0
    offset = namespace.as_like((floor - background / gain)[:, None] * constant, moments)
    return xp.astype(moments / namespace.as_like(gain[:, None], moments) + offset, moments.dtype)


def _levels(height: np.ndarray, points: np.ndarray, domain: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Divide domains (n,) further at steps of the heights of columns."""
    if len(points) < 2 * SMALLEST:
        return domain
    positive = np.maximum(height, 1e-3 * np.median(height))
    step = divided(positive[:, None], points, part, slice(-1, None))
    if step.max() == part.max():
        return domain
    around = cKDTree(points).query(points, AROUND + 1)[1][:, 1:]
    level = together(step, around)
    kinds = np.unique(level[level >= 0])
    if kinds.size < 2:
        return domain
    # Where a level begins, the columns themselves say.
    logarithm = np.log(positive)
    costs = np.full((len(points), kinds.size), 1e6)
    for k in np.unique(part).tolist():
        rows = part == k
        for at, kind in enumerate(kinds):
            own = logarithm[rows & (level == kind)]
            if own.size:
                middle = np.median(own)
                spread = max(1.4826 * float(np.median(np.abs(own - middle))), 1e-3)
                deviation = (logarithm[rows] - middle) / spread
                costs[rows, at] = 0.5 * np.minimum(deviation**2, _LIMIT) + np.log(spread)
    start = np.where(level >= 0, np.searchsorted(kinds, level), costs.argmin(axis=1))
    return settled(costs, start, around)[0]


def _read(moments: Array, order: int, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the intensity in the gaps of each patch and the height of its column above that."""
    xp = namespace.array_namespace(moments)
    dark, height = np.empty(part.size), np.empty(part.size)
    for k in np.unique(part).tolist():
        rows = np.flatnonzero(part == k)
        own = xp.take(moments, namespace.from_numpy(rows, moments), axis=0)
        between = gaps(namespace.to_numpy(xp.mean(own, axis=0)).astype(np.float64), order)
        weights = np.stack([between, window(order) - between], axis=1)
        read = namespace.to_numpy(xp.matmul(own, namespace.as_like(weights, moments))).astype(np.float64)
        dark[rows], height[rows] = read.T
    return dark, height


def _smooth(values: np.ndarray, points: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return local planes through values, outliers aside, and whether they are more than noise.

    Parameters
    ----------
    values : (n,) ndarray
    points : (n, 2) ndarray
        Positions, px.
    near : (n, k) int64 ndarray
        The nearest columns of each, itself included.
    """
    count = near.shape[1]
    middle = np.median(values[near], axis=1)
    noise = 1.4826 * float(np.median(np.abs(values - middle)))
    usual = np.clip(values, middle - _OUTLIER * noise, middle + _OUTLIER * noise)[near]
    x = points[near] - points[:, None]
    x = np.concatenate([np.ones((*x.shape[:2], 1)), x / max(float(np.abs(x).max()), 1e-300)], axis=2)
    ridge = 1e-3 * count * np.diag([0.0, 1.0, 1.0])
    plane = np.linalg.solve(
        np.swapaxes(x, 1, 2) @ x + ridge + 1e-12 * np.eye(3), np.swapaxes(x, 1, 2) @ usual[:, :, None]
    )
    spread = float(middle.std())
    expected = noise * (np.pi / 2 / count) ** 0.5
    return plane[:, 0, 0], spread > max(_NOISE * expected, _LEAST)
