"""Zernike functions on the pixels of a disc: values, how well pixels distinguish them, pseudo-inverse.

Everything here is a small float64 constant of the host. A grid is given by its `width` in pixels and the
diameter `span` of the disc centred in it, also in pixels; patches have a span equal to their width.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np

from motifgpu.core.errors import StageError

MAX_ORDER = 100  # as far as the recurrence is tested
# Pixels across the disc when patterns are drawn from moments on the host. The narrowest length there, 0.08
# patch radii by which neighbours are searched for, is 2.6 of them.
PICTURE = 64
MAX_CONDITION = 10.0  # of the functions on the pixels: by how much noise may grow


def n_moments(order: int) -> int:
    """Return how many Zernike functions there are up to an order."""
    return (order + 1) * (order + 2) // 2


def indices(order: int) -> np.ndarray:
    """Return (p, q) of each function as an array (n_moments, 2)."""
    return np.array([(p, q) for p in range(order + 1) for q in range(-p, p + 1, 2)], dtype=np.int64)


def pixels(width: int, span: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the pixels in the disc."""
    k = 2 * np.arange(width) + 1 - width  # twice the offset from the centre: whole, so the rim is exact
    rows, cols = np.nonzero((k[:, None] ** 2 + k**2) <= span**2)
    return rows, cols


@functools.lru_cache(maxsize=2)
def values(order: int, width: int, span: float) -> np.ndarray:
    """Return the functions (n_moments, n_pixels) on the pixels of the disc.

    With t = 2 rho^2 - 1 and q >= 0 the radial part is rho^q P_k^(0, q)(t), k = (p - q) / 2. The Jacobi
    polynomials P come from their three-term recurrence and rho^q cos(q theta), rho^q sin(q theta) from
    powers of x + iy.
    """
    rows, cols = pixels(width, span)
    x = (2 * cols + 1 - width) / span
    y = -(2 * rows + 1 - width) / span
    t = 2.0 * (x * x + y * y) - 1.0
    result = np.empty((n_moments(order), x.size))
    cosine, sine = np.ones_like(x), np.zeros_like(x)
    for q in range(order + 1):
        before, jacobi = np.zeros_like(x), np.ones_like(x)
        for k in range((order - q) // 2 + 1):
            m = 2 * k + q
            if k == 1:
                before, jacobi = jacobi, 1.0 + 0.5 * (q + 2) * (t - 1.0)
            elif k > 1:
                following = (m - 1) * (m * (m - 2) * t - q * q) * jacobi - 2 * (k - 1) * (
                    k + q - 1
                ) * m * before
                before, jacobi = jacobi, following / (2 * k * (k + q) * (m - 2))
            norm = math.sqrt(2 * (m + 1) / (1 + (q == 0)))
            if q:
                result[(m * (m + 2) - q) // 2] = norm * jacobi * sine
            result[(m * (m + 2) + q) // 2] = norm * jacobi * cosine
        cosine, sine = x * cosine - y * sine, x * sine + y * cosine
    result.flags.writeable = False
    return result


def _parity_blocks(order: int, width: int, span: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield sets of functions of one parity with their values on the disc's pixels.

    The grid is its own mirror image in x and in y, so functions of different parity are orthogonal on it.
    """
    everything = values(order, width, span)
    q = indices(order)[:, 1]
    for sine, odd in itertools.product((False, True), (0, 1)):
        members = np.flatnonzero(((q < 0) == sine) & (q % 2 == odd))
        if members.size:
            yield members, everything[members]


@functools.lru_cache(maxsize=256)
def condition_number(order: int, width: int, span: float) -> float:
    """Return the condition number of the functions on the pixels, infinite if they are dependent."""
    if n_moments(order) > pixels(width, span)[0].size:
        return math.inf
    blocks = _parity_blocks(order, width, span)
    spectrum = np.concatenate([np.linalg.eigvalsh(block @ block.T) for _, block in blocks])
    low, high = spectrum.min(), spectrum.max()
    return math.sqrt(high / low) if low > 1e-14 * high else math.inf


def highest_order(width: int, span: float, max_order: int) -> int:
    """Return the highest order, at most `max_order`, of an acceptable condition number."""
    low, high = 0, max_order
    while low < high:  # more functions can only make the condition worse
        middle = (low + high + 1) // 2
        acceptable = condition_number(middle, width, span) <= MAX_CONDITION
        low, high = (middle, high) if acceptable else (low, middle - 1)
    return low


def sufficient_size(order: int) -> int:
    """Return about the smallest patch of acceptable condition, by a rule that holds for orders up to 50."""
    return math.ceil(order**2 / 11 + order / 2) + 1


def check_condition(order: int, width: int, span: float) -> None:
    """Refuse a grid that does not distinguish the functions.

    Raises
    ------
    StageError
        If the condition number is above 10; the message holds an order and a size that would do.
    """
    condition = condition_number(order, width, span)
    if condition > MAX_CONDITION:
        usable, size = highest_order(width, span, order), sufficient_size(order)
        problem = f"order {order} has condition number {condition:.3g} on a disc of {span:g} px"
        remedy = f"take order {usable} or less, or resample to {size} px (extract_patches with side)"
        raise StageError("zernike", f"{problem}, above {MAX_CONDITION:g}", remedy)


def pseudo_inverse(order: int, width: int, span: float) -> np.ndarray:
    """Return the pseudo-inverse (n_moments, width, width) of the functions, zero outside the disc."""
    rows, cols = pixels(width, span)
    inverse = np.zeros((n_moments(order), width, width))
    # The Gram matrix serves as well as a decomposition of the functions: its condition is 100 at most.
    for members, block in _parity_blocks(order, width, span):
        inverse[members[:, None], rows, cols] = np.linalg.inv(block @ block.T) @ block
    return inverse
