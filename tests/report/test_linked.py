"""The linked view in a real browser: what is selected in one picture lights up in the other."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from matplotlib.path import Path as Polygon
from support import report_page
from support.report_page import DRAWN, Page, clear_path

from motifgpu import Analysis, Micrograph, analyze, simulate
from motifgpu.figures.palette import motif_color

# A browser takes as much time as a tenth of the quick tests.
pytestmark = pytest.mark.slow
pytest.importorskip("bokeh", reason="the linked view is made with Bokeh (extra: report)")
pytest.importorskip("playwright.sync_api", reason="a browser is driven with Playwright")


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    truth = simulate.monolayer("MoSe2", (1070, 1070), counts=30, vacancies=0.05, dopants={"W": 0.03}, seed=3)
    return analyze(Micrograph(truth.image, truth.pixel_size_nm, "simulated", "Simulated"))


@pytest.fixture(scope="module")
def report(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert len(analysis.points) >= 5000
    return analysis.report(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with report_page.browser() as started:
        yield started


@pytest.fixture(scope="module")
def opened(browser: Any, report: Path) -> Iterator[Page]:
    opened = Page(browser, report)
    yield opened
    opened.page.close()


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    yield opened
    assert not opened.errors
    opened.page.click('[data-do="clear"]')
    opened.page.check('input[value="motif"]')
    opened.page.evaluate("document.querySelector('#linked').scrollIntoView()")
    opened.page.evaluate(DRAWN)


def test_a_lasso_on_the_layout_lights_up_the_columns_on_the_micrograph(
    page: Page, analysis: Analysis, tmp_path: Path
) -> None:
    before = page.pixels(tmp_path / "before.png")
    layout, shown = page.places(0), page.places(1)
    labels = analysis.motifs.labels[np.searchsorted(np.flatnonzero(analysis.mask), page.columns())]
    middle = np.median(layout[labels == 2], axis=0)
    path = clear_path(layout, middle, 8, 40)
    seconds = page.lasso(path)
    inside = Polygon(path).contains_points(layout)
    assert 10 <= inside.sum() < len(layout) / 2
    assert page.selected() == set(np.flatnonzero(inside).tolist())
    assert seconds < 2.0
    assert page.said().startswith(f"{inside.sum():,} of {len(layout):,} selected: ")
    # What lights up on the micrograph are the same columns: their middles take the colours of their motifs.
    after = page.pixels(tmp_path / "after.png")
    at = np.round(shown).astype(int)
    on_screen = ((at > 0) & (at < np.array(after.shape[1::-1]) - 1)).all(axis=1)
    change = np.abs(after - before).sum(axis=2)[at[on_screen, 1], at[on_screen, 0]]
    assert np.median(change[inside[on_screen]]) > 0.3
    assert np.quantile(change[~inside[on_screen]], 0.95) < 0.1
    chosen = on_screen & inside & (labels == 2)
    color = np.median(after[at[chosen, 1], at[chosen, 0]], axis=0)
    assert color.argmax() == np.argmax(to_rgb(motif_color(2)))


def test_a_lasso_on_the_micrograph_selects_in_the_layout(page: Page) -> None:
    places = page.places(1)
    middle = np.median(places, axis=0)
    path = clear_path(places, middle, 60, 120)
    assert page.lasso(path) < 2.0
    inside = Polygon(path).contains_points(places)
    assert inside.sum() > 50
    assert page.selected() == set(np.flatnonzero(inside).tolist())


def test_a_tap_selects_one_column_and_escape_none(page: Page) -> None:
    places = page.places(1)
    one = int(np.linalg.norm(places - np.median(places, axis=0), axis=1).argmin())
    page.page.mouse.click(*places[one])
    page.page.evaluate(DRAWN)
    assert page.selected() == {one}
    page.page.keyboard.press("Escape")
    assert page.selected() == set()


def test_motifs_are_selected_by_keyboard(page: Page, analysis: Analysis) -> None:
    rare = len(analysis.motifs.counts) - 1
    button = page.page.locator(f'button[data-motif="{rare}"]')
    button.focus()
    page.page.keyboard.press("Enter")
    rows = np.searchsorted(np.flatnonzero(analysis.mask), page.columns())
    assert page.selected() == set(np.flatnonzero(analysis.motifs.labels[rows] == rare).tolist())
    assert button.get_attribute("aria-pressed") == "true"
    page.page.keyboard.press("Enter")
    assert page.selected() == set()


def test_colours_switch(page: Page, tmp_path: Path) -> None:
    pictures = []
    for kind in ("motif", "environment", "confidence", "identity", "domain"):
        page.page.check(f'input[value="{kind}"]')
        page.page.evaluate(DRAWN)
        pictures.append(page.pixels(tmp_path / f"{kind}.png"))
        assert page.page.locator(".key").is_visible() == (kind == "confidence")
    assert all(np.abs(a - b).max() > 0.2 for a, b in pairwise(pictures))


def test_what_is_selected_is_saved_as_csv(page: Page, analysis: Analysis, tmp_path: Path) -> None:
    page.page.click('button[data-motif="3"]')
    with page.page.expect_download() as saved:
        page.page.click('[data-do="csv"]')
    saved.value.save_as(tmp_path / "selected.csv")
    with open(tmp_path / "selected.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = np.array([[float(row["row_px"]), float(row["col_px"])] for row in rows])
    wanted = np.asarray(analysis.points)[analysis.motifs.labels == 3]
    assert np.allclose(found[np.lexsort(found.T)], wanted[np.lexsort(wanted.T)], atol=0.01)
    table = analysis.table().take([int(row["column"]) for row in rows])
    assert list(rows[0]) == ["column", *table.column_names]
    for name in set(table.column_names) - {"name"}:
        text = [{"true": "1", "false": "0", "": "nan"}.get(row[name], row[name]) for row in rows]
        expected = table[name].to_pandas().to_numpy(float)
        np.testing.assert_allclose(np.array(text, float), expected, rtol=1e-5, atol=1e-4, err_msg=name)


def test_figures_are_saved_from_the_page(page: Page, tmp_path: Path) -> None:
    links = page.page.locator("a.save")
    assert links.count() >= 8
    with page.page.expect_download() as saved:
        links.first.click()
    saved.value.save_as(tmp_path / saved.value.suggested_filename)
    assert imread(tmp_path / saved.value.suggested_filename).size


def test_nothing_leaves_the_page_and_it_is_small(page: Page, report: Path) -> None:
    page.page.click('button[data-motif="1"]')
    page.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.page.wait_for_load_state("networkidle")
    assert [url for url in page.requests if not url.startswith(("data:", "blob:"))] == [report.as_uri()]
    assert report.stat().st_size < 3e6


@pytest.mark.parametrize("width", [390, 1600])
def test_it_fits_narrow_and_wide_windows(browser: Any, report: Path, width: int) -> None:
    opened = Page(browser, report, width)
    assert opened.page.evaluate("document.scrollingElement.scrollWidth") <= width
    boxes = [
        opened.page.evaluate(
            "(i) => Bokeh.index.find_one(linkedView.plots[i]).el.getBoundingClientRect().toJSON()", i
        )
        for i in (0, 1)
    ]
    assert all(box["left"] >= 0 and box["right"] <= width and box["width"] > 300 for box in boxes)
    assert (boxes[0]["top"] == boxes[1]["top"]) == (width == 1600)  # side by side where there is room
    opened.page.close()
