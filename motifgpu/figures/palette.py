"""One colour per motif, the same in every figure and in the report."""

from __future__ import annotations

import colorsys

# Mid-tones that stand on a white page and on a dark micrograph.
_FIRST = ("#2F7FD8", "#F0A000", "#1FA774", "#E5383B", "#9B5DE5", "#22B8CF", "#F15BB5", "#8A6D1B")
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
