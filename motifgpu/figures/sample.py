"""Which columns are drawn where there are more than a browser or a movie can show."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu.core.namespace import to_numpy

LIMIT = 20_000  # columns drawn: what a browser redraws in a blink
_EVEN = 0.5  # of the drawn columns are shared out evenly over motifs before the rest goes by size


def drawn_columns(labels: Any, limit: int = LIMIT, seed: int = 0) -> np.ndarray:
    """Choose which columns are drawn where there are more than can be, rare motifs first.

    Half of the places are shared out evenly over the motifs, so that small ones are kept whole; the rest goes
    to the others by their size. Within a motif the choice is random. Rare motifs come last, to be drawn on
    top.

    Parameters
    ----------
    labels : (n,) int array
        Motif of each column.
    limit : int
        Most columns drawn.
    seed : int
        Of the choice.

    Returns
    -------
    (min(n, limit),) int64 ndarray
        Rows by falling size of their motif, and in rising order within it.
    """
    labels = to_numpy(labels)
    _, motif, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_size = np.lexsort((motif, -counts[motif]))
    if len(labels) <= limit:
        return by_size
    even = np.minimum(counts, _even_share(counts, int(_EVEN * limit)))
    rest = counts - even
    share = (limit - even.sum()) * rest / rest.sum()
    quota = even + np.floor(share).astype(np.int64)
    # What rounding down left over goes to the largest remainders.
    quota[np.argsort(np.floor(share) - share, kind="stable")[: limit - quota.sum()]] += 1
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    shuffled = shuffled[np.argsort(motif[shuffled], kind="stable")]
    within = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.zeros(len(labels), bool)
    chosen[shuffled[within < np.repeat(quota, counts)]] = True
    return by_size[chosen[by_size]]


def _even_share(counts: np.ndarray, total: int) -> int:
    """Return the largest t for which the sum of min(count, t) is at most `total`."""
    for k, count in enumerate(ordered := np.sort(counts)):
        if count * (len(ordered) - k) > total:
            return total // (len(ordered) - k)
        total -= int(count)
    return int(ordered[-1])
