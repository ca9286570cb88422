"""Functions on a disc, and the least-squares projection of patches on them.

What the bases for comparison share. The convention is that of `motifgpu.features.zernike`: a patch of s x s
pixels has its pixel centres at ``(2k + 1 - s) / s``, x along +col and y along -row; the disc is what lies
within radius 1; functions have a mean square of 1 over it, the first is 1 everywhere, and a sine has a
negative q.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.features import disc

STAGE = "bases"


class DiscBasis(ABC):
    """A family of functions on the disc, ordered such that those of an order begin those of the next.

    Attributes
    ----------
    name : str
        How messages call it.
    """

    name: str

    @abstractmethod
    def count(self, order: int) -> int:
        """Return how many functions there are up to an order."""

    @abstractmethod
    def indices(self, order: int) -> np.ndarray:
        """Return (p, q) of each function, (count, 2) int64."""

    @abstractmethod
    def radial(self, p: int, q: int, rho: np.ndarray) -> np.ndarray:
        """Return the radial part, 1 at the rim, for q >= 0 at the radii `rho` (n,)."""

    @abstractmethod
    def mean_square(self, p: int, q: int) -> float:
        """Return the mean square of the radial part over the disc, for q >= 0."""

    def values(self, order: int, size: int) -> np.ndarray:
        """Return the functions (count, n_pixels) on the pixels of the disc."""
        rows, cols = disc.pixels(size, size)
        x, y = (2 * cols + 1 - size) / size, -(2 * rows + 1 - size) / size
        rho, theta = np.hypot(x, y), np.arctan2(y, x)
        pairs = [(int(p), int(q)) for p, q in self.indices(order)]
        radial = {
            (p, q): self.radial(p, q, rho) / math.sqrt(self.mean_square(p, q) / (1 if q == 0 else 2))
            for p, q in pairs
            if q >= 0
        }
        angular = {q: np.cos(q * theta) if q >= 0 else np.sin(-q * theta) for q in {q for _, q in pairs}}
        return np.stack([radial[p, abs(q)] * angular[q] for p, q in pairs])

    def basis(self, order: int, size: int) -> np.ndarray:
        """Return the functions (count, size, size) on a patch, zero outside the disc."""
        order, size = self._checked_order(order), _checked_size(size)
        rows, cols = disc.pixels(size, size)
        result = np.zeros((self.count(order), size, size))
        result[:, rows, cols] = self.values(order, size)
        return result

    def moments(self, patches: Array, order: int) -> Array:
        """Return the least-squares coefficients (n, count) of patches (n, s, s)."""
        order = self._checked_order(order)
        xp, patches = check_array(patches, STAGE, "patches", 3)
        n, size, width = patches.shape
        if size != width:
            raise StageError(
                STAGE, f"patches have shape {tuple(patches.shape)}", "give square ones, (n, s, s)"
            )
        projector = _projector(self, order, size)
        weights = namespace.as_like(projector, patches)
        average = namespace.as_like(_disc_mean(size), patches)
        flat = xp.reshape(patches, (n, size * size))
        result = xp.empty((n, self.count(order)), dtype=patches.dtype, device=namespace.device(patches))
        step = max(1, namespace.block_size(xp) // size**2)
        for begin in range(0, n, step):
            end = min(begin + step, n)
            part = flat[begin:end, :]
            # The mean is subtracted before and added after, so that it costs the others no digits.
            mean = xp.matmul(part, average)
            found = xp.matmul(part - mean, weights)
            found[:, :1] += mean
            result[begin:end, :] = found
        return result

    def reconstruct(self, moments: Array, size: int) -> Array:
        """Return the patches (n, size, size) that moments (n, count) describe, zero outside the disc."""
        size = _checked_size(size)
        xp, moments = check_array(moments, STAGE, "moments", 2)
        number = moments.shape[1]
        order = self.largest_order(number)
        if self.count(order) != number:
            raise StageError(
                STAGE,
                f"moments have shape {tuple(moments.shape)}, no whole order of {self.name} functions",
                f"give as many as an order has: {self.count(order)} or {self.count(order + 1)}",
            )
        functions = namespace.as_like(self.basis(order, size).reshape(number, -1), moments)
        return xp.reshape(xp.matmul(moments, functions), (moments.shape[0], size, size))

    def largest_order(self, number: int) -> int:
        """Return the highest order of which there are at most `number` functions."""
        order = 0
        while order < disc.MAX_ORDER and self.count(order + 1) <= number:
            order += 1
        return order

    def _checked_order(self, order: int) -> int:
        return check_integer(order, STAGE, "order", 0, disc.MAX_ORDER)


def _checked_size(size: int) -> int:
    return check_integer(size, STAGE, "size", 1)


def _disc_mean(size: int) -> np.ndarray:
    """Return the weights (size^2, 1) of the mean over the disc."""
    rows, cols = disc.pixels(size, size)
    weights = np.zeros((size, size))
    weights[rows, cols] = 1.0 / rows.size
    return weights.reshape(-1, 1)


@functools.lru_cache(maxsize=16)
def _projector(family: DiscBasis, order: int, size: int) -> np.ndarray:
    """Return the pseudo-inverse (size^2, count) of the functions, zero outside the disc.

    Raises
    ------
    StageError
        If their condition number on the pixels is above that which Zernike moments allow.
    """
    condition = _condition(family, order, size)
    if condition > disc.MAX_CONDITION:
        usable = order - 1
        while _condition(family, usable, size) > disc.MAX_CONDITION:
            usable -= 1
        raise StageError(
            STAGE,
            f"{family.name} functions of order {order} have condition number {condition:.3g} on patches of "
            f"{size} px, above {disc.MAX_CONDITION:g}",
            f"take order {usable} or less, or resample finer (extract_patches with side)",
        )
    rows, cols = disc.pixels(size, size)
    inverse = np.zeros((family.count(order), size, size))
    inverse[:, rows, cols] = np.linalg.pinv(family.values(order, size).T)
    return inverse.reshape(len(inverse), -1).T.copy()


def _condition(family: DiscBasis, order: int, size: int) -> float:
    """Return the condition number of the functions on the pixels, infinite if they are dependent."""
    if family.count(order) > disc.pixels(size, size)[0].size:
        return math.inf
    return float(np.linalg.cond(family.values(order, size).T))
