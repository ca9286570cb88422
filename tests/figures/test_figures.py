from __future__ import annotations

import colorsys
import io
from unittest.mock import MagicMock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from scipy import ndimage

from motifgpu import Analysis, Micrograph, StageError, analyze, figures, simulate
from motifgpu.figures import every
from motifgpu.figures.motifs import symmetry_scores
from motifgpu.figures.palette import UNASSIGNED, motif_color
from motifgpu.figures.sample import drawn_columns


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
    image = figures.plot_micrograph(analysis)
    layout = figures.plot_layout(analysis)
    labels = sorted(set(analysis.motifs.labels.tolist()))
    expected = {motif_color(label).lower() for label in labels}
    rings = {to_hex(c) for s in image.collections for c in s.get_edgecolors() if len(s.get_offsets())}
    dots = {to_hex(c) for s in layout.collections for c in s.get_facecolors() if s.get_label()[0] != "_"}
    assert expected <= rings
    assert expected == dots
    frames = {to_hex(a.spines["left"].get_edgecolor()) for a in figures.plot_class_averages(analysis).axes}
    assert expected <= frames


def test_every_column_is_drawn_once(analysis: Analysis) -> None:
    drawn = sum(len(s.get_offsets()) for s in figures.plot_micrograph(analysis).collections)
    assert drawn == len(analysis.columns)
    layout = [s for s in figures.plot_layout(analysis).collections if s.get_zorder() == 2]
    assert sum(len(s.get_offsets()) for s in layout) == len(analysis.points)


@pytest.mark.parametrize("side", [2.5, 5.0])
def test_rings_fit_between_columns_on_given_axes(analysis: Analysis, side: float) -> None:
    ax = Figure(figsize=(side, side), dpi=80).add_subplot()
    rings = [
        s
        for s in analysis.plot.micrograph(ax).collections
        if s.get_edgecolors().size and len(s.get_offsets())
    ]
    ax.figure.canvas.draw()
    points = ax.transData.transform(analysis.points[:, ::-1])
    nearest = np.sort(np.hypot(*(points[:, None] - points).transpose(2, 0, 1)), axis=1)[:, 1]
    across = np.sqrt(max(s.get_sizes().max() for s in rings)) * 80 / 72
    assert 0.4 * np.median(nearest) < across < np.median(nearest)


@pytest.mark.parametrize(
    ("longest", "nice"), [(0.3, 0.2), (1.0, 1.0), (4.9, 2.0), (5.0, 5.0), (130.0, 100.0)]
)
def test_scale_bars_have_round_lengths(longest: float, nice: float) -> None:
    assert figures.nice_length(longest) == pytest.approx(nice)


def test_scale_bar_is_in_pixels_without_calibration(analysis: Analysis) -> None:
    ax = figures.plot_micrograph(analysis)
    assert figures.add_scale_bar(ax, 260, 0.015) == pytest.approx(0.5)
    assert figures.add_scale_bar(ax, 260, None) == pytest.approx(50)


def test_constant_image_has_a_grey_range() -> None:
    low, high = figures.display_range(np.full((4, 4), 7.0))
    assert low < 7 < high


def test_given_axes_are_used(analysis: Analysis) -> None:
    plot = analysis.plot
    draw = [plot.micrograph, plot.layout, plot.patch_size, plot.background, plot.symmetry, plot.shells]
    for method in [*draw, plot.cells, plot.hierarchy, plot.growth, plot.strain, plot.twist]:
        ax = Figure().add_subplot()
        assert method(ax=ax) is ax
        assert ax.get_title()
        ax.figure.savefig(io.BytesIO(), format="png", dpi=20)


@pytest.mark.parametrize("color", ["motif", "identity", "domain", "environment", "confidence"])
def test_every_column_is_in_the_layout_once_by_any_colour(analysis: Analysis, color: str) -> None:
    dots = [s for s in analysis.plot.layout(color=color).collections if s.get_zorder() == 2]
    assert sum(len(s.get_offsets()) for s in dots) == len(analysis.points)
    if color == "confidence":
        assert np.array_equal(dots[0].get_array(), analysis.motifs.confidence)


