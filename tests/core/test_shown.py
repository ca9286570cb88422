from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import motifgpu
from motifgpu import Analysis
from motifgpu.core.shown import notebook_table, one_line


class Result(NamedTuple):
    points: Any
    sigma: float
    title: str = ""
    other: Any = None


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
    return motifgpu.analyze(made.image)


def records(value: object) -> Iterator[object]:
    """Yield a value and all dataclasses and named tuples of ours that it holds."""
    if isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from records(item)
    if type(value).__module__.startswith("motifgpu"):
        yield value
        if dataclasses.is_dataclass(value):
            yield from records([getattr(value, field.name) for field in dataclasses.fields(value)])


def cells(text: str) -> list[list[str]]:
    """Return the rows of a table in HTML, its head first."""
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", text)]


def test_numbers_are_written_and_arrays_have_their_shape() -> None:
    text = one_line(Result(np.zeros((70, 2)), 1.23456, "a" * 100, np.array([1, -2.5])))
    assert text == f"<Result: points (70, 2), sigma 1.235, title '{'a' * 59}…', other [1, -2.5]>"
    assert (
        one_line(Result([], -0.0, "", np.arange(7))) == "<Result: points [], sigma 0, title '', other (7,)>"
    )
    nested = Result(((1, 2), (3,)), 1.0, "", {"a": 1})
    assert one_line(nested) == "<Result: points [2 items], sigma 1, title '', other {1 items}>"


def test_array_of_another_namespace_stays_where_it_is() -> None:
    class OnDevice:
        shape = (3,)

        def __array__(self) -> np.ndarray:
            raise AssertionError("an array left its device")

        __iter__ = __repr__ = __array__

    assert "points (3,)" in one_line(Result(OnDevice(), 1.0))


def test_results_are_one_line(analysis: Analysis) -> None:
    image, points, labels = analysis.micrograph.image, analysis.points, analysis.motifs.labels
    dictionary, sites = motifgpu.MotifDictionary.learn([analysis]), analysis.site_grid(1, 2)
    results = [
        analysis,
        analysis.reconstruct(classes=3),
        dictionary.assign(analysis.moments),
        sites,
        motifgpu.match_points(points, points, 3.0),
        motifgpu.nearest_neighbors(analysis.moments, 5),
        motifgpu.occupancy_statistics(sites.grid),
        motifgpu.plan(image),
        motifgpu.score_detection(points, points, labels >= 0, image.shape, 3.0, 5.0),
        motifgpu.simulate.bilayer(shape=(96, 96)),
        motifgpu.twist_angle(image),
        motifgpu.voronoi_cells(points, labels),
    ]
    shown = {type(record): repr(record) for record in records(results)}
    assert {kind for kind, text in shown.items() if "\n" in text or len(text) > 500} == set()
    assert len(shown) > 20
    assert len(repr(dictionary)) < 100


def test_notebooks_show_tables(analysis: Analysis, tmp_path: Path) -> None:
    counts = analysis.motifs.counts.tolist()
    assert [row[1] for row in cells(analysis.motifs._repr_html_())[1:]] == [str(count) for count in counts]
    learned = motifgpu.MotifDictionary.learn([analysis])
    whole = np.bincount(analysis.motifs.labels[analysis.whole]).tolist()  # of columns with a whole patch
    assert cells(learned._repr_html_())[1:] == [[str(i), f"motif {i}", str(n)] for i, n in enumerate(whole)]
    assert analysis.hierarchy is not None
    levels = cells(analysis.hierarchy._repr_html_())[1:]
    assert sum(int(row[1]) for row in levels) == len(analysis.hierarchy.nodes)
    assert sum(int(row[2]) for row in levels) == len(analysis.hierarchy.occurrences)
    plan = motifgpu.plan(analysis.micrograph.image)
    assert [row[0] for row in cells(plan._repr_html_())[1:]] == [*(s.name for s in plan.stages), "in all"]
    np.save(tmp_path / "scan.npy", analysis.micrograph.image)
    run = motifgpu.run(tmp_path / "scan.npy", tmp_path / "out", workers=1)
    ((title, columns, *_),) = cells(run._repr_html_())[1:]
    assert (title, columns) == ("scan", str(len(analysis.columns)))


def test_table_escapes_what_it_is_given() -> None:
    text = notebook_table("a < b", ["<i>"], [["<script>"], [None], [1234567], [0.123456]])
    assert "<script>" not in text
    assert cells(text) == [["&lt;i&gt;"], ["&lt;script&gt;"], [""], ["1,234,567"], ["0.1235"]]
