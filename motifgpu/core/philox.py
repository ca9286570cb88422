"""Philox4x32-10: random words that are counted, not drawn.

A counter gives its four words to whoever asks, in any order and on any device (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", SC 2011).
"""

from __future__ import annotations

import numpy as np

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], np.uint64)


def philox(counters: np.ndarray, seed: int) -> np.ndarray:
    """Return the four random words of every counter.

    Parameters
    ----------
    counters : (n, 4) array of integers from 0 to 2^32 - 1
    seed : int
        From 0 to 2^64 - 1; its low and high 32 bits are the key.

    Returns
    -------
    (n, 4) uint32 ndarray
    """
    a, b, c, d = np.asarray(counters).astype(np.uint64).T
    key = np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint64)
    for _ in range(10):
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (
            (second >> _HALF) ^ b ^ key[0],
            second & _LOW,
            (first >> _HALF) ^ d ^ key[1],
            first & _LOW,
        )
        key = (key + _WEYL) & _LOW
    return np.stack([a, b, c, d], axis=1).astype(np.uint32)