def test_figures_are_those_that_were_asked_for(analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = analysis.figures()
    assert {"micrograph", "layout", "confidence", "cells", "hierarchy", "strain"} <= set(usual)
    assert "reconstruction" in usual
    assert not {"twist", "occupancy"} & set(usual)
    monkeypatch.setattr(every, "Plots", MagicMock())  # they are drawn by now, and a twist in the test above
    assert set(analysis.figures(occupancy=(1, ()))) == {*usual, "occupancy"}
    assert set(usual) ^ set(analysis.figures(twist=True, reconstruction=False)) == {"twist", "reconstruction"}


def test_shells_show_the_mean_numbers(analysis: Analysis) -> None:
    ax = analysis.plot.shells(shell=0)
    assert np.allclose(ax.images[0].get_array(), analysis.shells.mean[0])
    # Three columns of the other sublattice stand next to most.
    assert analysis.shells.mean[0][0].sum() == pytest.approx(3.0, abs=0.3)
    with pytest.raises(StageError, match="there is no shell 7"):
        analysis.plot.shells(shell=7)


def test_motifs_of_a_dichalcogenide_are_threefold(analysis: Analysis) -> None:
    scores = symmetry_scores(analysis)
    assert scores.shape == (len(analysis.motifs.counts), 5)
    assert (scores[:2, 1] > 0.9).all()  # rotations by 120 degrees
    assert (scores[:2, 2] < 0.3).all()  # by 90 degrees
    assert (scores[:2, 4] > 0.9).all()  # the mirror
    assert np.array_equal(analysis.plot.symmetry().images[0].get_array(), scores)


def test_strain_of_a_stretched_picture() -> None:
    truth = simulate.monolayer("MoSe2", (230, 230), counts=100, seed=5)
    bent = ndimage.map_coordinates(
        truth.image, np.mgrid[:230, :230] + np.array([3.0, 0])[:, None, None] * np.sin(np.arange(230) / 73)
    )
    analysis = analyze(bent)
    for component in ("dilatation", "shear", "rotation"):
        ax = analysis.plot.strain(component=component)
        values = np.asarray(ax.collections[0].get_array())
        assert np.isfinite(values).all()
        # Columns are moved by 3 px sin(x / 73): a slope of at most 4.1 %, shear and rotation alike.
        expected = {"dilatation": 0.0, "shear": 2.05, "rotation": np.rad2deg(0.0205)}[component]
        assert np.ptp(np.percentile(values, [3, 97])) == pytest.approx(1.7 * expected, rel=0.35, abs=0.8)
    with pytest.raises(StageError, match="component is 'bend'; choose one of dilatation, shear, rotation"):
        analysis.plot.strain(component="bend")


@pytest.mark.slow
def test_twist_is_written_with_its_reason_where_there_is_none(analysis: Analysis) -> None:
    assert "twist not resolved: " in analysis.plot.twist().get_title()
    bilayer = simulate.bilayer(twist=8.0, shape=(256, 256), seed=1)
    ax = analyze(bilayer.image, structure=False).plot.twist()
    assert float(ax.get_title().split("°")[0].removeprefix("twist ")) == pytest.approx(8.0, abs=0.05)
    # Peaks are drawn on bright spots of the spectrum.
    power = np.asarray(ax.images[0].get_array())
    left, right, bottom, top = ax.images[0].get_extent()
    for peaks in ax.collections:
        x, y = peaks.get_offsets().T
        at = (
            ((y - top) / (bottom - top) * power.shape[0]).astype(int),
            ((x - left) / (right - left) * power.shape[1]).astype(int),
        )
        assert np.median(power[at]) > np.percentile(power, 99)


def test_without_a_lattice_it_is_said_why() -> None:
    truth = simulate.monolayer("MoSe2", (192, 192), counts=30, seed=5)
    analysis = analyze(truth.image, structure=False)
    assert not {"cells", "hierarchy", "strain"} & set(analysis.figures(reconstruction=False))
    for method in (analysis.plot.cells, analysis.plot.hierarchy, analysis.plot.growth, analysis.plot.strain):
        with pytest.raises(StageError, match="there are no motif-cells: "):
            method()


def test_a_crystal_without_defects_has_figures_that_can_be_saved() -> None:
    analysis = analyze(simulate.monolayer(shape=(128, 128), counts=60).image)
    assert not analysis.hierarchy.nodes
    for draw in (analysis.plot.growth, analysis.plot.hierarchy, analysis.plot.cells):
        draw().figure.savefig(io.BytesIO(), format="png", dpi=20)


def test_colouring_that_does_not_exist(analysis: Analysis) -> None:
    with pytest.raises(StageError, match="color is 'size'; choose one of motif, identity, domain, env"):
        figures.plot_layout(analysis, color="size")


@settings(max_examples=60)
@given(
    counts=st.lists(st.integers(1, 400), min_size=1, max_size=8),
    limit=st.integers(1, 600),
    seed=st.integers(0, 5),
)
def test_what_is_drawn_of_too_many_columns(counts: list[int], limit: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)) - 1, counts))
    rows = drawn_columns(labels, limit, seed)
    assert len(rows) == len(set(rows.tolist())) == min(limit, len(labels))
    drawn = np.bincount(labels[rows] + 1, minlength=len(counts))
    assert (drawn <= counts).all()
    # Small motifs are whole: those that half of the places, shared out evenly, have room for.
    share = limit // 2 // len(counts)
    assert (drawn >= np.minimum(counts, share)).all()
    # Larger motifs keep more, and are drawn before smaller ones.
    order = np.argsort(counts, kind="stable")
    assert (np.diff(drawn[order]) >= -1).all()
    assert (np.diff(np.array(counts)[labels[rows] + 1]) <= 0).all()
