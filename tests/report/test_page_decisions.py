"""Decisions made on the report's page: what it shows and saves is what Python makes of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import report_page
from support.report_page import DRAWN, Page, ring

from motifgpu import Analysis, Micrograph, analyze, read_decisions, simulate
from motifgpu.report import page as page_module
from motifgpu.report.page import render

pytestmark = pytest.mark.slow
pytest.importorskip("bokeh", reason="the linked view is made with Bokeh (extra: report)")
pytest.importorskip("playwright.sync_api", reason="a browser is driven with Playwright")

# Where the frame of the micrograph is on the screen.
FRAME = """() => {
  const view = Bokeh.index.find_one(linkedView.plots[1]);
  const box = view.canvas_view.el.getBoundingClientRect(), { left, top, width, height } = view.frame.bbox;
  return { x: box.x + left, y: box.y + top, width, height };
}"""
HOSTILE = "<img src=x onerror=window.hit=1>"


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    truth = simulate.monolayer("MoSe2", (360, 360), counts=30, vacancies=0.06, dopants={"W": 0.04}, seed=3)
    return analyze(Micrograph(truth.image, truth.pixel_size_nm, "a/simulated scan.npy"), structure=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with report_page.browser() as started:
        yield started


@pytest.fixture
def page(browser: Any, analysis: Analysis, tmp_path: Path) -> Iterator[Page]:
    report = tmp_path / "report.html"
    report.write_text(render(analysis, {}), encoding="utf-8")
    opened = Page(browser, report)
    yield opened
    assert not opened.errors
    left = [url for url in opened.requests if not url.startswith(("data:", "blob:"))]
    assert left == [report.as_uri()]
    opened.page.close()


def pick(page: Page, motif: int, **options: Any) -> None:
    page.page.click(f'button[data-motif="{motif}"]', **options)


def call(page: Page, name: str) -> None:
    page.page.fill("input[name=called]", name)
    page.page.press("input[name=called]", "Enter")


def act(page: Page, what: str) -> None:
    page.page.click(f'[data-do="{what}"]')


def state(page: Page) -> tuple[np.ndarray, dict[int, str]]:
    """Return the labels of the drawn columns, -2 for those taken away, and the names."""
    found = page.page.evaluate(
        "[[...linkedView.decisions.state.labels], [...linkedView.decisions.state.names]]"
    )
    return np.array(found[0]), {motif: name for motif, name in found[1] if name}


def saved(page: Page, tmp_path: Path) -> Path:
    with page.page.expect_download() as download:
        act(page, "save")
    assert download.value.suggested_filename == "simulated_scan-decisions.toml"
    download.value.save_as(tmp_path / "decisions.toml")
    return tmp_path / "decisions.toml"


def select(page: Page, rows: list[int]) -> None:
    page.page.evaluate("(rows) => { linkedView.source.selected.indices = rows; }", rows)


def test_what_is_decided_on_the_page_is_what_python_makes_of_it(
    page: Page, analysis: Analysis, tmp_path: Path
) -> None:
    labels, _ = state(page)
    for motif, name in ((0, "Mo"), (1, "Se2"), (2, "V_Se")):
        pick(page, motif)
        call(page, name)
        assert f"{name} {(labels == motif).sum()}" in page.page.inner_text(".picks").replace("\n", " ")
    pick(page, 1)
    pick(page, 2, modifiers=["Shift"])
    act(page, "merge")
    assert state(page)[1] == {0: "Mo", 1: "Se2"}
    act(page, "undo")
    assert state(page)[1] == {0: "Mo", 1: "Se2", 2: "V_Se"}
    pick(page, 2)
    call(page, "Se2")  # a name that is there: the two are one
    assert (state(page)[0] == 2).sum() == 0

    places = page.places(1)
    page.lasso(ring(np.median(places, axis=0), 60.0))
    chosen = sorted(page.selected())
    assert 5 < len(chosen) < 200
    call(page, "looked at")
    assert set(np.flatnonzero(state(page)[0] == len(analysis.motifs.counts)).tolist()) == set(chosen)
    rest = np.flatnonzero(state(page)[0] == 0)
    select(page, rest[:9].tolist())
    act(page, "split")
    select(page, rest[10:13].tolist())
    act(page, "wrong")
    select(page, rest[20:24].tolist())
    act(page, "remove")
    pick(page, len(analysis.motifs.counts) + 1)
    call(page, '"quoted" \\ é =1')
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Control+z")
    call_again = len(analysis.motifs.counts) + 1
    pick(page, call_again)
    call(page, '"quoted" \\ é')

    now, names = state(page)
    path = saved(page, tmp_path)
    assert "saved" in page.page.inner_text('[data-say="made"]')
    made = analysis.apply(path)
    assert [one.do for one in made.decisions] == [
        *["rename"] * 3, "merge", "assign", "split", "assign", "remove", "rename"
    ]  # fmt: skip
    assert not any(one.misfit for one in made.decisions)
    columns = page.columns()
    points = np.asarray(analysis.columns.points)[columns[now != -2]]
    order, own = np.lexsort(points.T), np.lexsort(np.asarray(made.points).T)
    np.testing.assert_array_equal(np.asarray(made.points)[own], points[order])
    np.testing.assert_array_equal(made.motifs.labels[own], now[now != -2][order])
    assert {k: name for k, name in enumerate(made.motifs.names) if name} == names
    assert made.apply(path) is made
    assert len(read_decisions(path)) == 9


def test_a_selection_shows_its_mean_patch_its_shell_and_its_confidence(
    page: Page, analysis: Analysis
) -> None:
    from skimage.transform import resize

    for motif in range(3):
        pick(page, motif)
        page.page.wait_for_timeout(200)
        drawn = np.array(
            page.page.evaluate(
                "[...linkedView.canvas.getContext('2d').getImageData(0, 0, 48, 48).data]"
                ".filter((_, i) => i % 4 === 0)"
            )
        ).reshape(48, 48)
        mean = resize(np.asarray(analysis.averages.patches[motif], float), (48, 48), order=1)
        assert np.corrcoef(drawn.ravel(), mean.ravel())[0, 1] > 0.97
        shell = page.page.inner_text('[data-say="shell"]')
        wanted = analysis.summary()["motifs"][motif]["shell"]
        assert shell.split(" × ")[0] == wanted.split(" × ")[0]
        sure = float(page.page.inner_text('[data-say="confidence"]'))
        assert sure == pytest.approx(analysis.summary()["motifs"][motif]["confidence"], abs=0.01)


def test_a_hidden_motif_is_not_drawn_and_not_selected(page: Page, tmp_path: Path) -> None:
    before = page.pixels(tmp_path / "shown.png")
    page.page.click('[data-hide="0"]')
    page.page.evaluate(DRAWN)
    after = page.pixels(tmp_path / "hidden.png")
    labels, _ = state(page)
    places = np.round(page.places(0)).astype(int)
    there = ((places > 0) & (places < np.array(before.shape[1::-1]))).all(axis=1)
    change = np.abs(after - before).sum(axis=2)[places[there, 1], places[there, 0]]
    assert change[labels[there] == 0].mean() > 5 * change[labels[there] == 1].mean()
    page.lasso(ring(np.median(page.places(1), axis=0), 80.0))
    chosen = sorted(page.selected())
    assert chosen
    assert 0 not in labels[chosen]
    page.page.click('[data-hide="0"]')
    page.page.evaluate(DRAWN)
    select(page, [])
    page.page.evaluate(DRAWN)


def test_names_are_inert(page: Page, tmp_path: Path) -> None:
    pick(page, 0)
    call(page, HOSTILE)
    pick(page, 1)
    call(page, "=1+1")
    page.page.keyboard.press("Escape")
    for which in (0, 1):
        places = page.places(which)
        for place in places[:: max(1, len(places) // 12)]:
            page.page.mouse.move(*place)
            page.page.wait_for_timeout(30)
    assert page.page.evaluate("window.hit") is None
    assert HOSTILE in page.page.inner_text(".picks")
    with page.page.expect_download() as download:
        act(page, "csv")
    download.value.save_as(tmp_path / "selected.csv")
    with open(tmp_path / "selected.csv", newline="", encoding="utf-8") as file:
        assert {row["name"] for row in csv.DictReader(file)} >= {HOSTILE, "'=1+1"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("", "Type a name first"), ("motif 7", "no number"), ("a\u202eb", "can be printed")],
)
def test_names_that_are_none_are_refused(page: Page, name: str, text: str) -> None:
    pick(page, 0)
    call(page, name)
    assert text in page.said()
    assert not state(page)[1]


def test_both_views_show_the_selection_close_up(page: Page) -> None:
    places = page.places(1)
    page.lasso(ring(np.median(places, axis=0), 50.0))
    chosen = sorted(page.selected())
    act(page, "zoom")
    page.page.evaluate(DRAWN)
    page.page.wait_for_timeout(200)
    for which in (0, 1):
        extent = np.ptp(page.places(which)[chosen], axis=0).max()
        assert 150 < extent < 640
        again = page.places(which)
        assert np.ptp(again, axis=0).max() > extent - 1


def test_tables_are_sorted_by_their_heads(page: Page, analysis: Analysis) -> None:
    counts = [str(int(count)) for count in analysis.motifs.counts]
    head = page.page.locator("th", has_text="columns").first
    shown = "[...document.querySelector('.scroll table').tBodies[0].rows].map((r) => r.cells[1].textContent)"
    head.click()
    assert page.page.evaluate(shown) == sorted(counts, key=int)
    assert head.get_attribute("aria-sort") == "ascending"
    head.focus()
    page.page.keyboard.press("Enter")
    assert page.page.evaluate(shown) == sorted(counts, key=int, reverse=True)


def test_a_line_means_the_columns_too_that_are_not_drawn(
    browser: Any, analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines and the buttons of motifs decide the same on a page that draws a fifth of the columns."""
    counts = analysis.motifs.counts.sum()
    decided = []
    whole = page_module.linked_view
    for limit in (counts, counts // 5):
        monkeypatch.setattr(page_module, "linked_view", lambda found, limit=limit: whole(found, limit))
        report = tmp_path / f"{limit}.html"
        report.write_text(render(analysis, {}), encoding="utf-8")
        page = Page(browser, report)
        assert len(page.columns()) == limit
        frame = page.page.evaluate(FRAME)
        middle = np.array([frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2])
        page.lasso(ring(middle, 0.2 * frame["width"]))
        call(page, "within")
        page.page.keyboard.press("Escape")
        page.page.keyboard.down("Shift")
        for place in (0.25, 0.75):
            page.lasso(ring(np.array([frame["x"] + place * frame["width"], middle[1]]), 0.1 * frame["width"]))
        page.page.keyboard.up("Shift")
        act(page, "wrong")
        pick(page, 1)
        call(page, "Se2")
        assert not page.errors
        now, names = state(page)
        made = analysis.apply(read_decisions(saved(page, tmp_path)))
        assert {name: int((now == motif).sum()) for motif, name in names.items()} == {
            name: int((made.motifs.labels == motif).sum())
            for motif, name in enumerate(made.motifs.names)
            if name
        }
        decided.append(made.motifs.labels)
        page.page.close()
    assert 20 < (decided[0] < 0).sum() < counts
    np.testing.assert_array_equal(decided[0], decided[1])
