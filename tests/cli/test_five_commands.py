"""What a person does first: from two micrographs to a run that knows the names, by five commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support import report_page
from support.report_page import Page

from motifgpu import MotifDictionary, cli, simulate

NAMES = {0: "Mo", 1: "Se2", 2: "=V_Se <b>"}


@pytest.mark.slow
def test_names_given_in_the_browser_are_in_the_next_report_table_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("bokeh", reason="the linked view is made with Bokeh (extra: report)")
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("first", "second", "third", "fourth")):
        made = simulate.monolayer("MoSe2", (320, 320), lattice_constant=18.0, vacancies=0.08, seed=seed)
        np.save(f"{name} scan.npy", made.image)

    assert cli.main(["analyze", "first scan.npy", "second scan.npy", "-o", "results", "-q"]) == 0

    with report_page.browser() as browser:
        page = Page(browser, Path("results/first scan/report.html").absolute())
        for motif, name in NAMES.items():
            page.page.click(f'button[data-motif="{motif}"]')
            page.page.fill("input[name=called]", name)
            page.page.press("input[name=called]", "Enter")
        page.page.click('[data-do="wrong"]')
        page.page.click('[data-do="undo"]')
        with page.page.expect_download() as download:
            page.page.click('[data-do="save"]')
        download.value.save_as(download.value.suggested_filename)
        said = page.said()
        assert not page.errors

    # The page says the command, with its own folder.
    folder = str(Path("results/first scan").absolute())
    assert f"motifgpu edit '{folder}' --apply first_scan-decisions.toml" in said
    assert cli.main(["edit", folder, "--apply", "first_scan-decisions.toml"]) == 0
    assert cli.main(["dictionary", "learn", "known.motifs", folder, "results/second scan"]) == 0
    assert set(NAMES.values()) <= set(MotifDictionary.load("known.motifs").names)
    known = ["--dictionary", "known.motifs"]
    assert cli.main(["analyze", "third scan.npy", "-o", "results", *known, "-q"]) == 0
    scans = ["third scan.npy", "fourth scan.npy"]
    assert cli.main(["run", *scans, "-o", "out.motif", *known, "--workers", "1", "-q"]) == 0

    for report in (
        "results/first scan/report.html",
        "results/third scan/report.html",
        "out.motif/report.html",
    ):
        text = Path(report).read_text(encoding="utf-8")
        assert "=V_Se &lt;b&gt;" in text
        assert "=V_Se <b>" not in text
    for folder in ("results/first scan", "results/third scan"):
        named = {motif["name"] for motif in json.loads(Path(folder, "summary.json").read_text())["motifs"]}
        assert set(NAMES.values()) <= named
        with open(Path(folder, "columns.csv"), newline="", encoding="utf-8") as lines:
            assert {row["name"] for row in csv.DictReader(lines)} >= {"Mo", "Se2", "'=V_Se <b>"}
    for table in Path("out.motif/columns").iterdir():
        assert set(NAMES.values()) <= set(pq.read_table(table)["name"].to_pylist())
    motifs = {row["motif"]: row["name"] for row in pq.read_table("out.motif/motifs.parquet").to_pylist()}
    assert set(NAMES.values()) <= set(motifs.values())
