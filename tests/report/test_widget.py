"""The widget of a notebook in a browser, with a model that stands for the notebook."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import report_page
from support.report_page import ring

from motifgpu import Analysis, Micrograph, StageError, analyze, simulate


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    truth = simulate.monolayer("MoSe2", (300, 340), counts=30, vacancies=0.06, dopants={"W": 0.04}, seed=3)
    return analyze(Micrograph(truth.image, truth.pixel_size_nm, "a/scan.npy"), structure=False)


def test_without_anywidget_it_is_said(analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "motifgpu.report.widget", raising=False)
    with pytest.raises(StageError, match=r"pip install 'motifgpu\[notebook\]'"):
        analysis.widget()


_START = """async ([script, state, columns]) => {
  const bytes = Uint8Array.from(atob(columns), (one) => one.charCodeAt(0));
  state.columns = new DataView(bytes.buffer);
  const set = (name, value) => { state[name] = value; };
  const model = { get: (name) => state[name], set, save_changes() {} };
  const module = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  const el = document.getElementById("here");
  module.default.render({ model, el });
  window.widget = { el, state };
}"""


@pytest.fixture
def opened(analysis: Analysis, tmp_path: Path) -> Iterator[Any]:
    pytest.importorskip("anywidget", reason="the widget is made with anywidget (extra: notebook)")
    made = analysis.widget()
    with report_page.browser() as browser:
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        style = f"<style>{made._css}</style>"
        (tmp_path / "page.html").write_text(f'<meta charset="utf-8">{style}<div id="here"></div>')
        page.goto((tmp_path / "page.html").as_uri())
        state = {name: getattr(made, name) for name in ("about", "picture", "palette", "made", "selected")}
        columns = base64.b64encode(made.columns).decode()
        page.evaluate(_START, [made._esm, state, columns])
        yield made, page
        assert not errors


@pytest.mark.slow
def test_what_is_decided_in_the_widget_comes_back(analysis: Analysis, opened: Any) -> None:
    made, page = opened

    def places(which: str) -> np.ndarray:
        box = page.locator("canvas").nth(1 if which == "layout" else 2).bounding_box()
        at = np.array(page.evaluate(f"widget.el.motifgpu.{which}"))
        return at * box["width"] / 420 + [box["x"], box["y"]]

    def state(name: str) -> Any:
        return page.evaluate(f"widget.state.{name}")

    def press(what: str) -> None:
        page.click(f'[data-do="{what}"]')

    shown = places("micrograph")
    path = ring(np.median(shown, axis=0), 50.0)
    page.mouse.move(*path[0])
    page.mouse.down()
    for x, y in path[1:]:
        page.mouse.move(x, y)
    page.mouse.up()
    chosen = state("selected")
    assert 5 < len(chosen) < len(analysis.points) / 2
    centre = np.median(np.asarray(analysis.points)[chosen], axis=0)
    assert np.abs(centre - np.array(analysis.micrograph.shape) / 2).max() < 20
    page.fill("input", "looked at")
    press("name")
    page.click('[data-motif="0"]')
    page.fill("input", "<b>Mo</b>")
    page.press("input", "Enter")
    page.click('[data-motif="1"]')
    page.click('[data-motif="2"]', modifiers=["Shift"])
    press("merge")
    press("undo")
    press("merge")
    assert page.locator("#here b").count() == 0

    made.made = state("made")
    found = made.analysis
    assert [one.do for one in made.decisions] == ["assign", "rename", "merge"]
    assert not any(one.misfit for one in found.decisions)
    labels = page.evaluate("[...widget.el.motifgpu.view.state.labels]")
    rows = json.loads(made.about)["rows"]
    np.testing.assert_array_equal(np.asarray(found.motifs.labels)[rows], labels)
    assert found.motifs.name(0) == "<b>Mo</b>"
    assert sorted(np.flatnonzero(found.motifs.labels == len(analysis.motifs.counts))) == chosen
