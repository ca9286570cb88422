"""The report: how large it is, how long it takes to write, and how soon a selection shows in a browser."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.results import record
from motifgpu import Micrograph, analyze, simulate
from tests.support.report_page import Page, browser, ring

SIDES = {5_000: 1070, 20_000: 2120}  # px, that hold about so many columns with a patch


def test_linked_report(tmp_path: Path) -> None:
    """Five lassos on each picture, from letting go of the mouse to the page redrawn."""
    pytest.importorskip("bokeh", reason="the linked view is made with Bokeh (extra: report)")
    figures = []
    with browser() as started:
        for columns, side in SIDES.items():
            truth = simulate.monolayer(
                "MoSe2", (side, side), counts=30, vacancies=0.05, dopants={"W": 0.03}, seed=3
            )
            analysis = analyze(Micrograph(truth.image, truth.pixel_size_nm, "simulated"))
            begin = time.process_time()
            report = analysis.report(tmp_path / str(columns))
            written = time.process_time() - begin
            begin = time.perf_counter()
            page = Page(started, report)
            opened = time.perf_counter() - begin
            seconds: dict[str, list[float]] = {}
            for which, name in enumerate(("layout", "micrograph")):
                places = page.places(which)
                path = ring(np.median(places, axis=0), 100.0)
                seconds[name] = [page.lasso(path) for _ in range(5)]
                assert page.selected()
            assert not page.errors
            figures.append(
                {
                    "columns": len(analysis.points),
                    "drawn": len(page.columns()),
                    "megabytes": report.stat().st_size / 1e6,
                    "seconds_to_write": written,
                    "seconds_to_open": opened,
                    "lasso_seconds": {name: max(values) for name, values in seconds.items()},
                }
            )
            page.page.close()
    print(*figures, sep="\n")
    record("linked_report", figures)
    assert figures[0]["megabytes"] < 3
    assert max(figures[0]["lasso_seconds"].values()) < 2
