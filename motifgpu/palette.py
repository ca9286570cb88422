"""One colour per motif, the same in every figure and in the report."""

from __future__ import annotations

import colorsys

# The first eight stay apart for colour-blind readers (after Okabe and Ito, black left out, grey kept for -1).
_FIRST = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#8C564B")
UNASSIGNED = "#9A9A9A"


def motif_color(label: int) -> str:
    """Return the colour of a motif as ``#rrggbb``.

    Parameters
    ----------
    label : int
        The motif's label; -1 (unassigned) is grey. Labels beyond the eighth take hues a golden angle apart in
        two lightnesses.

    Returns
    -------
    str
    """
    if label < 0:
        return UNASSIGNED
    if label < len(_FIRST):
        return _FIRST[label]
    step = label - len(_FIRST)
    red, green, blue = colorsys.hls_to_rgb((0.08 + 0.381966 * step) % 1.0, (0.42, 0.66)[step % 2], 0.62)
    return f"#{round(255 * red):02X}{round(255 * green):02X}{round(255 * blue):02X}"
