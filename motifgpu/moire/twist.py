"""The twist of a bilayer, from the Bragg peaks of its two layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.shown import one_line
from motifgpu.moire.twist_fit import MISFIT, REACH, Block, Fit, fit_two_lattices, peak_positions

# Peaks of the first ring closer than this, in coefficients of the transform, are one; up to the
# second the twist is given only if its standard error is small.
LEAST_SPLIT, CLEAR_SPLIT = 1.3, 1.7
_LARGEST_ERROR = 0.015, 0.05  # standard errors in degrees that are let pass: between the two, and above both
# Power of the second layer: least share of the first one's, and least multiple of the residual.
_LEAST_SHARE, _LEAST_CLEAR = 0.02, 4.0
# Noise in neighbouring coefficients is correlated by the window: what that does to variances.
_INFLATION = 5.0
_EIGHT = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]


@dataclass(frozen=True, eq=False)
class Twist:
    """The rotation of two layers against each other.

    Attributes
    ----------
    degrees : float
        Angle between 0 and 30 degrees by which one layer is turned; NaN where it is not resolved. Which layer
        is above and the sense of the rotation do not show in a projection.
    reason : str
        Why it is not resolved; empty where it is.
    error : float
        Standard error of the angle, degrees, from the residual of the fit; NaN without a fit.
    split : float
        Distance of the two layers' peaks on the first ring, in coefficients of the Fourier transform; NaN
        where there are not two.
    mismatch : float
        Lattice constant of the fainter layer over that of the brighter one, minus 1.
    moire_px : float
        Length of the shorter moire vector, px.
    peaks : (2, 9, 2) float64 ndarray
        Peaks (row, col) of each layer on the first three rings in half the plane, cycles per pixel; the
        brighter layer first.
    """

    degrees: float
    reason: str
    error: float
    split: float
    mismatch: float
    moire_px: float
    peaks: np.ndarray

    __repr__ = one_line


def twist_angle(image: Any, method: str = "fit") -> Twist:
    """Measure the twist angle of a bilayer of hexagonal layers.

    Parameters
    ----------
    image : (H, W) array
        Micrograph, raw. Its size sets what can be resolved: peaks of a hexagonal lattice of constant a that
        is turned by an angle t stand 1.15 t L / a coefficients apart on the first ring, t in radians and L
        the side of the image.
    method : {"fit", "search"}
        ``"fit"`` fits both lattices to the complex peaks. ``"search"`` is the paper's (Fig. S21): the peaks
        of the first ring are divided into two sets, one set is turned by trial angles, and the angle of the
        least mean Euclidean distance to the other is the twist; it needs peaks with a dip between them.

    Returns
    -------
    Twist
        With NaN degrees and a reason where the image has no lattice or only one, or the peaks of its layers
        are not resolved.

    Raises
    ------
    StageError
        If the image is not a finite, varying, two-dimensional array of at least 16 x 16 real numbers, or the
        method is unknown.

    Notes
    -----
    Distortions common to both layers, such as a scan that is not square, cancel up to some five per cent. A
    picture of two grains side by side has two lattices as well: the angle is then that between the grains.

    Examples
    --------
    Two layers turned by 10 degrees:

    >>> import motifgpu
    >>> made = motifgpu.simulate.bilayer(shape=(192, 192), twist=10.0, lattice_constant=12.0, counts=100.0)
    >>> twist = motifgpu.twist_angle(made.image)
    >>> round(twist.degrees, 1)
    10.0

    One layer has no twist, and the reason says so:

    >>> made = motifgpu.simulate.monolayer(shape=(128, 128))
    >>> motifgpu.twist_angle(made.image).reason.split(":")[0]
    'only one lattice is seen'
    """
    if method not in ("fit", "search"):
        raise StageError("moire", f"there is no method {method!r}", "choose fit or search")
    standard = StandardImage.of(image, "moire")
    x, ring = standard.values, standard.ring
    if ring is None:
        return _unresolved("the power spectrum has no clear ring: no lattice is seen")
    radius = 2.0 * (1.0 + MISFIT) * 1.02 * ring.frequency
    reach = [math.ceil(radius * length) + REACH + 2 for length in x.shape]
    if any(wanted > length // 2 for wanted, length in zip(reach, x.shape, strict=True)):
        return _unresolved(
            f"the second ring at {2 * ring.frequency:.3g} cycles/px is beyond what the image samples"
        )
    block = Block(x, reach, namespace.array_namespace(x))
    return (
        _by_search(block, ring.frequency)
        if method == "search"
        else _judge(*fit_two_lattices(block, ring.frequency))
    )


def _unresolved(
    reason: str,
    *,
    error: float = math.nan,
    split: float = math.nan,
    mismatch: float = math.nan,
    moire_px: float = math.nan,
    peaks: np.ndarray | None = None,
) -> Twist:
    empty = np.full((2, 9, 2), math.nan)
    return Twist(math.nan, reason, error, split, mismatch, moire_px, empty if peaks is None else peaks)


def _judge(fit: Fit, parameters: np.ndarray, covariance: np.ndarray) -> Twist:
    """Turn a fit into a twist, or into the reason why there is none."""
    each, together = fit.explained_part(fit.shapes(parameters))
    power = each.reshape(2, 9).sum(1)
    left = float(np.sum((fit.data - together) ** 2)) / (0.5 * fit.freedom)
    if power[0] < power[1]:
        parameters = np.concatenate([parameters[:4], -parameters[4:]])
        power = power[::-1]
    twist = (parameters[4] + math.pi / 6) % (math.pi / 3) - math.pi / 6
    peaks = peak_positions(parameters)
    split = float(np.mean(np.linalg.norm((peaks[1, :3] - peaks[0, :3]) * fit.shape, axis=1)))
    error = math.degrees(math.sqrt(_INFLATION * max(float(covariance[4, 4]), 0.0)))
    found: dict[str, Any] = {
        "error": error,
        "split": split,
        "mismatch": float(-parameters[5] / (1 + parameters[5] / 2)),
        "moire_px": _shortest(peaks[1, :2] - peaks[0, :2]),
        "peaks": peaks,
    }
    share = float(power[1] / power[0])
    clear = float(power[1] / (9 * left)) if left > 0 else math.inf
    if share < _LEAST_SHARE or clear < _LEAST_CLEAR:
        return _unresolved(
            f"only one lattice is seen: a second one would have {share:.2g} of its power and stand "
            f"{clear:.2g} times above the residual"
        )
    if split < LEAST_SPLIT:
        return _unresolved(
            f"the layers' peaks on the first ring stand {split:.2f} coefficients apart, below {LEAST_SPLIT}: "
            "not twisted, or the image is too small",
            **found,
        )
    largest = _LARGEST_ERROR[split >= CLEAR_SPLIT]
    if error > largest:
        return _unresolved(
            f"the standard error is {error:.3f} degrees, above {largest}, with peaks {split:.2f} "
            "coefficients apart",
            **found,
        )
    return Twist(abs(math.degrees(twist)), "", **found)


def _shortest(reciprocal: np.ndarray) -> float:
    """Return the length of the shorter vector of the moire whose reciprocal vectors are in the rows."""
    determinant = abs(float(np.linalg.det(reciprocal)))
    if determinant < 1e-12:
        return math.inf
    return float(np.linalg.norm(np.linalg.inv(reciprocal), axis=0).min())


def _by_search(block: Block, frequency: float) -> Twist:
    """Turn one set of peaks until it lies nearest to the other, as in Fig. S21."""
    power = np.abs(block.values) ** 2
    inner = power[1:-1, 1:-1]
    around = np.stack([np.roll(power, step, (0, 1))[1:-1, 1:-1] for step in _EIGHT])
    rows, cols = np.nonzero((inner > around.max(0)) & (inner > 0.02 * _ring_maximum(power, block, frequency)))
    numbers = np.stack([rows, cols], axis=1) + 1
    places = (numbers + _vertex(power, numbers) - block.radius) / block.shape
    radius = np.hypot(*places.T)
    on_ring = np.abs(radius / frequency - 1) < MISFIT + 0.5 / (frequency * float(np.min(block.shape)))
    places, numbers = places[on_ring], numbers[on_ring]
    strongest = np.argsort(-power[numbers[:, 0], numbers[:, 1]], kind="stable")[:12]
    places = places[strongest]
    if len(places) < 12:
        return _unresolved(
            f"the first ring has {len(places)} peaks and two layers have 12: they are not parted"
        )
    angle = np.degrees(np.arctan2(-places[:, 0], places[:, 1])) % 360
    order = np.argsort(angle)
    gaps = np.diff(np.append(angle[order], angle[order[0]] + 360))
    # Neighbours on the ring are pairs: start behind the widest gap, so that no pair is torn.
    order = np.roll(order, -(int(np.argmax(gaps)) + 1))
    first, second = places[order[0::2]], places[order[1::2]]
    trials = np.arange(0.0, 30.0, 0.01)
    distances = []
    tree = cKDTree(second)
    for turn in np.radians(trials):
        rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        distances.append(float(tree.query(first @ rotation)[0].mean()))
    best = int(np.argmin(distances))
    split = float(np.mean(np.linalg.norm((second - first) * block.shape, axis=1)))
    peaks = np.full((2, 9, 2), math.nan)
    peaks[:, :6] = first, second
    between = (second - first)[:2]
    return Twist(float(trials[best]), "", math.nan, split, math.nan, _shortest(between), peaks)


def _ring_maximum(power: np.ndarray, block: Block, frequency: float) -> float:
    rows, cols = (np.arange(-n, n + 1) / m for n, m in zip(block.radius, block.shape, strict=True))
    radius = np.hypot(rows[:, None], cols[None, :])
    return float(power[np.abs(radius / frequency - 1) < MISFIT].max())


def _vertex(power: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return sub-coefficient offsets (n, 2) of maxima, by parabolas through three logarithms."""
    log = np.log(np.maximum(power, np.finfo(float).tiny))
    r, c = numbers.T
    top = log[r, c]
    result = []
    for before, after in ((log[r - 1, c], log[r + 1, c]), (log[r, c - 1], log[r, c + 1])):
        bend = before - 2 * top + after
        result.append(np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0))
    return np.stack(result, axis=1)
