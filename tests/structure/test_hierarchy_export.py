"""Hierarchies written and read back, as tables, graphs and figures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import networkx
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.patches import Polygon

from motifgpu.core.errors import StageError
from motifgpu.figures.cells import plot_cells, plot_growth
from motifgpu.figures.hierarchy import plot_hierarchy
from motifgpu.simulate import monolayer
from motifgpu.structure.cells import MISSING, Cells, motif_cells, voronoi_cells
from motifgpu.structure.hierarchy import Hierarchy, build_hierarchy
from motifgpu.structure.hierarchy.export import (
    describe,
    from_json,
    save_hierarchy,
    to_csv,
    to_graphml,
    to_json,
    to_networkx,
    to_table,
)
from motifgpu.structure.hierarchy.merge import merge_hierarchies
from motifgpu.structure.lattice import fit_lattice

NAMES = ("Mo", "Se2", "V_Se", "V_Se2", "Fe")


@pytest.fixture(scope="module")
def made() -> tuple[Cells, Hierarchy]:
    truth = monolayer(seed=1, vacancies=0.08, divacancies=0.01, dopants={"Fe": 0.04}, counts=None, angle=8)
    points, labels = truth.points[truth.occupied], truth.labels[truth.occupied]
    cells = motif_cells(fit_lattice(points), labels)
    return cells, build_hierarchy(cells)


def same(a: Hierarchy, b: Hierarchy) -> bool:
    arrays = ("node", "orientation", "micrograph", "offsets", "cells")
    return (
        a.nodes == b.nodes
        and a.context == b.context
        and a.contents == b.contents
        and a.dominant == b.dominant
        and (a.truncated, a.dropped, a.micrographs, a.linking)
        == (b.truncated, b.dropped, b.micrographs, b.linking)
        and np.array_equal(a.edges, b.edges)
        and all(np.array_equal(getattr(a.occurrences, n), getattr(b.occurrences, n)) for n in arrays)
        and bool(np.abs(a.occurrences.positions - b.occurrences.positions).max(initial=0) <= 1e-3)
    )


def test_json_round_trip(made: tuple[Cells, Hierarchy]) -> None:
    _, hierarchy = made
    again = from_json(to_json(hierarchy))
    assert same(again, hierarchy)
    assert same(merge_hierarchies([again, hierarchy]), merge_hierarchies([hierarchy, again]))
    truth = monolayer(seed=2, vacancies=0.1, counts=None)
    voronoi = build_hierarchy(voronoi_cells(truth.points, truth.labels), dominant=0.3)
    assert same(from_json(to_json(voronoi)), voronoi)


@pytest.mark.parametrize(
    ("text", "says"), [("{}", "no hierarchy"), ("not json", "no hierarchy"), ('{"schema": 0}', "schema is 0")]
)
def test_reading_what_is_no_hierarchy(text: str, says: str) -> None:
    with pytest.raises(StageError, match=says):
        from_json(text)


def test_graphs(made: tuple[Cells, Hierarchy]) -> None:
    _, hierarchy = made
    graph = to_networkx(hierarchy, NAMES)
    again = networkx.parse_graphml(to_graphml(hierarchy, NAMES))
    for g in (graph, again):
        assert len(g) == len(hierarchy.nodes)
        assert g.number_of_edges() == len(hierarchy.edges)
        for node in hierarchy.nodes:
            held = g.nodes[node.key]
            assert (held["level"], held["count"]) == (node.level, node.count)
            assert [tuple(site) for site in json.loads(held["sites"])] == list(node.sites)
    assert networkx.is_directed_acyclic_graph(graph)
    assert sum(graph.nodes[k]["share"] for k in graph) == pytest.approx(1)


def test_tables(made: tuple[Cells, Hierarchy]) -> None:
    _, hierarchy = made
    table = to_table(hierarchy, NAMES)
    assert [row["count"] for row in table] == hierarchy.counts.tolist()
    assert table[0]["holds"] in ("V_Se", "Fe")
    assert any("no column" in row["holds"] for row in table)
    assert sum(len(row["contains"].split()) for row in table) == len(hierarchy.edges)
    read = list(csv.DictReader(io.StringIO(to_csv(hierarchy, NAMES))))
    assert [row["key"] for row in read] == [node.key for node in hierarchy.nodes]
    twice = to_table(merge_hierarchies([hierarchy, hierarchy]))
    assert all(row["micrographs"] == 2 for row in twice)


def test_descriptions(made: tuple[Cells, Hierarchy]) -> None:
    _, hierarchy = made
    pair = next(n for n in hierarchy.nodes if [s[3] for s in n.sites] == [2, 2])
    assert describe(pair, NAMES) == "2 V_Se"
    assert describe(pair) == "2 2"
    empty = next(n for n in hierarchy.nodes if [s[3] for s in n.sites] == [MISSING])
    assert describe(empty, NAMES) == "no column"


def test_saving_by_ending(made: tuple[Cells, Hierarchy], tmp_path: Path) -> None:
    _, hierarchy = made
    assert same(from_json(save_hierarchy(hierarchy, tmp_path / "h.json").read_text()), hierarchy)
    assert len(networkx.read_graphml(save_hierarchy(hierarchy, tmp_path / "h.graphml"))) == len(
        hierarchy.nodes
    )
    assert save_hierarchy(hierarchy, tmp_path / "h.csv", NAMES).read_text().startswith("key,level,count")
    with pytest.raises(StageError, match=r"choose \.json"):
        save_hierarchy(hierarchy, tmp_path / "h.png")


def test_drawn_hierarchy(made: tuple[Cells, Hierarchy], tmp_path: Path) -> None:
    cells, hierarchy = made
    figure = plot_hierarchy(hierarchy, cells, names=NAMES, limit=4, levels=3)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"level 1", "level 2"} <= set(texts)
    shown = [n for level in (1, 2, 3) for n in [n for n in hierarchy.nodes if n.level == level][:4]]
    assert sorted(t for t in texts if t.replace(",", "").isdigit()) == sorted(f"{n.count:,}" for n in shown)
    drawn = [p for p in figure.axes[0].patches if isinstance(p, Polygon)]
    assert len(drawn) == sum(n.level for n in shown)
    # Cells are drawn as the lattice's own rhombi.
    corners = drawn[0].get_xy()[:-1]
    assert np.allclose(np.hypot(*(corners[1] - corners[0])), 1.0, rtol=0.01)
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()][:2] == ["Mo", "Se2"]
    figure.savefig(tmp_path / "h.png", dpi=40)


def test_other_figures(made: tuple[Cells, Hierarchy], tmp_path: Path) -> None:
    cells, hierarchy = made
    axes = plot_cells(cells, np.random.default_rng(0).random((512, 512)), hierarchy=hierarchy, names=NAMES)
    total = sum(len(c.get_paths()) for c in axes.collections if isinstance(c, PolyCollection))
    assert total == len(cells)
    axes.figure.savefig(tmp_path / "c.png", dpi=40)
    growth = plot_growth(hierarchy)
    assert np.array_equal(growth.lines[1].get_ydata(), hierarchy.growth.distinct)
    truth = monolayer(seed=2, vacancies=0.1, counts=None)
    voronoi = voronoi_cells(truth.points, truth.labels)
    of_voronoi = build_hierarchy(voronoi, dominant=0.3)
    plot_hierarchy(of_voronoi, voronoi).savefig(tmp_path / "v.png", dpi=40)
    plot_cells(voronoi, hierarchy=of_voronoi)
    with pytest.raises(StageError, match="2 micrographs of Voronoi cells"):
        plot_hierarchy(merge_hierarchies([of_voronoi, of_voronoi]), voronoi)
    perfect = monolayer(seed=2, counts=None)
    crystal = motif_cells(fit_lattice(perfect.points), perfect.labels)
    none = plot_hierarchy(build_hierarchy(crystal), crystal)
    assert "dominant" in none.axes[0].get_title()
    as_sets = motif_cells(cells.lattice, cells.labels, reading="set")
    plot_hierarchy(build_hierarchy(as_sets), as_sets).savefig(tmp_path / "s.png", dpi=40)
