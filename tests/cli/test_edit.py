"""The command edit, and names on their way through the other commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from motifgpu import Analysis, MotifDictionary, analyze, cli, read_decisions, simulate

RENAME = """
[[decision]]
do = "rename"
motifs = [0, 1]
names = ["Mo", "=1+1"]
"""


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for seed in (0, 1):
        made = simulate.monolayer("MoSe2", (160, 160), lattice_constant=16.0, vacancies=0.08, seed=seed)
        np.save(folder / f"scan{seed}.npy", made.image)
    return folder


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.slow
def test_names_go_from_a_file_to_reports_dictionaries_and_runs(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, out = str(scans / "scan0.npy"), str(scans / "scan1.npy"), tmp_path / "out"
    assert cli.main(["analyze", first, "-o", str(out), "--still", "-q"]) == 0
    folder, file = out / "scan0", tmp_path / "decisions.toml"
    file.write_text(RENAME)
    capsys.readouterr()

    every = tmp_path / "all.toml"
    edit = ["edit", str(folder), "--apply", str(file), "--decisions", str(every), "--json"]
    assert cli.main(edit) == 0
    found = said(capsys)
    assert (found["new"], found["known"], found["misfits"]) == (1, 0, [])
    assert "=1+1" in (folder / "report.html").read_text()
    with open(folder / "columns.csv", newline="") as lines:
        assert {row["name"] for row in csv.DictReader(lines)} == {"Mo", "'=1+1", ""}
    assert [decision.names for decision in read_decisions(every)] == [("Mo", "=1+1")]

    before = (folder / "analysis.zip").read_bytes()
    assert cli.main(edit) == 0
    assert said(capsys)["new"] == 0
    assert (folder / "analysis.zip").read_bytes() == before
    assert cli.main(["edit", str(folder)]) == 0
    assert "1 decision, none new" in capsys.readouterr().out

    known = str(tmp_path / "known.motifs")
    assert cli.main(["dictionary", "learn", known, str(folder)]) == 0
    assert cli.main(["dictionary", "rename", known, "2=V_Se"]) == 0
    assert MotifDictionary.load(known).names == ("Mo", "=1+1", "V_Se")
    assert cli.main(["analyze", second, "-o", str(out), "--dictionary", known, "--still", "-q"]) == 0
    summary = json.loads((out / "scan1" / "summary.json").read_text())
    assert {"Mo", "V_Se"} <= {motif["name"] for motif in summary["motifs"]}
    assert cli.main(["run", second, "-o", str(tmp_path / "run"), "--dictionary", known, "-q"]) == 0
    assert cli.main(["export", str(tmp_path / "run"), str(tmp_path / "all.csv")]) == 0
    with open(tmp_path / "all.csv", newline="") as lines:
        assert {row["name"] for row in csv.DictReader(lines)} >= {"Mo", "'=1+1", "V_Se"}


def test_decisions_are_carried_out_once(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = analyze(np.load(scans / "scan0.npy"), structure=False).save(tmp_path / "analysis.zip")
    file, every = tmp_path / "decisions.toml", tmp_path / "all.toml"
    file.write_text(RENAME)
    edit = ["edit", str(tmp_path), "--apply", str(file), "--decisions", str(every), "--json"]
    assert cli.main(edit) == 0
    found = said(capsys)
    assert (found["new"], found["known"], found["misfits"]) == (1, 0, [])
    assert Analysis.load(path).motifs.names == ("Mo", "=1+1")
    assert [decision.names for decision in read_decisions(every)] == [("Mo", "=1+1")]
    before = path.read_bytes()
    assert cli.main([*edit, "--apply", str(every)]) == 0
    assert said(capsys)["new"] == 0
    assert path.read_bytes() == before
    assert cli.main(["edit", str(path)]) == 0
    assert "motif 0 is called Mo; motif 1 is called =1+1" in capsys.readouterr().out
    known = str(tmp_path / "known.motifs")
    assert cli.main(["dictionary", "learn", known, str(tmp_path)]) == 0
    assert cli.main(["dictionary", "rename", known, "2=V_Se"]) == 0
    assert MotifDictionary.load(known).names == ("Mo", "=1+1", "V_Se")


def test_what_does_not_fit_has_an_exit_code(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = analyze(np.load(scans / "scan0.npy"), structure=False).save(tmp_path / "a.zip")
    file = tmp_path / "decisions.toml"
    file.write_text('[[decision]]\ndo = "merge"\nmotifs = [0, 77]')
    out = tmp_path / "b.zip"
    assert cli.main(["edit", str(path), "--apply", str(file), "-o", str(out)]) == 3
    assert "does not fit: no column has motif 77" in capsys.readouterr().out
    assert not Analysis.load(path).decisions
    assert Analysis.load(out).decisions[0].misfit


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["edit", "."], 1, "holds no analysis.zip; give the folder of one micrograph"),
        (["edit", "no.zip"], 1, "No such file"),
        (["dictionary", "rename", "no.motifs", "2=V"], 1, "no.motifs"),
    ],
)
def test_what_is_missing_is_said(
    arguments: list[str], code: int, text: str, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == code
    assert text in capsys.readouterr().err
