"""What a person decides, and all that follows from it."""

from __future__ import annotations

import dataclasses
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from motifgpu import (
    Analysis,
    StageError,
    affinity_graph,
    analyze,
    class_averages,
    match_points,
    nearest_neighbors,
    neighbor_shells,
    simulate,
)
from motifgpu.column_table import as_csv
from motifgpu.core.namespace import to_numpy
from motifgpu.decisions.following import patch_grid
from motifgpu.report.page import render
from motifgpu.structure.composition import compose

TRUTH = simulate.monolayer(
    "MoSe2", (224, 240), counts=30, angle=7, vacancies=0.06, dopants={"W": 0.03}, seed=3
)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(TRUTH.image, pixel_size_nm=TRUTH.pixel_size_nm)


def check_what_follows(analysis: Analysis) -> None:
    """Everything that is derived from labels and columns is as if it were made from them now."""
    motifs, m = analysis.motifs, len(analysis.points)
    labels = to_numpy(motifs.labels)
    kinds = len(motifs.counts)
    np.testing.assert_array_equal(motifs.counts, np.bincount(labels[labels >= 0], minlength=kinds))
    for field in dataclasses.fields(motifs):
        if field.name not in ("counts", "means", "notes", "names"):
            assert getattr(motifs, field.name).shape == (m,)
    assert ((motifs.confidence >= 0) & (motifs.confidence <= 1)).all()
    assert (motifs.confidence[labels < 0] == 0).all()
    assert (motifs.identity_confidence >= motifs.confidence - 1e-6).all()
    inside = motifs.environments >= 0
    assert (labels[inside] >= 0).all()
    pairs = np.unique(np.stack([motifs.environments, labels])[:, inside], axis=1)
    assert len(set(pairs[0].tolist())) == pairs.shape[1]

    whole = np.zeros(len(analysis.columns), bool)
    whole[analysis.mask] = analysis.whole
    patches = patch_grid(analysis, analysis.columns.points).sample(whole)
    own = analysis.whole
    averages = class_averages(patches, analysis.moments[own], labels[own], n_classes=kinds)
    scale = np.abs(averages.patches).max()
    np.testing.assert_allclose(analysis.averages.patches, averages.patches, atol=1e-4 * scale)
    np.testing.assert_allclose(analysis.averages.reconstructions, averages.reconstructions, atol=1e-4 * scale)
    np.testing.assert_array_equal(analysis.averages.counts, averages.counts)
    shells = neighbor_shells(analysis.points, labels)
    np.testing.assert_array_equal(analysis.shells.mean, shells.mean)
    parts = analysis.points, labels, motifs.identities, motifs.domains
    cells, hierarchy, why = compose(*(x[analysis.firm] for x in parts))
    assert (analysis.no_lattice, analysis.cells is None) == (why, cells is None)
    if cells is not None:
        np.testing.assert_array_equal(analysis.cells.types, cells.types)
        assert [node.key for node in analysis.hierarchy.nodes] == [node.key for node in hierarchy.nodes]
    check_graph(analysis)


def check_graph(analysis: Analysis) -> None:
    """Every whole column has its nearest neighbours, but for such as came or went."""
    graph, n = analysis.graph, int(analysis.whole.sum())
    assert graph.indptr.shape == (n + 1,)
    assert graph.sigma.shape == graph.tied.shape == (n,)
    edges = sparse.csr_array((graph.weights, graph.indices, graph.indptr), shape=(n, n))
    assert abs(edges - edges.T).max() == 0
    assert edges.diagonal().max() == 0
    assert 0 < edges.data.min() <= edges.data.max() <= 1 + 1e-6
    moments = analysis.moments[analysis.whole]
    full = affinity_graph(nearest_neighbors(moments, analysis.parameters["n_neighbors"] - 1))
    expected = sparse.csr_array((full.weights, full.indices, full.indptr), shape=(n, n))
    assert abs(edges - expected).sum() < 0.1 * expected.sum()


