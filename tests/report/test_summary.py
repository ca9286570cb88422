"""An analysis in numbers and sentences."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from motifgpu import Analysis, Micrograph, NeighborShells, analyze, simulate
from motifgpu.features.windows import gaps, window

TRUTH = simulate.monolayer(
    "MoSe2", (200, 216), counts=30, angle=7, vacancies=0.06, dopants={"W": 0.03}, seed=3
)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(Micrograph(TRUTH.image, TRUTH.pixel_size_nm, "a/scan.npy", "scan"))


@pytest.fixture(scope="module")
def forgotten(analysis: Analysis) -> Analysis:
    """The same, with every third column unassigned."""
    motifs, labels = analysis.motifs, np.array(analysis.motifs.labels)
    labels[::3] = -1
    counts = np.bincount(labels[labels >= 0], minlength=len(motifs.counts))
    return replace(analysis, motifs=replace(motifs, labels=labels, counts=counts))


def test_summary_is_json_and_adds_up(analysis: Analysis) -> None:
    summary = json.loads(json.dumps(analysis.summary()))
    assert sum(motif["count"] for motif in summary["motifs"]) == summary["points"] == len(analysis.points)
    assert sum(motif["fraction"] for motif in summary["motifs"]) == pytest.approx(1)
    assert (summary["columns"], summary["source"]) == (len(analysis.columns), "a/scan.npy")
    counts = [motif["count"] for motif in summary["motifs"] if motif["label"] >= 0]
    assert counts == analysis.motifs.counts.tolist()
    assert summary["n_motifs"] == len(counts)
    assert summary["motif_cell_places"] == len(analysis.hierarchy.occurrences)
    assert summary["parameters"] == analysis.parameters
    assert "3 × motif 1" in summary["motifs"][0]["shell"]


def test_densities_are_per_area(analysis: Analysis) -> None:
    area = TRUTH.image.size * TRUTH.pixel_size_nm**2
    for motif in analysis.summary()["motifs"]:
        assert motif["per_nm2"] == pytest.approx(motif["count"] / area)
    unknown = replace(analysis, micrograph=replace(analysis.micrograph, pixel_size_nm=None))
    assert {motif["per_nm2"] for motif in unknown.summary()["motifs"]} == {None}


def test_unassigned_columns_come_last(forgotten: Analysis) -> None:
    *named, last = forgotten.summary()["motifs"]
    assert (last["label"], last["count"]) == (-1, int((forgotten.motifs.labels < 0).sum()))
    assert last["shell"] == ""
    assert [motif["count"] for motif in named] == forgotten.motifs.counts.tolist()


@pytest.mark.parametrize(
    ("multisets", "text"),
    [
        (((((0, 0, 1), 3), ((0, 1, 1), 1)),), "2 × motif 0 + 1 × motif 1 (around 75 % of them)"),
        (((((-1, 4), 1),),), "1 × unassigned + 1 × motif 4 (around all of them)"),
        (((((), 2), ((0,), 2)),), "nothing (around 50 % of them)"),
        (((),), ""),
    ],
)
def test_the_nearest_shell_is_said_in_words(analysis: Analysis, multisets: Any, text: str) -> None:
    number = len(analysis.motifs.counts)
    shells = NeighborShells(
        analysis.shells.radii,
        analysis.shells.columns,
        analysis.shells.mean,
        (multisets[0:1] * number,) if multisets else (),
    )
    assert replace(analysis, shells=shells).summary()["motifs"][0]["shell"] == text


def test_warnings_name_what_is_unsure_or_missing(analysis: Analysis, forgotten: Analysis) -> None:
    def told(**changes: Any) -> str:
        return " | ".join(replace(analysis, **changes).warnings)

    unsure = replace(analysis.patch_size, confidence=0.1)
    assert f"{unsure.pixels:.1f} px has a confidence of only 0.10; compare" in told(patch_size=unsure)
    assert "confidence" not in told()
    unassigned = int((forgotten.motifs.labels < 0).sum())
    assert f"{unassigned} columns belong to no motif" in forgotten.warnings
    assert "there is no lattice: no rings" in told(hierarchy=None, no_lattice="no rings")
    unwanted = {**analysis.parameters, "structure": False}
    assert "lattice" not in told(hierarchy=None, no_lattice="not looked for", parameters=unwanted)
    tied = replace(analysis.graph, tied=np.ones_like(analysis.graph.tied))
    assert f"{int(analysis.whole.sum())} columns have neighbours at equal distance" in told(graph=tied)
    assert set(analysis.hierarchy.warnings) <= set(analysis.warnings)
    said = ("the image was inverted", "a pixel was left out")
    columns = replace(analysis.columns, notes=said)
    assert replace(analysis, columns=columns).warnings[:2] == list(said)
    assert "the image was inverted" in repr(columns)


def test_numbers_of_an_analysis_need_no_matplotlib() -> None:
    """A run writes them for every micrograph, in processes that draw nothing."""
    code = "import sys, motifgpu.report.summary, motifgpu.column_table; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_is_special_is_said_in_words() -> None:
    """Rare motifs by the sites that they are on, dimmer or brighter: vacancies and dopants as made."""
    truth = simulate.monolayer("MoSe2", (260, 260), counts=60, vacancies=0.05, dopants={"W": 0.05}, seed=4)
    found = analyze(Micrograph(truth.image, truth.pixel_size_nm), structure=False)
    assert len(found.motifs.counts) == 4
    centre = found.averages.patches[
        2:, found.averages.patches.shape[1] // 2, found.averages.patches.shape[2] // 2
    ]
    vacancy, dopant = 2 + int(centre.argmin()), 2 + int(centre.argmax())
    named = found.rename({0: "Mo", 1: "Se2", vacancy: "V_Se", dopant: "W"})
    text = named.summary()["in_words"]
    assert text.startswith(f"{len(found.points):,} atom columns in 4 motifs. ")
    for name, label, rest in (("V_Se", vacancy, r"Se2, \d+ % dimmer"), ("W", dopant, r"Mo, \d+ % brighter")):
        share = 100 * float((found.motifs.labels == label).mean())
        count = int(found.motifs.counts[label])
        assert re.search(rf"{count} {name} \({share:.1f} %, \S+ per nm²\) on sites of {rest}", text)
    means, order = np.array(named.motifs.means), named.parameters["order"]
    middle = window(order) - gaps(means[1], order)
    means[vacancy] = means[1] - 1.1 * (means[1] @ middle) / (middle @ middle) * middle
    dark = replace(named, motifs=replace(named.motifs, means=means)).summary()["in_words"]
    assert re.search(r"V_Se \(.*\) on sites of Se2, as dark as what is between columns", dark)
    perfect = simulate.monolayer("MoSe2", (160, 160), counts=60, seed=4)
    assert (
        analyze(perfect.image, structure=False)
        .summary()["in_words"]
        .endswith(" atom columns in 2 motifs, none of them rare: motif 0 and motif 1.")
    )
    one = found.merge([0, 1, 2, 3])
    assert one.summary()["in_words"].startswith(f"{len(found.points):,} atom columns, all of one motif: ")
