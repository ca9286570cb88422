from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.backends import same_home

from motifgpu import simulate
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import rotate_moments, zernike_moments
from motifgpu.figures.distortion import plot_distortion
from motifgpu.reconstruction.profiles import distortion, line_profile


def blob(sigma: float = 3.0, side: int = 41) -> np.ndarray:
    r = np.arange(side) - side // 2
    return np.exp(-(r[:, None] ** 2 + r**2) / (2 * sigma**2))


def test_profile_through_a_column_is_its_section(xp_array: Callable[[Any], Any]) -> None:
    there = xp_array(blob().astype("float32"))
    distance, values = line_profile(there, (20, 5), (20, 35))
    assert same_home(values, there)
    expected = np.exp(-((to_numpy(distance) - 15) ** 2) / 18)
    np.testing.assert_allclose(to_numpy(values), expected, atol=2e-4)
    assert float(distance[-1]) == pytest.approx(30)
    assert float(distance[1]) <= 0.5


def test_profile_of_a_slanting_line_and_its_width() -> None:
    distance, values = line_profile(blob(), (8, 8), (32, 32))
    assert distance[np.argmax(values)] == pytest.approx(12 * np.sqrt(2), abs=0.3)
    _, wide = line_profile(blob(), (8, 8), (32, 32), width=7.0)
    across = np.arange(-3, 4)
    assert wide.max() == pytest.approx(np.exp(-(across**2) / 18).mean(), rel=2e-3)


def test_profiles_tell_what_fills_a_pentagon() -> None:
    """As in Fig. S16: a vanadium column in the middle is lower than molybdenum, a hollow one has none."""
    truth = simulate.tiling(counts=30.0, seed=2)
    patches, inside = extract_patches(truth.image, truth.centers, 41)
    states = truth.states[inside]
    middle = {}
    for state in (0, 1, -1):
        _, values = line_profile(patches[states == state].mean(axis=0), (20, 10), (20, 30), width=3.0)
        middle[state] = values[len(values) // 2]
    assert middle[0] < 0.5 * middle[-1] < 0.3 * middle[1]


def test_distortion_finds_the_direction_of_change(xp_array: Callable[[Any], Any]) -> None:
    rng = np.random.default_rng(0)
    base, change = rng.normal(size=(2, 66))
    amount = rng.normal(size=80)
    moments = 3 * base + 0.1 * amount[:, None] * change
    moments = rotate_moments(moments, rng.uniform(0, 360, 80))
    there = xp_array(moments.astype("float32"))
    found = distortion(there)
    assert same_home(found.scores, there)
    assert found.scores.shape == (80, 2)
    assert found.explained[0] > 0.9
    assert abs(np.corrcoef(to_numpy(found.scores)[:, 0], amount)[0, 1]) > 0.98


def test_distortion_of_hollow_pentagons() -> None:
    """Pentagons of a strained half differ from those of the other half."""
    truth = simulate.tiling(np.zeros((2, 2), int), counts=None, disorder=0.0)
    strained = simulate.tiling(np.zeros((2, 2), int), counts=None, disorder=0.06, seed=1)
    scatter = []
    for each in (truth, strained):
        patches, inside = extract_patches(each.image, each.centers, 46)
        found = distortion(zernike_moments(patches), 3)
        scatter.append(np.std(found.scores[:, 0]))
        ax = plot_distortion(each.centers[inside], found.scores, each.image)
        ax.figure.canvas.draw()
        assert len(ax.collections[0].get_offsets()) == inside.sum()
        assert (np.diff(found.explained) <= 0).all()
    assert scatter[1] > 3 * scatter[0]
    plot_distortion(truth.centers[:5], np.zeros((5, 1))).figure.canvas.draw()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: line_profile(blob(), (5, 5), (5, 5)), "from \\(5, 5\\) to \\(5, 5\\)"),
        (lambda: line_profile(blob(), (5, 5), (5, 50)), "in a picture of \\(41, 41\\) px"),
        (lambda: line_profile(blob(), (5, np.nan), (5, 20)), "two different places"),
        (lambda: line_profile(blob(), (5, 5), (9, 9), width=0), "width is 0"),
        (lambda: line_profile(np.full((9, 9), np.nan), (1, 1), (3, 3)), "81 of 81 values"),
        (lambda: distortion(np.zeros((1, 66))), "there are 1 units"),
        (lambda: distortion(np.zeros((4, 66)), 36), "components is 36; give a whole number from 1 to 35"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(StageError, match=f"^profiles: .*{message}"):
        call()
