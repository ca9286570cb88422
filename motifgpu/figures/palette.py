"""One colour per motif, the same in every figure and in the report; one shape for every eight of them."""

from __future__ import annotations

import colorsys

# Found by search: any two of these and the grey differ by 12.6 or more in CIEDE2000, for normal sight and for
# protanopes, deuteranopes and tritanopes (G. M. Machado et al., IEEE Trans. Vis. Comput. Graph. 15, 1291,
# 2009); and they stand on a white page (contrast 1.9) and on a dark micrograph (3).
_COLORS = ("#0076CE", "#F2A100", "#24A46C", "#C61428", "#9694FF", "#AE3F88", "#22C9D3", "#CC6F0A")
UNASSIGNED = "#9A9A9A"
# Shapes of the first eight motifs, the next eight and so on, as Matplotlib and Bokeh call them. Squares are
# sites without an atom.
SHAPES = (("o", "circle"), ("D", "diamond"), ("^", "triangle"), ("v", "inverted_triangle"), ("P", "plus"))
_GOLDEN = 0.381966  # of a turn, by which hues of environments are apart


def motif_color(label: int) -> str:
    """Return the colour of a motif as ``#rrggbb``.

    Parameters
    ----------
    label : int
        The motif's label; -1 (unassigned) is grey. Labels beyond the eighth take hues a golden angle apart in
        two lightnesses; that they are not told apart so well is what `motif_shape` is for.

    Returns
    -------
    str
    """
    if label < 0:
        return UNASSIGNED
    if label < len(_COLORS):
        return _COLORS[label]
    step = label - len(_COLORS)
    return _hue(0.08 + _GOLDEN * step, (0.42, 0.66)[step % 2], 0.62)


def motif_shape(label: int) -> int:
    """Return the place in `SHAPES` of the shape of a motif: one for every eight, whose colours are apart."""
    return 0 if label < 0 else label // len(_COLORS) % len(SHAPES)


def environment_color(label: int) -> str:
    """Return the colour of an environment as ``#rrggbb``, which is that of no motif.

    Parameters
    ----------
    label : int
        Its number; -1 is grey. Hues are a golden angle apart, in three lightnesses.

    Returns
    -------
    str
    """
    if label < 0:
        return UNASSIGNED
    return _hue(0.75 + _GOLDEN * label, (0.6, 0.42, 0.74)[label % 3], 0.5)


def _hue(turn: float, lightness: float, saturation: float) -> str:
    red, green, blue = colorsys.hls_to_rgb(turn % 1.0, lightness, saturation)
    return f"#{round(255 * red):02X}{round(255 * green):02X}{round(255 * blue):02X}"


def label_color(kind: str, label: int) -> str:
    """Return the colour of a label of a motif, identity, domain or environment, by what it is of."""
    return environment_color(label) if kind == "environment" else motif_color(label)
