"""A saved analysis whose every text is a script or a formula: its report and its table are text."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from support.report_page import Page, browser

from motifgpu import Analysis, Micrograph, analyze, simulate
from motifgpu.column_table import as_csv

SCRIPT = "</script><script>document.title='harm'</script><img src=x onerror=\"document.title='harm'\">"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    made = simulate.monolayer(shape=(160, 160), counts=60, vacancies=0.05)
    found = analyze(Micrograph(made.image, 0.02, SCRIPT, SCRIPT)).rename({0: "a", 1: "=1+1"})
    assert found.hierarchy is not None
    found = replace(
        found,
        motifs=replace(found.motifs, names=(SCRIPT, *found.motifs.names[1:])),
        parameters={**found.parameters, SCRIPT: SCRIPT, "smoothing": SCRIPT},
        columns=replace(found.columns, notes=(SCRIPT,)),
        hierarchy=replace(found.hierarchy, warnings=(SCRIPT,)),
    )
    return Analysis.load(found.save(tmp_path_factory.mktemp("theirs") / "analysis.zip"))


@pytest.mark.usefixtures("little_drawn")
def test_its_text_is_text(loaded: Analysis, tmp_path: Path) -> None:
    report = loaded.report(tmp_path, linked=False)
    for text in (report.read_text(), loaded._repr_html_()):
        assert "&lt;script&gt;document.title" in text
        assert "<script>document" not in text
        assert "<img src=x" not in text


def test_its_table_computes_nothing(loaded: Analysis) -> None:
    names = {row["name"] for row in csv.DictReader(as_csv(loaded.table()).decode().splitlines())}
    assert "'=1+1" in names
    assert not any(name.startswith("=") for name in names)


@pytest.mark.slow
def test_a_browser_runs_nothing_of_it(loaded: Analysis, tmp_path: Path) -> None:
    pytest.importorskip("bokeh", reason="the linked view is made with Bokeh (extra: report)")
    report = loaded.report(tmp_path)
    with browser() as started:
        opened = Page(started, report)
        assert opened.page.title() != "harm"
        assert not opened.errors
        assert [url for url in opened.requests if not url.startswith(("data:", "blob:"))] == [report.as_uri()]
        opened.page.close()
