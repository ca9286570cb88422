"""Motif-cells and their hierarchy: classes, levels, edges, places, merging, growth and bad input."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
from support.grids import HONEYCOMB, square_cells, vectors

from motifgpu.core.errors import StageError
from motifgpu.simulate import monolayer
from motifgpu.structure.cells import Cells, motif_cells, voronoi_cells
from motifgpu.structure.hierarchy import Hierarchy, build_hierarchy
from motifgpu.structure.hierarchy.graph_shapes import graph_key
from motifgpu.structure.hierarchy.merge import merge_hierarchies
from motifgpu.structure.hierarchy.motif_cell import MotifCell
from motifgpu.structure.hierarchy.subsets import contained_shapes
from motifgpu.structure.lattice import fit_lattice

# Defects as (motif, steps along u and v from a metal site): single ones, pairs on one sublattice and across,
# two and three vacancies about a metal site with and without a dopant on it, a straight and a bent row.
M, X, V, D = 0, 1, 2, 3
X_SITES = [(-1 / 3, 1 / 3), (2 / 3, 1 / 3), (-1 / 3, -2 / 3)]
PLANTED: list[list[tuple[int, tuple[float, float]]]] = [
    [(V, X_SITES[0])],
    [(D, (0, 0))],
    [(D, (0, 0)), (V, X_SITES[0])],
    [(V, X_SITES[0]), (V, X_SITES[1])],
    [(D, (0, 0)), (V, X_SITES[0]), (V, X_SITES[1])],
    [(V, X_SITES[0]), (V, X_SITES[1]), (V, X_SITES[2])],
    [(V, (2 / 3, 1 / 3)), (V, (5 / 3, 1 / 3)), (V, (8 / 3, 1 / 3))],
    [(V, (2 / 3, 1 / 3)), (V, (5 / 3, 1 / 3)), (V, (8 / 3, 4 / 3))],
]


def planted_crystal(degrees: float, seed: int) -> tuple[Cells, list[int]]:
    """Plant every defect several times, each in a random orientation of C3v, far apart."""
    rng = np.random.default_rng(seed)
    uv = vectors(degrees)
    n = 44
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    index = np.stack([i, j], axis=-1).reshape(-1, 2)
    metal = index.astype(float)
    chalcogen = index + np.array([2 / 3, 1 / 3])
    q = np.concatenate([metal, chalcogen])
    points = q @ uv
    labels = np.repeat([M, X], len(index))
    turn = np.array([[0, -1], [1, -1]])  # by 120 degrees, in steps of u and v
    mirror = np.array([[1, 0], [1, -1]])  # in the line of a metal site and its neighbour along 2u + v
    counts = [0] * len(PLANTED)
    places = [(a, b) for a in range(6, n - 5, 7) for b in range(6, n - 5, 7)]
    for (a, b), kind in zip(places, itertools.cycle(range(len(PLANTED))), strict=False):
        counts[kind] += 1
        operation = np.linalg.matrix_power(turn, int(rng.integers(3)))
        if rng.integers(2):
            operation = operation @ mirror
        for label, step in PLANTED[kind]:
            target = np.array([a, b]) + operation @ np.array(step)
            near = np.linalg.norm((q - target) @ uv, axis=1)
            assert near.min() < 1e-6, (kind, step, operation)
            labels[near.argmin()] = label
    return motif_cells(fit_lattice(points), labels), counts


@functools.cache
def reference_levels() -> dict[str, int]:
    return {node.key: node.level for node in build_hierarchy(planted_crystal(3.0, seed=99)[0]).nodes}


@pytest.mark.parametrize("degrees", [0.0, 14.0, 29.0, 31.0, 60.0, 121.0, 185.0])
def test_planted_defects_are_the_classes_under_c3v(degrees: float) -> None:
    cells, counts = planted_crystal(degrees, seed=int(degrees))
    hierarchy = build_hierarchy(cells)
    assert hierarchy.context.symmetry == "C3v"
    assert sorted(hierarchy.counts) == sorted(counts)
    # Turning the paper's grid of indices by 90 degrees is no symmetry of a honeycomb.
    assert len(build_hierarchy(cells, symmetry="rotations90").nodes) > len(PLANTED)
    assert len(build_hierarchy(cells, symmetry="translations").nodes) > len(PLANTED)
    assert {node.key: node.level for node in hierarchy.nodes} == reference_levels()


def literal_components(types: np.ndarray, steps: list[tuple[int, int]]) -> list[list[tuple[int, int, int]]]:
    """Grow the components of non-zero cells that do not touch the rim."""
    left = {(int(i), int(j)) for i, j in zip(*np.nonzero(types), strict=True)}
    shapes = []
    while left:
        grown, waiting = [], [left.pop()]
        while waiting:
            i, j = waiting.pop()
            grown.append((i, j, int(types[i, j])))
            for a, b in steps:
                if (i + a, j + b) in left:
                    left.remove((i + a, j + b))
                    waiting.append((i + a, j + b))
        if all(0 < i < types.shape[0] - 1 and 0 < j < types.shape[1] - 1 for i, j, _ in grown):
            shapes.append(grown)
    return shapes


def placed(shape: Any) -> frozenset[tuple[int, int, int]]:
    low = min(i for i, _, _ in shape), min(j for _, j, _ in shape)
    return frozenset((i - low[0], j - low[1], t) for i, j, t in shape)


def least_turn(shape: Any) -> tuple[tuple[int, int, int], ...]:
    turns = [shape]
    for _ in range(3):
        turns.append([(-j, i, t) for i, j, t in turns[-1]])
    return min(tuple(sorted(placed(turn))) for turn in turns)


def random_types(seed: int, shape: tuple[int, int] = (26, 26), p: float = 0.22) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < p, rng.integers(1, 4, shape), 0)


@pytest.mark.parametrize("seed", range(3))
def test_the_papers_construction_literally(seed: int) -> None:
    types = random_types(seed)
    cells = square_cells(types)
    hierarchy = build_hierarchy(cells, neighborhood=4, symmetry="rotations90", linking="all")
    shapes = literal_components(types, [(1, 0), (0, 1), (-1, 0), (0, -1)])
    classes: dict[Any, int] = {}
    for shape in shapes:
        classes[least_turn(shape)] = classes.get(least_turn(shape), 0) + 1
    ours = {
        least_turn([(i, j, content[0]) for i, j, content in node.orientations[0]]): node.count
        for node in hierarchy.nodes
    }
    # The lattice's (i, j) are the grid's columns and rows: a mirror image, in which turns go the other way.
    mirrored = {least_turn([(j, i, t) for i, j, t in shape]): n for shape, n in classes.items()}
    assert ours == mirrored
    assert len(hierarchy.occurrences) == len(shapes)
    assert [n.level for n in hierarchy.nodes] == sorted(n.level for n in hierarchy.nodes)
    for node in hierarchy.nodes:
        assert node.level == len(node.cells) == len(node.orientations[0])
    assert edge_set(hierarchy.edges) == literal_edges(hierarchy.nodes, 10**6)


def edge_set(edges: np.ndarray) -> set[tuple[int, int]]:
    assert len(np.unique(edges, axis=0)) == len(edges)
    return set(map(tuple, edges.tolist()))


def literal_edges(nodes: Any, max_gap: int) -> set[tuple[int, int]]:
    """Try every orientation of every pair with every translation."""
    found = set()
    for a, b in itertools.permutations(range(len(nodes)), 2):
        if not 0 < nodes[b].level - nodes[a].level <= max_gap:
            continue
        for small, large in itertools.product(nodes[a].orientations, nodes[b].orientations):
            whole = set(large)
            i, j, _ = small[0]
            if any({(x + p - i, y + q - j, c) for x, y, c in small} <= whole for p, q, _ in large):
                found.add((a, b))
    return found


def random_nodes(rng: np.random.Generator) -> list[MotifCell]:
    """Grow random shapes, among them shapes with parts of others, in several orientations."""
    shapes = []
    for _ in range(int(rng.integers(8, 22))):
        cells = {(0, 0)}
        for _ in range(int(rng.integers(0, 7))):
            i, j = sorted(cells)[int(rng.integers(len(cells)))]
            a, b = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, -1)][int(rng.integers(6))]
            cells.add((i + a, j + b))
        kinds = int(rng.integers(1, 4))
        way = tuple((i, j, (int(rng.integers(kinds)), 1)) for i, j in sorted(cells))
        ways = [way]
        if rng.integers(2):
            ways.append(tuple((-j, i, c) for i, j, c in way))
        shapes.append(MotifCell(f"{len(shapes):016x}", len(way), way, (), tuple(ways), (), 1))
    return sorted(shapes, key=lambda node: node.level)


def test_edges_are_those_of_an_exhaustive_search() -> None:
    rng = np.random.default_rng(5)
    total = 0
    for _ in range(220):
        nodes = random_nodes(rng)
        exact = literal_edges(nodes, 10**6)
        assert edge_set(contained_shapes(nodes, "all")) == exact
        for gap in (1, 3):
            limited = {(a, b) for a, b in exact if nodes[b].level - nodes[a].level <= gap}
            assert edge_set(contained_shapes(nodes, gap)) == limited
        nearest = {
            (a, b) for a, b in exact if nodes[a].level == max(nodes[c].level for c, d in exact if d == b)
        }
        assert edge_set(contained_shapes(nodes, "nearest")) == nearest
        total += len(exact)
    assert total > 2000


def test_edges_of_a_honeycomb() -> None:
    cells, _ = planted_crystal(10.0, seed=4)
    for linking, gap in (("all", 10**6), (1, 1), (2, 2)):
        hierarchy = build_hierarchy(cells, linking=linking)
        assert edge_set(hierarchy.edges) == literal_edges(hierarchy.nodes, gap)
    assert len(build_hierarchy(cells).linked(1).edges) == len(build_hierarchy(cells, linking=1).edges)


def test_occurrences_say_where() -> None:
    truth = monolayer(seed=8, vacancies=0.05, dopants={"Fe": 0.03}, counts=None)
    cells = motif_cells(fit_lattice(truth.points), truth.labels)
    hierarchy = build_hierarchy(cells)
    o = hierarchy.occurrences
    assert len(o) == hierarchy.counts.sum()
    for k in range(len(o)):
        node = hierarchy.nodes[o.node[k]]
        rows = o.members(k)
        way = node.orientations[o.orientation[k]]
        assert sorted(c for _, _, c in way) == sorted(cells.contents[t] for t in cells.types[rows])
        assert np.allclose(cells.centers[rows].mean(axis=0), o.positions[k])
    assert hierarchy.n_cells == len(cells)
    assert len(hierarchy.positions(0)) == hierarchy.nodes[0].count
    # Every orientation that is listed was seen.
    seen = np.unique(np.column_stack([o.node, o.orientation]), axis=0)
    assert len(seen) == sum(len(n.orientations) for n in hierarchy.nodes)


def merged_by_hand(parts: list[Hierarchy]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for node in part.nodes:
            total[node.key] = total.get(node.key, 0) + node.count
    return total


def test_merging_micrographs() -> None:
    parts, all_cells = [], []
    for seed, angle in enumerate((0.0, 25.0, -17.0, 90.0)):
        truth = monolayer(seed=seed, angle=angle, vacancies=0.06, dopants={"Fe": 0.04}, counts=None)
        all_cells.append(motif_cells(fit_lattice(truth.points), truth.labels))
        parts.append(build_hierarchy(all_cells[-1]))
    merged = merge_hierarchies(parts)
    assert {n.key: n.count for n in merged.nodes} == merged_by_hand(parts)
    # Single defects and the usual pairs are the same in all, whatever the angle.
    assert len(merged.nodes) < 0.75 * sum(len(p.nodes) for p in parts)
    assert merged.micrographs == 4
    assert merged.n_cells == sum(map(len, all_cells))
    o = merged.occurrences
    for k in range(len(o)):
        cells = all_cells[o.micrograph[k]]
        held = sorted(cells.contents[t] for t in cells.types[o.members(k)])
        assert held == sorted(c for _, _, c in merged.nodes[o.node[k]].orientations[o.orientation[k]])
    assert edge_set(merged.edges) == literal_edges(merged.nodes, 10**6) & edge_set(merged.edges)
    again = merge_hierarchies([merge_hierarchies(parts[:2]), merge_hierarchies(parts[2:])])
    assert {n.key: (n.level, n.count, set(n.orientations)) for n in again.nodes} == {
        n.key: (n.level, n.count, set(n.orientations)) for n in merged.nodes
    }
    assert (again.occurrences.micrograph == o.micrograph).all()
    with pytest.raises(StageError, match="differ in how they were built"):
        merge_hierarchies([parts[0], build_hierarchy(all_cells[0], neighborhood=4)])
    with pytest.raises(StageError, match="at least one"):
        merge_hierarchies([])


def test_growth_of_a_random_crystal() -> None:
    types = (np.random.default_rng(3).random((150, 150)) < 0.15).astype(int)
    hierarchy = build_hierarchy(square_cells(types), symmetry="rotations90")
    g = hierarchy.growth
    # One-sided polyominoes: 1, 1, 2, 7, 18 up to rotation.
    assert g.level[:4].tolist() == [1, 2, 3, 4]
    assert g.distinct[:4].tolist() == [1, 1, 2, 7]
    assert (g.cumulative == np.cumsum(g.distinct)).all()
    assert (g.entropy <= np.log(g.distinct) + 1e-9).all()
    assert g.rate > 0.4
    ordered = np.zeros((40, 40), int)
    ordered[5::8, 5::8] = 1
    ordered[5::8, 6::8] = 1
    assert np.isnan(build_hierarchy(square_cells(ordered)).growth.rate)
    assert build_hierarchy(square_cells(ordered)).growth.distinct.tolist() == [1]


def test_all_cells_dominant() -> None:
    hierarchy = build_hierarchy(square_cells(np.zeros((8, 8), int)))
    assert hierarchy.nodes == ()
    assert len(hierarchy.occurrences) == 0
    assert hierarchy.edges.shape == (0, 2)
    assert hierarchy.growth.level.size == 0
    assert any("all 64 cells are dominant" in text for text in hierarchy.warnings)
    assert merge_hierarchies([hierarchy, hierarchy]).n_cells == 128


def test_crowded_cells_are_capped_and_told() -> None:
    types = random_types(0, (60, 60), p=0.45)
    hierarchy = build_hierarchy(square_cells(types))
    assert hierarchy.levels.max() <= 20
    assert hierarchy.dropped > 0
    assert any(
        "above 30%" in text and "more than 20 cells are left out" in text for text in hierarchy.warnings
    )
    assert build_hierarchy(square_cells(types), max_cells=3).levels.max() <= 3


def test_voronoi_hierarchy() -> None:
    truth = monolayer(seed=2, vacancies=0.1, dopants={"Fe": 0.08}, counts=None)
    cells = voronoi_cells(truth.points, truth.labels)
    hierarchy = build_hierarchy(cells, dominant=0.3)
    assert hierarchy.context.symmetry == "graph"
    singles = [n for n in hierarchy.nodes if n.level == 1]
    assert {n.cells[0][2] for n in singles} == {(2,), (4,)}
    pair = next(n for n in hierarchy.nodes if n.level == 2)
    assert pair.bonds == ((0, 1),)
    at = hierarchy.nodes.index(pair)
    assert {(0, at), (1, at)} <= edge_set(hierarchy.edges)
    assert len(merge_hierarchies([hierarchy, hierarchy]).nodes) == len(hierarchy.nodes)
    with pytest.raises(StageError, match="leave both at auto"):
        build_hierarchy(cells, neighborhood=4)


def test_graph_keys_tell_graphs_apart() -> None:
    import networkx

    atlas = [g for g in networkx.graph_atlas_g()[1:] if len(g) <= 6 and networkx.is_connected(g)]
    rng = np.random.default_rng(0)
    keys = []
    for g in atlas:
        bonds = tuple(g.edges)
        order = rng.permutation(len(g))
        turned = tuple((int(order[a]), int(order[b])) for a, b in bonds)
        contents = [(0,)] * len(g)
        keys.append(graph_key(contents, bonds))
        assert graph_key(contents, turned) == keys[-1]
    assert len(set(keys)) == len(atlas) == 143
    assert graph_key([(0,), (1,)], ((0, 1),)) == graph_key([(1,), (0,)], ((0, 1),))
    assert graph_key([(0,), (1,)], ((0, 1),)) != graph_key([(0,), (0,)], ((0, 1),))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"neighborhood": 5}, "neighborhood is 5"),
        ({"symmetry": "C7"}, "no symmetry 'C7'"),
        ({"linking": 0}, "linking is 0"),
        ({"linking": "far"}, "linking is 'far'"),
        ({"dominant": 2.0}, "dominant is 2.0"),
        ({"connect": "some"}, "no connect 'some'"),
    ],
)
def test_bad_options(options: dict[str, Any], says: str) -> None:
    with pytest.raises(StageError, match=says) as error:
        build_hierarchy(square_cells(random_types(1)), **options)
    assert error.value.stage == "hierarchy"


def test_sets_have_no_site_symmetry() -> None:
    cells = square_cells(random_types(1), reading="set")
    assert build_hierarchy(cells).context.symmetry == "rotations90"
    with pytest.raises(StageError, match="read cells by slots"):
        build_hierarchy(cells, symmetry="lattice")


def test_honeycomb_sites_are_where_the_setting_says() -> None:
    cells, _ = planted_crystal(0.0, seed=0)
    assert cells.lattice is not None
    away = np.sort(cells.lattice.basis, axis=0) - np.sort(HONEYCOMB, axis=0)
    assert np.abs(away).max() < 0.01