def test_names_are_said_everywhere(analysis: Analysis) -> None:
    named = analysis.rename({0: "Mo", 2: "V_Se"})
    assert named.motifs.labels is analysis.motifs.labels
    assert [motif["name"] for motif in named.summary()["motifs"]][:3] == ["Mo", "motif 1", "V_Se"]
    said = {(row["motif"], row["name"]) for row in named.table().to_pylist()}
    assert said >= {(0, "Mo"), (1, None), (2, "V_Se")}
    drawn = [text.get_text() for text in named.plot.layout().get_legend().get_texts()]
    assert any(text.startswith("V_Se (") for text in drawn)
    assert "V_Se" in named._repr_html_()
    assert "3 × Mo" in named.summary()["motifs"][1]["shell"]


def test_merged_motifs_are_one(analysis: Analysis) -> None:
    rows = np.isin(analysis.motifs.labels, (1, 2))
    merged = analysis.merge([2, 1], "Se site")
    assert (merged.motifs.labels[rows] == 2).all()
    np.testing.assert_array_equal(merged.motifs.labels[~rows], analysis.motifs.labels[~rows])
    assert merged.motifs.counts[1] == 0
    assert merged.motifs.name(2) == "Se site"
    assert len(set(merged.motifs.identities[rows].tolist())) == 1
    assert (merged.motifs.confidence >= analysis.motifs.confidence - 1e-6).all()
    assert merged.summary()["n_motifs"] == analysis.summary()["n_motifs"] - 1
    check_what_follows(merged)


def test_environments_follow_what_a_column_and_its_neighbours_are(analysis: Analysis) -> None:
    """Merged motifs make one environment of those that they told apart, and split ones two of one."""

    def kinds(analysis: Analysis, motif: int) -> dict[int, int]:
        found = analysis.motifs.environments[analysis.motifs.labels == motif]
        return dict(zip(*(x.tolist() for x in np.unique(found[found >= 0], return_counts=True)), strict=True))

    beside_vacancies = len(kinds(analysis, 0)) - 1
    assert beside_vacancies > 1  # of the metal, each in another direction
    merged = analysis.merge([1, 2])
    assert list(kinds(merged, 0).values()) == [sum(kinds(analysis, 0).values())]
    split = merged.split(1)
    assert sorted(kinds(split, 0).values()) == sorted(kinds(analysis, 0).values())
    assert len(kinds(analysis.merge([0, 1, 2]), 0)) < len(set(analysis.motifs.environments.tolist()))
    near = np.linalg.norm(analysis.points - np.array(analysis.micrograph.shape) / 2, axis=1)
    rows = np.flatnonzero((analysis.motifs.labels == 1) & (near < 60))[:4]
    odd = analysis.assign(rows, "odd")
    assert len(kinds(odd, 0)) > len(kinds(analysis, 0))
    fewer = analysis.remove_columns(analysis.points[rows])
    assert len(kinds(fewer, 0)) > len(kinds(analysis, 0))
    for back in (odd.assign(rows, 1), fewer.add_columns(analysis.points[rows])):
        np.testing.assert_array_equal(back.motifs.environments, analysis.motifs.environments)
        np.testing.assert_allclose(
            back.motifs.environment_confidence, analysis.motifs.environment_confidence, atol=0.05
        )


def test_doubt_between_merged_motifs_is_gone(analysis: Analysis) -> None:
    """A column that is one of two motifs, and it is not known which, is surely one of both together."""
    unsure = analysis.motifs.confidence.copy()
    vacancies = analysis.motifs.labels == 2
    unsure[vacancies] = 0.6
    motifs = dataclasses.replace(analysis.motifs, confidence=unsure)
    doubtful = dataclasses.replace(analysis, motifs=motifs)
    whole = analysis.whole & vacancies
    assert doubtful.merge([1, 2]).motifs.confidence[whole].min() > 0.95
    assert doubtful.merge([0, 2]).motifs.confidence[whole].max() < 0.65


@pytest.mark.parametrize("by", ["intensity", "layout"])
def test_what_was_merged_is_found_again(analysis: Analysis, by: str) -> None:
    split = analysis.merge([1, 2]).split(1, by, parts=2, names=["dim"])
    assert split.motifs.name(len(analysis.motifs.counts)) == "dim"
    again = split.motifs.labels == len(analysis.motifs.counts)
    if by == "intensity":
        np.testing.assert_array_equal(again, analysis.motifs.labels == 2)
    assert 0 < again.sum() < (analysis.motifs.labels == 1).sum()
    check_what_follows(split)


