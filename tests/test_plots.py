from __future__ import annotations

import colorsys

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from motifgpu import Analysis, Micrograph, analyze, plots, simulate
from motifgpu.palette import UNASSIGNED, motif_color


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    truth = simulate.monolayer("MoSe2", (192, 260), counts=30, vacancies=0.05, seed=5)
    return analyze(Micrograph(truth.image, truth.pixel_size_nm))


def test_colours_differ_and_grey_is_unassigned() -> None:
    colors = [motif_color(i) for i in range(16)]
    assert len(set(colors)) == 16
    assert motif_color(-1) == UNASSIGNED
    lab = np.array([colorsys.rgb_to_yiq(*to_rgb(color)) for color in colors[:8]])
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1) + 9 * np.eye(8)
    assert distance.min() > 0.15


def test_one_colour_a_motif_in_every_figure(analysis: Analysis) -> None:
    image = plots.plot_micrograph(analysis)
    layout = plots.plot_layout(analysis)
    labels = sorted(set(analysis.motifs.labels.tolist()))
    expected = {motif_color(label).lower() for label in labels}
    rings = {to_hex(c) for s in image.collections for c in s.get_edgecolors() if len(s.get_offsets())}
    dots = {to_hex(c) for s in layout.collections for c in s.get_facecolors() if s.get_label()[0] != "_"}
    assert expected <= rings
    assert expected == dots
    frames = {to_hex(a.spines["left"].get_edgecolor()) for a in plots.plot_class_averages(analysis).axes}
    assert expected <= frames


def test_every_column_is_drawn_once(analysis: Analysis) -> None:
    drawn = sum(len(s.get_offsets()) for s in plots.plot_micrograph(analysis).collections)
    assert drawn == len(analysis.columns)
    layout = [s for s in plots.plot_layout(analysis).collections if s.get_zorder() == 2]
    assert sum(len(s.get_offsets()) for s in layout) == len(analysis.points)


@pytest.mark.parametrize(
    ("longest", "nice"), [(0.3, 0.2), (1.0, 1.0), (4.9, 2.0), (5.0, 5.0), (130.0, 100.0)]
)
def test_scale_bars_have_round_lengths(longest: float, nice: float) -> None:
    assert plots.nice_length(longest) == pytest.approx(nice)


def test_scale_bar_is_in_pixels_without_calibration(analysis: Analysis) -> None:
    ax = plots.plot_micrograph(analysis)
    assert plots.add_scale_bar(ax, 260, 0.015) == pytest.approx(0.5)
    assert plots.add_scale_bar(ax, 260, None) == pytest.approx(50)


def test_constant_image_has_a_grey_range() -> None:
    low, high = plots.display_range(np.full((4, 4), 7.0))
    assert low < 7 < high


def test_given_axes_are_used(analysis: Analysis) -> None:
    from matplotlib.figure import Figure

    for draw in (plots.plot_micrograph, plots.plot_layout, plots.plot_patch_size):
        ax = Figure().add_subplot()
        assert draw(analysis, ax=ax) is ax
    with pytest.raises(ValueError, match="color_by is 'size'; choose motif or environment"):
        plots.plot_layout(analysis, color_by="size")
