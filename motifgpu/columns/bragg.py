"""Bragg peaks of a micrograph: points of its power spectrum that belong to two-dimensional lattices.

A lattice makes points in the plane of frequencies, and the sum of two of its frequencies is a third. What a
scan does to noise makes lines there, what an amorphous film or a gradient does makes slopes and rings, and
interference that is picked up makes points that are no sums of others. So a point is held against the power
along its row, its column and a small circle around it, and is a Bragg peak if it is the sum or the difference
of two others that are not in line with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.core.on_points import positions, values_at

# Power over that of the noise around, at the two strongest points of a triple and at the third. The power of
# noise is distributed exponentially: one image of 256 x 256 px in twenty has a point of the first, and none
# in hundreds a triple, but for harmonics of interference and text in a typewriter's letters.
CLEAR, FAINT = 12.0, 7.0
# Two points that are alike in length and about at right angles are a square lattice whose third point is lost
# in noise, if both reach this.
_ALONE, _ALIKE, _RIGHT = 20.0, 0.15, 0.8
# Coefficients of a block along a row or a column, and the quantile of it that is taken for noise: Bragg peaks
# of four periods across the image leave as many between them.
_BLOCK, _QUANTILE = 16, 0.25
# Radii of the circle around a point, coefficients: beyond the main lobe of the Hann window.
_CIRCLE = (3.5, 5.0)
# Coefficients to each side of a point of which it is the highest.
_BESIDE = np.arange(-2, 3)
# Steps along the ring that a point lies on, coefficients: an amorphous film has power all along it.
_ARC = np.array([-7.0, -6.0, -5.0, -4.0, -3.0, 3.0, 4.0, 5.0, 6.0, 7.0])
# Fewest periods across the image, and how far a sum may be off its point, coefficients.
_LOWEST, _OFF = 3.0, 1.6
# Least sine between the frequencies of a triple: below it they are in line.
_LEAST_SINE = 0.2
# Points that are looked at, the strongest first.
_MOST = 64
# Harmonics of interference in time come back at other frequencies, since pixels and rows are samples, and
# three of them may be a triple; in a lattice of few points that is no chance.
_HARMONICS, _FEW = (2, 3, 4, 5), 4


@dataclass(frozen=True)
class BraggPeaks:
    """Bragg peaks of an image, one of each pair of opposite ones, the strongest first; arrays on the host.

    Attributes
    ----------
    frequency : (k, 2) float64 ndarray
        Along rows and along columns, cycles per pixel.
    power : (k,) float64 ndarray
    clearness : (k,) float64 ndarray
        Power over that of the noise around.
    strongest : float
        Clearness of the clearest point of the spectrum, Bragg peak or not; 0 where there is none.
    """

    frequency: np.ndarray
    power: np.ndarray
    clearness: np.ndarray
    strongest: float

    def __len__(self) -> int:
        return len(self.power)

    @property
    def radius(self) -> np.ndarray:
        """|f| of each, cycles per pixel."""
        radius: np.ndarray = np.hypot(self.frequency[:, 0], self.frequency[:, 1])
        return radius

    def joined(self, other: BraggPeaks, apart: np.ndarray) -> BraggPeaks:
        """Return these and those of `other` that are further than `apart` (2,), cycles per pixel."""
        both = np.concatenate([self.frequency, -self.frequency])
        away = np.abs(other.frequency[:, None, :] - both[None]) / apart
        new = (away.max(axis=2) > 1).all(axis=1)
        return BraggPeaks(
            np.concatenate([self.frequency, other.frequency[new]]),
            np.concatenate([self.power, other.power[new]]),
            np.concatenate([self.clearness, other.clearness[new]]),
            max(self.strongest, other.strongest),
        )


def bragg_peaks(power: Array, shape: tuple[int, int], stricter: float = 1.0) -> list[BraggPeaks]:
    """Find the Bragg peaks in the power spectra of real images.

    Parameters
    ----------
    power : (n, H, W // 2 + 1) array
        Of each image in a Hann window.
    shape : (int, int)
        Of an image.
    stricter : float
        By how much the least clearness is higher than usual.

    Returns
    -------
    list of BraggPeaks
        None of them where there is no two-dimensional lattice.
    """
    points = _points(power, shape)
    found = []
    for image in range(power.shape[0]):
        place, strength, clearness = (x[points[0] == image] for x in points[1:])
        order = np.argsort(-clearness, kind="stable")[:_MOST]
        place, strength, clearness = place[order], strength[order], clearness[order] / stricter
        lattice = _of_lattices(place, clearness)
        if 0 < lattice.sum() <= _FEW:
            lattice &= ~_harmonics(place, shape)
            lattice[lattice] = _of_lattices(place[lattice], clearness[lattice])
        strongest = float(clearness.max(initial=0.0))
        clearness = stricter * clearness
        frequency = place[lattice] / np.array(shape)
        found.append(BraggPeaks(frequency, strength[lattice], clearness[lattice], strongest))
    return found


def _points(power: Array, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Return number of the image (n,), place (n, 2) in coefficients, power and clearness (n,) of all points.

    Of each spectrum half the plane is looked at.
    """
    xp = namespace.array_namespace(power)
    rows, reach = power.shape[1], min(math.ceil(_CIRCLE[-1]), power.shape[2] - 1)
    opposite = namespace.from_numpy((-np.arange(rows)) % rows, power)
    mirrored = xp.flip(xp.take(power, opposite, axis=1)[:, :, 1 : reach + 1], axis=2)
    plane = xp.fft.fftshift(xp.concat([mirrored, power], axis=2), axes=(1,))
    width, flat_plane = plane.shape[2], xp.reshape(plane, (-1,))
    floor = xp.maximum(_noise_along(plane, 1), _noise_along(plane, 2))
    # Of an image without noise there is rounding.
    floor = xp.maximum(floor, xp.max(plane, axis=(1, 2), keepdims=True) * 1e-12)
    floor = xp.reshape(floor, (-1,))
    flat = positions(flat_plane >= FAINT * floor)
    image, flat = np.divmod(flat, rows * width)
    place = np.stack([flat // width - rows // 2, flat % width - reach], axis=1)
    radius = np.hypot(place[:, 0], place[:, 1])
    within = np.hypot(place[:, 0] / shape[0], place[:, 1] / shape[1]) <= 0.5
    half = (place[:, 1] > 0) | ((place[:, 1] == 0) & (place[:, 0] > 0))
    kept = half & within & (radius >= _LOWEST)
    image, place, radius = image[kept], place[kept], radius[kept]

    def at(row: np.ndarray, col: np.ndarray) -> np.ndarray:
        """Where in the spectra centred coefficients (n, s) of each image (n,) are."""
        row, col = np.clip(row + rows // 2, 0, rows - 1), np.clip(col + reach, 0, width - 1)
        where: np.ndarray = row * width + col + (image * rows * width)[:, None]
        return where

    def around(steps: np.ndarray) -> np.ndarray:
        """Where the coefficients at some steps (n, s, 2) from each point are."""
        there = np.rint(place[:, None, :] + steps).astype(np.int64)
        beyond = there[:, :, 1] < -reach  # where the opposite coefficient is held
        there[beyond] = -there[beyond]
        row = (there[:, :, 0] + rows // 2) % rows - rows // 2
        return at(row, there[:, :, 1])

    def noise_of(values: np.ndarray) -> np.ndarray:
        """Noise by the median of the power (n, s) around each point."""
        ordered = np.sort(values, axis=1)
        half = ordered.shape[1] // 2
        middle: np.ndarray = (ordered[:, half - 1] + ordered[:, half]) / (2 * math.log(2))
        return middle

    # Of those side by side the highest.
    down, right = (step.reshape(-1) for step in np.meshgrid(_BESIDE, _BESIDE, indexing="ij"))
    beside = at(place[:, :1] + down, place[:, 1:] + right)
    near = values_at(flat_plane, beside).astype(np.float64)
    strength = near[:, len(down) // 2]
    highest = near.max(axis=1) == strength
    image, place, radius, strength = (x[highest] for x in (image, place, radius, strength))
    angles = np.arange(12) * (np.pi / 6)
    circle = np.concatenate([r * np.stack([np.sin(angles), np.cos(angles)], axis=1) for r in _CIRCLE])
    angles = _ARC / radius[:, None]
    arc = (np.cos(angles) - 1)[:, :, None] * place[:, None, :]
    arc = arc + np.sin(angles)[:, :, None] * np.stack([-place[:, 1], place[:, 0]], axis=1)[:, None, :]
    own = math.prod(plane.shape) + at(place[:, :1], place[:, 1:])
    where = np.concatenate([own, around(circle[None]), around(arc)], axis=1)
    held = values_at(xp.concat([flat_plane, floor]), where).astype(np.float64)
    noise = np.maximum(noise_of(held[:, 1 : 1 + len(circle)]), noise_of(held[:, 1 + len(circle) :]))
    noise = np.maximum(noise, held[:, 0])
    # Of an image without noise some of this is infinite, and what is not a number is not clear.
    with np.errstate(divide="ignore", invalid="ignore"):
        clearness = strength / noise
    clear = clearness >= FAINT
    return image[clear], place[clear], strength[clear], clearness[clear]


def _noise_along(plane: Array, axis: int) -> Array:
    """Power of the noise along axis 1 or 2: the larger of low quantiles of the two nearest blocks."""
    xp = namespace.array_namespace(plane)
    lines = plane if axis == 1 else xp.permute_dims(plane, (0, 2, 1))
    images, length, across = lines.shape
    block = min(_BLOCK, length)
    number = length // block
    first = (length - number * block) // 2
    blocks = xp.reshape(lines[:, first : first + number * block, :], (images, number, block, across))
    ranked = xp.sort(blocks, axis=2, stable=False)
    lower = max(int(_QUANTILE * block) - 1, 0)
    # The mean of the order statistics of exponentially distributed values.
    share = sum(1 / (block - i) for i in range(lower + 1)) + 0.5 / (block - lower - 1)
    quantile = (ranked[:, :, lower, :] + ranked[:, :, lower + 1, :]) / (2 * share)
    position = (np.arange(length) - first) / block - 0.5
    between = xp.maximum(quantile[:, 1:, :], quantile[:, :-1, :])
    between = xp.concat([quantile[:, :1, :], between, quantile[:, -1:, :]], axis=1)
    nearest = np.clip(np.floor(position).astype(np.int64) + 1, 0, number)
    noise = xp.take(between, namespace.from_numpy(nearest, plane), axis=1)
    return noise if axis == 1 else xp.permute_dims(noise, (0, 2, 1))


def _of_lattices(place: np.ndarray, clearness: np.ndarray) -> np.ndarray:
    """Say which points (n,) are part of a triple, one the sum of the others, that spans two dimensions."""
    number = len(place)
    member = np.zeros(number, bool)
    if number >= 3:
        both = np.concatenate([place, -place]).astype(np.float64)
        one, other = np.triu_indices(2 * number, 1)
        one, other = one[one < number], other[one < number]
        # Those without a change along rows may be lines of the scan, or of a text.
        clear = np.tile((clearness >= CLEAR) & (place[:, 1] > _OFF), 2).astype(int)
        possible = (clear[one] + clear[other] > 0) & (_sine(both[one], both[other]) >= _LEAST_SINE)
        one, other = one[possible], other[possible]
        total = both[one] + both[other]
        away, third = cKDTree(both).query(total, p=np.inf, distance_upper_bound=_OFF)
        one, other, total, third = (x[np.isfinite(away)] for x in (one, other, total, third))
        strong = clear[one] + clear[other] + clear[third] >= 2
        sine = np.minimum(_sine(both[one], total), _sine(both[other], total))
        for x in (one, other, third):
            member[x[strong & (sine >= _LEAST_SINE)] % number] = True
    for i in np.flatnonzero(clearness >= _ALONE):
        length = np.hypot(place[:, 0], place[:, 1])
        alike = np.abs(np.log(length / length[i])) <= _ALIKE
        alike &= (clearness >= _ALONE) & (_sine(place[i], place) >= _RIGHT)
        if alike.any():
            member |= alike
            member[i] = True
    return member


def _sine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sine of the angle between vectors, without sign."""
    cross = np.abs(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
    lengths = np.hypot(a[..., 0], a[..., 1]) * np.hypot(b[..., 0], b[..., 1])
    sine: np.ndarray = cross / np.maximum(lengths, 1e-9)
    return sine


def _harmonics(place: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Say which points (n,) are interference: another's multiple but for whole cycles a pixel or a row."""
    found = np.zeros(len(place), bool)
    both = np.concatenate([place, -place])
    for times in _HARMONICS:
        cycles = np.rint(times * place / np.array(shape)).astype(int)
        rest = times * place - cycles * np.array(shape)
        away = np.abs(both[None, :, :] - rest[:, None, :]).max(axis=2)
        same = np.minimum(away[:, : len(place)], away[:, len(place) :]) <= _OFF
        same &= cycles.any(axis=1)[:, None] & ~np.eye(len(place), dtype=bool)
        found |= same.any(axis=0) | same.any(axis=1)
    return found