def test_a_motif_is_divided_by_its_environments_and_domains(analysis: Analysis) -> None:
    split = analysis.split(0, "environment")
    assert len(split.motifs.counts) > len(analysis.motifs.counts)
    check_what_follows(split)
    with pytest.raises(StageError, match="motif 0 do not make two parts by domain"):
        analysis.split(0, "domain")
    halves = (analysis.points[:, 0] > 100).astype(np.int32)
    motifs = dataclasses.replace(analysis.motifs, domains=halves)
    split = dataclasses.replace(analysis, motifs=motifs).split(0, "domain")
    assert sorted(split.motifs.counts[[0, -1]]) == sorted(np.bincount(halves[analysis.motifs.labels == 0]))
    np.testing.assert_array_equal(split.motifs.identities, analysis.motifs.identities)


def test_columns_are_assigned_by_mask_row_and_place(analysis: Analysis) -> None:
    rows = np.flatnonzero(analysis.motifs.labels == 0)[10:14]
    mask = np.zeros(len(analysis.points), bool)
    mask[rows] = True
    number = len(analysis.motifs.counts)
    for columns in (mask, rows, analysis.points[rows] + 0.4):
        found = analysis.assign(columns, "strange")
        assert np.flatnonzero(found.motifs.labels == number).tolist() == rows.tolist()
        assert (found.motifs.confidence[rows] == 1).all()
    check_what_follows(found)
    more = found.assign([0], "strange")  # a name that is there
    assert more.motifs.counts[number] == 5
    check_what_follows(more.assign(mask, 0))
    none = found.assign(rows, None)
    assert (none.motifs.labels[rows] == -1).all()
    assert none.motifs.counts[number] == 0
    check_what_follows(none)
    split = analysis.split(0, rows, names=["strange"])
    np.testing.assert_array_equal(split.motifs.labels, found.motifs.labels)


def test_columns_taken_away_and_added_again_are_what_they_were(analysis: Analysis) -> None:
    rows = np.random.default_rng(0).choice(len(analysis.points), 12, replace=False)
    less = analysis.remove_columns(analysis.points[rows])
    assert len(less.columns) == len(analysis.columns) - 12
    check_what_follows(less)
    kept = np.delete(np.arange(len(analysis.points)), rows)
    np.testing.assert_array_equal(less.layout, analysis.layout[kept])
    np.testing.assert_array_equal(less.motifs.labels, analysis.motifs.labels[kept])
    seen = analysis.points[rows] + np.random.default_rng(1).normal(0, 0.5, (12, 2))
    again = less.add_columns(seen)
    check_what_follows(again)
    order = np.lexsort(again.columns.points[:, ::-1].T)
    np.testing.assert_array_equal(order, np.arange(len(order)))
    match = match_points(again.points, analysis.points, 1.0)
    assert len(match.found) == len(analysis.points)
    same = again.motifs.labels[match.found] == analysis.motifs.labels[match.reference]
    assert same.mean() > 0.995
    old = np.isin(match.reference, kept)
    np.testing.assert_array_equal(again.layout[match.found[old]], analysis.layout[match.reference[old]])
    np.testing.assert_array_equal(again.moments[match.found[old]], analysis.moments[match.reference[old]])


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda a: a.rename({99: "x"}), "no column has motif 99; choose from motifs 0, 1"),
        (lambda a: a.rename({}), "there are 0 names"),
        (lambda a: a.rename({0: " "}), "a name is ' '"),
        (lambda a: a.rename({0: "a\nb"}), "that can be printed"),
        (lambda a: a.rename({0: "a\u202eb"}), "that can be printed"),
        (lambda a: a.rename({0: "x" * 61}), "1 to 60 characters"),
        (lambda a: a.rename({0: "same", 1: "same"}), "called same already"),
        (lambda a: a.rename({0: "motif 1"}), "choose a name, not a number"),
        (lambda a: a.merge([1]), "two different ones"),
        (lambda a: a.merge([1, 1]), "two different ones"),
        (lambda a: a.merge([1, 77]), "no column has motif 77"),
        (lambda a: a.split(0, "colour"), "by is 'colour'; choose one of intensity"),
        (lambda a: a.split(0, parts=1), "parts is 1"),
        (lambda a: a.split(0, parts=7), "motif 0 do not make 7 parts by intensity"),
        (lambda a: a.split(0, a.motifs.labels == 1), "not of motif 0"),
        (lambda a: a.split(0, a.motifs.labels == 0), "all .* columns of motif 0"),
        (lambda a: a.assign([], "x"), "0 columns are chosen|array of float64"),
        (lambda a: a.assign([10**6], "x"), "column 1000000 of"),
        (lambda a: a.assign([[-50.0, 3.0]], "x"), "1 of 1 columns are not there, such as at .-50.00, 3.00"),
        (lambda a: a.assign([[np.nan, 3.0]], "x"), "not finite"),
        (lambda a: a.add_columns([a.points[5]]), "1 of 1 columns are there already"),
        (lambda a: a.add_columns([[1e4, 1e4]]), "1 of 1 columns are outside the image or on no data"),
        (lambda a: a.remove_columns([[1e4, 1e4]]), "1 of 1 columns are not there"),
        (lambda a: a.remove_columns(np.ones(len(a.points), bool)), "keep one at least"),
    ],
)
def test_what_cannot_be_done_is_said(analysis: Analysis, edit: Callable[[Analysis], Any], text: str) -> None:
    with pytest.raises(StageError, match=text):
        edit(analysis)


