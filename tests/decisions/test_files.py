"""Decisions that are kept, and carried out again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from motifgpu import Analysis, Decision, StageError, analyze, read_decisions, simulate, write_decisions

TRUTH = simulate.monolayer("MoSe2", (200, 200), lattice_constant=16.0, vacancies=0.08, seed=5)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(TRUTH.image, structure=False)


def edited(analysis: Analysis) -> Analysis:
    """Return an analysis after a decision of each kind, some of which rest on others."""
    rows = np.flatnonzero(analysis.motifs.labels == 0)
    made = analysis.rename({0: "Mo", 1: "Se2"}).merge([1, 2]).split(1, "intensity", names=["V_Se"])
    made = made.assign(rows[:3], "odd").split(0, rows[5:8]).assign(rows[10:11], None)
    return made.remove_columns(rows[20:22]).add_columns(analysis.points[rows[20:21]]).rename({0: "metal"})


def assert_same(one: Analysis, other: Analysis) -> None:
    np.testing.assert_array_equal(one.points, other.points)
    np.testing.assert_array_equal(one.motifs.labels, other.motifs.labels)
    np.testing.assert_array_equal(one.motifs.confidence, other.motifs.confidence)
    np.testing.assert_array_equal(one.averages.patches, other.averages.patches)
    assert one.motifs.names == other.motifs.names
    assert one.decisions == other.decisions


def test_a_file_makes_the_same_again_and_nothing_the_second_time(analysis: Analysis, tmp_path: Path) -> None:
    made = edited(analysis)
    path = write_decisions(tmp_path / "decisions.toml", made.decisions)
    assert read_decisions(path) == made.decisions
    again = analysis.apply(path)
    assert_same(again, made)
    assert again.apply(path) is again
    assert made.apply(path) is made
    part = analysis.apply(made.decisions[:4])
    assert_same(part.apply(path), made)


def test_the_history_is_kept_in_the_archive(analysis: Analysis, tmp_path: Path) -> None:
    made = edited(analysis)
    again = Analysis.load(made.save(tmp_path / "a.zip"))
    assert_same(again, made)
    assert again.summary()["decisions"] == [str(decision) for decision in made.decisions]
    assert again.apply(made.decisions) is again


def test_the_same_decision_twice_is_two_decisions(analysis: Analysis) -> None:
    made = analysis.rename({0: "a"}).rename({0: "b"}).rename({0: "a"})
    again = analysis.apply(made.decisions)
    assert again.motifs.name(0) == "a"
    assert again.apply(made.decisions) is again


def test_motifs_are_found_by_where_their_columns_are(analysis: Analysis) -> None:
    """In another analysis of the same micrograph motifs have other numbers."""
    decisions = analysis.rename({0: "Mo", 1: "Se2", 2: "V_Se"}).decisions
    labels = analysis.motifs.labels
    turned = np.array([2, 0, 1], np.int32)[labels]
    counts = np.bincount(turned)
    motifs = dataclasses.replace(analysis.motifs, labels=turned, counts=counts)
    other = dataclasses.replace(analysis, motifs=motifs).apply(decisions)
    assert other.motifs.names == ("Se2", "V_Se", "Mo")
    assert not any(decision.misfit for decision in other.decisions)
    assert other.apply(decisions) is other


def test_what_does_not_fit_is_said_and_kept(analysis: Analysis) -> None:
    place = tuple(np.round(analysis.points[30].astype(float), 2).tolist())
    motif = int(analysis.motifs.labels[30])
    decisions = [
        Decision("rename", (motif,), (place,), names=("gone",)),
        Decision("assign", columns=(place, (1000.0, 1000.0)), names=("odd",)),
        Decision("merge", (0, 9)),
        Decision("assign", (2**30,), columns=(place,)),
        Decision("rename", (0,), names=("Mo",)),
    ]
    less = analysis.remove_columns([place])
    found = less.apply(decisions)
    assert found.motifs.name(0) == "Mo"  # what follows a misfit is carried out
    assert [bool(one.misfit) for one in found.decisions] == [False, True, True, True, True, False]
    assert sum("does not fit" in text for text in found.warnings) == 4
    assert found.apply(decisions) is found
    part = analysis.apply(decisions[1:2])
    assert part.motifs.names[-1] == "odd"
    assert part.motifs.counts[-1] == 1
    assert "1 of 2 columns are not there, such as at (1000.00, 1000.00)" in part.warnings[-1]
    unknown = [one for one in found.decisions if one.misfit]
    assert not any(str(one).endswith("()") for one in unknown)


def test_motifs_that_are_one_already(analysis: Analysis) -> None:
    decisions = analysis.merge([1, 2], "Se").decisions
    coarse = analyze(TRUTH.image, structure=False, n_motifs=2).apply(decisions)
    assert not coarse.decisions[-1].misfit
    assert coarse.motifs.counts.tolist()[1:] == [int((coarse.motifs.labels == 1).sum())]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("do = [", "is not TOML"),
        ("x = 1", "no decisions"),
        ('format = "other"', "no decisions"),
        ("schema = 9", "schema 9"),
        ("decision = 3", "no list"),
        ("decision = [3]", "decision 1: it is 3"),
        ('[[decision]]\ndo = "erase"', "do is 'erase'; choose one of rename"),
        ('[[decision]]\ndo = "rename"\nmotif = 2', "it has motif"),
        ('[[decision]]\ndo = "rename"\nmotifs = [2]', "0 names for 1 motifs"),
        ('[[decision]]\ndo = "rename"\nmotifs = [2]\nnames = ["a\\u0007"]', "that can be printed"),
        ('[[decision]]\ndo = "rename"\nmotifs = [2.5]\nnames = ["a"]', "not numbers"),
        ('[[decision]]\ndo = "rename"\nmotifs = [-1]\nnames = ["a"]', "not numbers"),
        ('[[decision]]\ndo = "merge"\nmotifs = [2]', "1 motifs"),
        ('[[decision]]\ndo = "merge"\nmotifs = [2, 3]\nat = [[1, 2]]', "2 motifs and 1 places"),
        ('[[decision]]\ndo = "split"\nmotifs = [2]\nby = "age"', "by is 'age'"),
        ('[[decision]]\ndo = "split"\nmotifs = [2]\nby = "columns"', "0 columns"),
        ('[[decision]]\ndo = "assign"\nnames = ["a"]', "0 columns"),
        ('[[decision]]\ndo = "assign"\nnames = ["a", "b"]\ncolumns = [[1, 2]]', "several names"),
        (
            '[[decision]]\ndo = "assign"\nnames = ["a"]\nmotifs = [1]\ncolumns = [[1, 2]]',
            "a name and a motif",
        ),
        ('[[decision]]\ndo = "add"\ncolumns = [[1, nan]]', "not numbers"),
        ('[[decision]]\ndo = "add"\ncolumns = [[1, 2, 3]]', "not numbers"),
        (f'[[decision]]\ndo = "add"\ncolumns = [[1, 1{"0" * 400}]]', "not numbers"),
        (f"x = {'1' * 5000}", "is not TOML"),
        (f"decision = {'[' * 5000}", "is not TOML"),
    ],
)
def test_files_that_are_none_are_refused_in_words(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "decisions.toml"
    path.write_text(text)
    with pytest.raises(StageError, match=f"decisions: .*{message}"):
        read_decisions(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(StageError, match="is not TOML"):
        read_decisions(path)
