"""The report of a run, and the pages of its micrographs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import report_page
from support.datasets import write_scan

from motifgpu import Run, cli, dataset, simulate
from motifgpu.core.errors import StageError
from motifgpu.dataset.report import render
from motifgpu.figures.runs import tells_time
from motifgpu.store import layout


@pytest.mark.usefixtures("little_drawn")
def test_reports_show_what_was_found(undisturbed: Run) -> None:
    text = undisturbed.report().read_text()
    for told in ("4</dd>", "damaged.npy", "explained least", "n_neighbors", "scan03.npz"):
        assert told in text
    for forbidden in ("http://", "https://", "<script src", "@import", "url("):
        assert forbidden not in text
    name = undisturbed.micrographs["micrograph"][2].as_py()
    page = undisturbed.report(name)
    assert page == undisturbed.path / "pages" / undisturbed.find(name).key / "report.html"
    assert page.relative_to(undisturbed.path).as_posix() in undisturbed.report().read_text()
    assert 'href="../../report.html"' in page.read_text()
    assert f"<h1>{undisturbed.micrographs['title'][2].as_py()}</h1>" in page.read_text()
    with pytest.raises(StageError, match="has no micrograph 'nothing'"):
        undisturbed.report("nothing")


@pytest.mark.usefixtures("little_drawn")
def test_a_page_is_made_by_the_command_that_the_report_shows(
    undisturbed: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    text = undisturbed.report().read_text()
    command = shlex.split(re.search('data-command="([^"]*)"', text)[1])
    name = shlex.split(re.search('data-name="([^"]*scan01[^"]*)"', text)[1])
    assert command[0] == "motifgpu"
    assert cli.main([*command[1:], *name]) == 0
    page = Path(capsys.readouterr().out.strip())
    assert page.exists()
    link = page.relative_to(undisturbed.path.absolute()).as_posix()
    assert f'href="{link}"' in (undisturbed.path / "report.html").read_text()


@pytest.mark.usefixtures("little_drawn")
def test_figures_and_tables_are_written_on_request_and_the_run_stays_whole(undisturbed: Run) -> None:
    folder = undisturbed.path / layout.FIGURES
    undisturbed.report()
    assert not folder.exists()
    undisturbed.report(figures="svg")
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"micrographs.csv", "counts.csv", "motifs.csv", "explained.svg", "order.svg"} == set(written)
    assert all(b"<svg" in data for name, data in written.items() if name.endswith(".svg"))
    assert written["micrographs.csv"].count(b"\n") == len(undisturbed.micrographs) + 1
    undisturbed.report(figures="svg")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == written
    assert not dataset.check(undisturbed.path).damage
    with pytest.raises(StageError, match="choose from png, svg, pdf, none"):
        undisturbed.report(figures="tif")


@pytest.mark.usefixtures("little_drawn")
def test_what_was_decided_of_a_micrograph_is_in_its_page(undisturbed: Run) -> None:
    name = undisturbed.micrographs["micrograph"][0].as_py()
    folder = undisturbed.path / layout.PAGES / undisturbed.find(name).key
    folder.mkdir(parents=True, exist_ok=True)
    undisturbed.analysis(name).rename({0: "<i>Mo"}).save(folder / layout.ARCHIVE)
    assert "&lt;i&gt;Mo" in undisturbed.report(name).read_text()
    (folder / layout.ARCHIVE).unlink()


def test_micrographs_with_motifs_of_their_own_share_no_colour(undisturbed: Run) -> None:
    text = render(undisturbed)
    assert "equal numbers need not mean the same" in text
    assert 'class="chip' not in text
    assert "<svg" not in text


@pytest.mark.slow
def test_shared_motifs_are_drawn_in_their_cells(tmp_path: Path) -> None:
    for seed in range(2):
        made = simulate.monolayer("MoSe2", (200, 200), lattice_constant=16.0, vacancies=0.06, seed=seed)
        np.save(tmp_path / f"scan{seed}.npy", made.image)
    run = dataset.run(tmp_path, tmp_path / "out.motif", workers=1, pooled=True)
    text = render(run)
    cells = run.hierarchy
    assert cells is not None
    drawn = re.findall("<svg.*?</svg>", text)
    assert len(drawn) == min(60, len(cells.nodes))
    order = sorted(cells.nodes, key=lambda node: (-node.count, node.key))
    for svg, node in zip(drawn, order, strict=False):
        assert svg.count("<polygon") == node.level
        assert svg.count("<circle") == sum(len(content) for _, _, content in node.cells)
        assert "nan" not in svg
    assert "hierarchy.png" in text
    assert 'class="chip' in text
    for file in (run.path / layout.COLUMNS).iterdir():
        file.write_bytes(b"damaged")
    assert "<svg" not in render(run)


def test_times_that_a_copy_gave_are_not_drawn(undisturbed: Run) -> None:
    first = undisturbed.micrographs["modified"][0].as_py()
    assert not tells_time([{"modified": first}, {"modified": first}])
    assert tells_time([{"modified": first}, {"modified": first.replace(year=first.year - 1)}])
    assert not tells_time([{"modified": None}])


def test_a_run_of_nothing_but_bad_files_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"no image")
    run = dataset.run(tmp_path / "bad.npy", tmp_path / "o", workers=1)
    assert len(run.micrographs) == 0
    assert len(run.columns()) == 0
    assert run.hierarchy is None
    assert "bad.npy" in run.report().read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with report_page.browser() as started:
        yield started


@pytest.mark.slow
def test_tables_of_a_run_are_filtered_and_say_how_pages_are_made(browser: Any, tmp_path: Path) -> None:
    for seed, name in enumerate(("a b.npz", "other.npz")):
        write_scan(tmp_path / name, seed)
    run = dataset.run(tmp_path, tmp_path / "out.motif", workers=1)
    page = browser.new_page(viewport={"width": 500, "height": 900})
    page.goto(run.report().absolute().as_uri())
    shown = "[...document.querySelectorAll('tbody')[0].rows].filter((row) => !row.hidden).length"
    field = page.locator("input[name=filter]").first
    for text, rows in (("", 2), ("NPZ oth", 1), ("nothing of this", 0)):
        field.fill(text)
        assert page.evaluate(shown) == rows
    assert page.locator("output").first.inner_text() == "0 of 2 rows"
    field.fill("b.npz")
    page.locator("tr:not([hidden]) button.make").click()
    said = shlex.split(page.locator("output code").first.inner_text())
    assert said == ["motifgpu", "report", str(run.path.absolute()), "--micrograph", "a b.npz"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