def test_edits_stay_on_the_device(xp_array: Callable[[Any], Any]) -> None:
    image = simulate.monolayer("MoSe2", (150, 150), lattice_constant=16.0, vacancies=0.1, seed=1).image
    made = analyze(xp_array(image), structure=False)
    analysis = analyze(image, structure=False, backend="numpy")
    place = analysis.points[40]
    edits: list[Callable[[Analysis], Analysis]] = [
        lambda a: a.merge([1, 2], "Se"),
        lambda a: a.split(1),
        lambda a: a.assign([place], "odd"),
        lambda a: a.remove_columns([place]),
        lambda a: a.add_columns([place]),
    ]
    here, there = analysis, made
    for edit in edits:
        here, there = edit(here), edit(there)
        assert type(there.motifs.labels) is type(made.motifs.labels)
        assert type(there.averages.patches) is type(made.averages.patches)
        assert to_numpy(there.motifs.counts).tolist() == here.motifs.counts.tolist()
    assert there.motifs.names == here.motifs.names
    restored = io.BytesIO()
    np.save(restored, to_numpy(there.layout))  # and comes to the host when it is asked to
    assert len(there.decisions) == 5


@pytest.mark.parametrize(
    "names", [("<script>alert(1)</script>", "=1+1", "$x^{$"), ("_hidden", '"; do = 1', "'a'")]
)
def test_any_name_is_a_name_and_no_more(analysis: Analysis, tmp_path: Path, names: tuple[str, ...]) -> None:
    named = analysis.rename(dict(enumerate(names)))
    legend = named.plot.layout().get_legend()
    legend.figure.canvas.draw()
    named.plot.class_averages().canvas.draw()
    shown = [text.get_text() for text in legend.get_texts()]
    assert all(any(name.strip("_$^{") in text for text in shown) for name in names)
    assert not any(cell.strip('"').startswith("=") for cell in as_csv(named.table()).decode().split(","))
    assert "<script>alert" not in named._repr_html_()
    again = Analysis.load(named.save(tmp_path / "a.zip"))
    assert again.motifs.names[:3] == names


def test_new_motifs_take_no_number_of_the_dictionary(analysis: Analysis) -> None:
    """A dictionary's motif that does not occur keeps its number and its name."""
    motifs = dataclasses.replace(analysis.motifs, names=("Mo", "Se2", "V_Se", "W", "Fe", "V2"))
    known = dataclasses.replace(analysis, motifs=motifs)
    split = known.split(0, np.flatnonzero(analysis.motifs.labels == 0)[:2])
    assert split.motifs.name(6) == "motif 6"
    assert split.motifs.counts[6] == 2
    assert known.assign([3], "Fe").motifs.labels[3] == 4
    assert known.assign([3], "dirt").motifs.names[4:] == ("Fe", "V2", "dirt")


def test_what_is_drawn_and_said_does_not_mind_motifs_without_columns(analysis: Analysis) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        merged = analysis.merge([1, 2])
        page = render(merged, {}, linked=False)
        merged.plot.class_averages().canvas.draw()
        merged.plot.shells().figure.canvas.draw()
        merged.plot.symmetry().figure.canvas.draw()
        merged._repr_html_()
        merged.motifs._repr_html_()
    assert "motifs 1, 2 are one" in page
