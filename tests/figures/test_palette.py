"""Colours of motifs are told apart, whoever looks at them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from motifgpu.figures.palette import (
    SHAPES,
    UNASSIGNED,
    environment_color,
    motif_color,
    motif_shape,
)

# What is seen of linear sRGB (G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, 2009, table of severity 1).
SIGHT = {
    "normal": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    "protanope": (
        *(0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216),
        *(-0.003882, -0.048116, 1.051998),
    ),
    "deuteranope": (
        *(0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413),
        *(-0.01182, 0.04294, 0.968881),
    ),
    "tritanope": (
        *(1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602),
        *(0.004733, 0.691367, 0.3039),
    ),
}
LEAST = 10.0


def linear(color: str) -> np.ndarray:
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def seen(color: str, sight: str) -> np.ndarray:
    """Return a color in CIELAB as somebody sees it."""
    rgb = np.clip(np.reshape(SIGHT[sight], (3, 3)) @ linear(color), 0, 1)
    rgb = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)
    return rgb2lab(rgb)


def difference(one: str, other: str, sight: str) -> float:
    return float(deltaE_ciede2000(seen(one, sight), seen(other, sight)))


@pytest.mark.parametrize("sight", SIGHT)
def test_any_two_of_eight_motifs_and_the_unassigned_are_told_apart(sight: str) -> None:
    colors = [motif_color(label) for label in range(-1, 8)]
    assert colors[0] == UNASSIGNED
    assert min(difference(a, b, sight) for a, b in combinations(colors, 2)) >= LEAST


def test_the_test_finds_colours_that_are_not() -> None:
    """A blue and a violet that a deuteranope does not tell apart."""
    assert difference("#2F7FD8", "#9B5DE5", "normal") > LEAST
    assert difference("#2F7FD8", "#9B5DE5", "deuteranope") < 3


def test_beyond_eight_the_shape_tells() -> None:
    looks = {(motif_color(label), SHAPES[motif_shape(label)]) for label in range(8 * len(SHAPES))}
    assert len(looks) == 8 * len(SHAPES)
    assert {marker for marker, _ in SHAPES}.isdisjoint({"s", "x"})  # empty sites, and columns without a patch


def test_they_stand_on_a_white_page_and_on_a_dark_micrograph() -> None:
    for label in range(8):
        light = float(linear(motif_color(label)) @ [0.2126, 0.7152, 0.0722])
        assert 1.05 / (light + 0.05) > 1.9
        assert (light + 0.05) / 0.05 > 3


def test_environments_have_colours_of_their_own() -> None:
    colors = [environment_color(label) for label in range(40)]
    assert len(set(colors)) == 40
    assert set(colors).isdisjoint({motif_color(label) for label in range(-1, 8)})
    assert environment_color(-1) == UNASSIGNED
