"""Decisions about motifs: how long an edit takes beside the analysis that is edited."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.results import record
from motifgpu import Analysis, analyze, simulate

SIDE = 1650  # px, that hold about 19,400 columns
_LABELS = 0.3  # of the time of the analysis, at most, for an edit of labels
_LONGEST = 1.0  # s, for any edit of columns that lie together, and for any of labels but by layout


def _seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the least CPU time of several."""
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def test_edits() -> None:
    """Every kind of edit in a second; columns are added all over the micrograph in somewhat more."""
    made = simulate.monolayer(
        "MoSe2", (SIDE, SIDE), lattice_constant=18.0, vacancies=0.05, dopants={"W": 0.03}, seed=3
    )
    whole = _seconds(lambda: analyze(made.image), 1)
    analysis = analyze(made.image)
    some = np.arange(1000)
    middle = np.argsort(np.linalg.norm(analysis.points - SIDE / 2, axis=1))[:50]
    anywhere = np.random.default_rng(0).choice(len(analysis.points), 50, replace=False)
    edits: dict[str, Callable[[Analysis], Analysis]] = {
        "rename": lambda a: a.rename({0: "Mo", 1: "Se2"}),
        "merge": lambda a: a.merge([2, 3]),
        "split by intensity": lambda a: a.split(2),
        "split by environment": lambda a: a.split(0, "environment"),
        "assign 1,000 columns": lambda a: a.assign(some, "other"),
        "remove 50 columns": lambda a: a.remove_columns(middle),
        "add 50 columns": lambda a: a.add_columns(analysis.points[middle]),
        "remove 50 columns anywhere": lambda a: a.remove_columns(anywhere),
        "add 50 columns anywhere": lambda a: a.add_columns(analysis.points[anywhere]),
    }
    begun = {
        "add 50 columns": analysis.remove_columns(middle),
        "add 50 columns anywhere": analysis.remove_columns(anywhere),
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
    assert max(value for name, value in seconds.items() if "anywhere" not in name) < _LONGEST
    assert max(seconds.values()) < whole
