"""The report as a file; what a browser makes of it is in test_linked_report.py."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from motifgpu import Analysis, Micrograph, StageError, analyze, simulate
from motifgpu.figures import every
from motifgpu.occupancy.sites import site_grid
from motifgpu.report import linked, markup, pictures
from motifgpu.report.page import render
from motifgpu.report.pictures import draw

TRUTH = simulate.monolayer("MoSe2", (200, 230), counts=30, vacancies=0.05, seed=5)
NASTY = '<script>alert("1")</script>'


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(Micrograph(TRUTH.image, TRUTH.pixel_size_nm, "a/scan.npy", "scan"))


@pytest.fixture(scope="module")
def still(analysis: Analysis) -> str:
    return render(analysis, linked=False)


class _Reader(HTMLParser):
    """What stands in a page: tags with their attributes, and text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._within: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within and tag == self._within[-1]:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_report_stands_in_a_folder_with_its_figures_and_numbers(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {name: Figure() for name in ("micrograph", "layout", "one_more")}
    monkeypatch.setattr(Analysis, "figures", lambda self: drawn)
    path = analysis.report(tmp_path / "deep" / "scan", linked=False)
    files = {file.relative_to(path.parent).as_posix() for file in path.parent.rglob("*") if file.is_file()}
    figures = {f"figures/{name}.png" for name in drawn}
    assert files == {"report.html", "columns.csv", "summary.json", "hierarchy.json", *figures}
    assert len(_Reader(path.read_text()).all("img")) == 3
    first = path.stat().st_mtime_ns
    assert analysis.report(tmp_path / "deep" / "scan", linked=False) == path  # again, over the old one
    assert path.stat().st_mtime_ns > first


def test_still_pictures_need_neither_network_nor_bokeh(still: str) -> None:
    for forbidden in ("http://", "https://", "<script src", "@import", "url(", "Bokeh"):
        assert forbidden not in still
    pictures = _Reader(still).all("img")
    assert len(pictures) >= 12
    assert all(picture["src"].startswith("data:image/") and picture["alt"] for picture in pictures)


def test_every_picture_can_be_saved_and_names_are_unique(still: str) -> None:
    page = _Reader(still)
    names = [link["download"] for link in page.all("a") if "download" in link]
    assert len(names) == len(set(names)) == len(page.all("img"))
    assert {"layout.png", "class_averages.png", "patch_size.png"} <= set(names)


def test_every_number_parameter_and_version_is_told(analysis: Analysis, still: str) -> None:
    text = _Reader(still).text
    summary = analysis.summary()
    for values in (summary["parameters"], summary["versions"]):
        for name, value in values.items():
            assert name in text
            assert str(value) in text
    for stage, seconds in summary["timings_s"].items():
        assert stage in text
        assert f"{seconds:.3f} s" in text
    for motif in summary["motifs"]:
        assert f"{motif['count']:,}" in text
        assert motif["shell"] in text
    for told in ("3-fold", "mirror", "neighbours", "unexplained", "patch size and background"):
        assert told.lower() in text.lower()


def test_where_bokeh_is_missing_the_page_says_how_to_get_the_linked_view(
    analysis: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked.util, "find_spec", lambda name: None)
    text = render(analysis, {name: Figure() for name in ("micrograph", "layout")})
    assert 'pip install "motifgpu[report]"' in _Reader(text).text
    assert len(_Reader(text).all("img")) == 2
    assert "Bokeh" not in render(analysis, {"layout": Figure()}, linked=False)  # as was asked for


def test_why_there_is_no_lattice_is_told() -> None:
    analysis = analyze(TRUTH.image, structure=False)
    analysis = replace(
        analysis,
        no_lattice="lattice: the points have no lattice; give others",
        parameters={**analysis.parameters, "structure": True},
    )
    page = _Reader(render(analysis, {}, linked=False))
    assert "the points have no lattice" in page.text
    assert not {"hierarchy", "cells", "growth"} & set(analysis.figures(reconstruction=False))
    assert "How the motifs are composed" not in page.text


def test_a_large_image_is_rebuilt_on_request(analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "reconstruction=True" not in render(analysis, {}, linked=False)
    monkeypatch.setattr(every, "QUICK_PIXELS", 1000)
    monkeypatch.setattr(every, "Plots", MagicMock())  # nothing is drawn to see which figures there are
    assert "reconstruction" not in analysis.figures()
    assert "reconstruction=True" in render(analysis, {}, linked=False)
    assert "reconstruction" in analysis.figures(reconstruction=True)


def test_names_from_a_file_cannot_inject_markup() -> None:
    analysis = analyze(Micrograph(TRUTH.image, None, NASTY, NASTY))
    page = _Reader(render(analysis, {}))
    assert page.text.count(NASTY) >= 2  # as text
    assert NASTY in _Reader(analysis._repr_html_()).text
    assert "not known" in page.text  # the pixel size


def test_twist_and_occupancy_are_there_when_asked_for(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = simulate.tiling(np.random.default_rng(1).integers(0, 2, (8, 8)), (256, 256))
    tiling = analyze(truth.image, structure=False)
    monkeypatch.setattr(
        Analysis, "site_grid", lambda self, *motifs: site_grid(truth.points, truth.labels, *motifs)
    )
    page = _Reader(render(tiling, {"occupancy": tiling.plot.occupancy(1)}, linked=False))
    assert "How sites are filled" in page.text
    with pytest.raises(StageError):
        tiling.report(tmp_path / "none", occupancy=(999, ()))
    assert not (tmp_path / "none").exists()
    page = _Reader(render(analysis, {"twist": analysis.plot.twist().figure}, linked=False))
    assert "The twist of the layers" in page.text
    assert len(page.all("img")) == 1


def test_a_notebook_shows_a_small_summary(analysis: Analysis) -> None:
    text = analysis._repr_html_()
    page = _Reader(text)
    assert len(text) < 300_000
    assert len(page.all("img")) == 2
    assert f"{len(analysis.columns):,} atom columns" in page.text
    for count in analysis.motifs.counts:
        assert f": {count:,}" in page.text
    for picture in page.all("img"):
        data = base64.b64decode(picture["src"].split(",")[1])
        assert min(Image.open(io.BytesIO(data)).size) > 150


def _drawing(lines: int) -> Figure:
    figure = Figure(figsize=(4, 3), dpi=150)
    ax = figure.add_subplot()
    for k in range(lines):
        ax.plot([0, 1], [0, np.sin(k)], color=(1 - k / lines, 0.1, k / lines), linewidth=3)
    return figure


def _noise() -> Figure:
    figure = Figure(figsize=(2, 3), dpi=150)
    figure.figimage(np.random.default_rng(0).random((450, 300, 3)))
    return figure


def _opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_figure_is_drawn_once_for_its_file_and_its_page(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {"micrograph": _noise(), "layout": _drawing(3), "one_more": Figure(layout="constrained")}
    drawn: list[Figure] = []
    once = Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda self, *rest: (drawn.append(self), once(self, *rest))[1])
    monkeypatch.setattr(Analysis, "figures", lambda self: figures)
    analysis.report(tmp_path, linked=False)
    assert drawn == list(figures.values())
    for name, figure in figures.items():
        with Image.open(tmp_path / "figures" / f"{name}.png") as file:
            assert file.size == tuple(figure.bbox.size.astype(int))
            assert file.info["dpi"] == pytest.approx((figure.dpi, figure.dpi), rel=1e-3)


def test_small_drawings_stand_on_the_page_as_in_their_file() -> None:
    drawing = draw(_drawing(1))
    assert drawing.for_page() == ("png", drawing.file)
    assert np.array_equal(_opened(drawing.file), np.asarray(drawing.image))
    assert (np.abs(_opened(drawing.file) - [255, 26, 0]).max(axis=2) < 2).sum() > 500
    still = markup.still(drawing, "line", "A line")
    assert still.width == 400  # of 4 inches, whatever the pixels in them
    assert base64.b64encode(drawing.file).decode() in still.source


def test_large_drawings_have_fewer_colours_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_SMALL", 10_000)
    drawing = draw(_drawing(40))
    ending, data = drawing.for_page()
    assert ending == "png"
    assert len(data) < 0.7 * len(drawing.file)
    off = np.abs(_opened(data) - np.asarray(drawing.image))
    assert off.mean() < 1
    assert np.array_equal(_opened(data)[0, 0], [255, 255, 255])  # paper stays white


def test_images_stand_on_the_page_as_jpeg_of_its_resolution() -> None:
    noise = draw(_noise())
    ending, data = noise.for_page()
    assert ending == "jpg"
    assert len(data) < 0.4 * len(noise.file)
    assert _opened(data).shape == (300, 200, 3)
    coarse = _noise()
    coarse.set_dpi(50)
    assert _opened(draw(coarse).for_page()[1]).shape == (150, 100, 3)  # nothing is enlarged


def test_too_many_columns_are_thinned_out_and_that_is_said(
    analysis: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bokeh", reason="the linked view is made with Bokeh (extra: report)")
    view = linked.linked_view(analysis, limit=50)
    n = len(analysis.points)
    assert view.drawn == 50
    page = _Reader(view.body)
    assert f"50 of {n:,} columns are drawn; thinned out: motif 0 (" in page.text
    assert f"of {analysis.motifs.counts[0]:,})" in page.text
    rare = len(analysis.motifs.counts) - 1
    assert f"motif {rare} (" not in page.text
    assert linked.linked_view(analysis).drawn == n
