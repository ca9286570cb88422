"""Decisions about motifs: how long an edit takes beside the analysis that is edited."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.results import record
from motifgpu import Analysis, analyze, simulate

SIDE = 1650  # px, that hold about 19,400 columns
_LABELS = 0.1  # of the time of the analysis, at most, for an edit of labels


def _seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the least CPU time of several."""
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def test_edits() -> None:
    """Every kind of edit of labels in a tenth of the analysis; columns in the time of its graph."""
    made = simulate.monolayer(
        "MoSe2", (SIDE, SIDE), lattice_constant=18.0, vacancies=0.05, dopants={"W": 0.03}, seed=3
    )
    whole = _seconds(lambda: analyze(made.image), 1)
    analysis = analyze(made.image)
    some = np.arange(1000)
    edits: dict[str, Callable[[Analysis], Analysis]] = {
        "rename": lambda a: a.rename({0: "Mo", 1: "Se2"}),
        "merge": lambda a: a.merge([2, 3]),
        "split by intensity": lambda a: a.split(2),
        "split by environment": lambda a: a.split(0, "environment"),
        "assign 1,000 columns": lambda a: a.assign(some, "other"),
        "remove 50 columns": lambda a: a.remove_columns(some[:50]),
        "add 50 columns": lambda a: a.add_columns(analysis.points[some[:50]]),
    }
    begun = {
        "add 50 columns": analysis.remove_columns(some[:50]),
        "split by intensity": analysis.merge([2, 3]),
    }
    seconds = {
        name: _seconds(lambda edit=edit, name=name: edit(begun.get(name, analysis)), 2)
        for name, edit in edits.items()
    }
    figures = {"columns": len(analysis.points), "analysis_seconds": whole, "edit_seconds": seconds}
    print(figures)
    record("decisions", figures)
    assert max(value for name, value in seconds.items() if "50" not in name) < _LABELS * whole
    assert max(seconds.values()) < whole
