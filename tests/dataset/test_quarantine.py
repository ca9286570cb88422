from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from support.datasets import write_scan, write_scans
from support.format_samples import MICROSCOPE, PLAIN
from support.mutations import mutations

from motifgpu import Run, dataset
from motifgpu.dataset import tasks
from motifgpu.options import Options
from motifgpu.store.entries import DONE, QUARANTINED, UNREAD, read_entries


def test_a_damaged_file_is_in_quarantine_with_its_reason(scans: Path, undisturbed: Run) -> None:
    [line] = undisturbed.quarantine
    assert line["path"] == str(scans / "damaged.npy")
    assert line["reason"]
    assert undisturbed.about["found"]["quarantined"] == 1
    assert undisturbed.about["state"] == "complete"


def test_a_file_that_breaks_the_analysis_is_quarantined(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tasks.analyze_batch

    def breaks(micrographs: list, options: Options) -> list:
        if any(one.source.endswith("scan02.npz") for one in micrographs):
            raise ZeroDivisionError("a bug")
        return real(micrographs, options)

    monkeypatch.setattr(tasks, "analyze_batch", breaks)
    run = dataset.run(scans, tmp_path / "o", workers=1)
    reasons = {Path(line["path"]).name: line["reason"] for line in run.quarantine}
    assert "ZeroDivisionError: a bug" in reasons["scan02.npz"]
    assert len(run.micrographs) == 3
    monkeypatch.undo()
    assert len(dataset.run(scans, tmp_path / "o", workers=1).micrographs) == 3  # it is known
    run = dataset.run(scans, tmp_path / "o", workers=1, retry=True)
    assert len(run.micrographs) == 4
    assert [Path(line["path"]).name for line in run.quarantine] == ["damaged.npy"]


def test_one_image_of_several_may_fail(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    image = np.load(write_scan(tmp_path / "a.npz", 1))["image"]
    np.savez(folder / "two.npz", first=image, flat=np.zeros((64, 64), np.float32))
    run = dataset.run(folder, tmp_path / "o", workers=1)
    assert run.micrographs["title"].to_pylist() == ["first"]
    [line] = run.quarantine
    assert line["title"] == "flat"
    assert "the image is constant" in line["reason"]
    named = dataset.run(folder, tmp_path / "named", workers=1, signal="first")
    assert len(named.micrographs) == 1
    assert named.quarantine == []


def test_a_file_that_could_not_be_opened_for_a_while_is_done_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_scans(tmp_path / "in", 2)
    real = tasks.facts_of

    def busy(path: str) -> dict:
        if path.endswith("scan01.npz"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(tasks, "facts_of", busy)
    run = dataset.run(folder, tmp_path / "o", workers=1)
    assert {Path(line["path"]).name: line["status"] for line in run.quarantine} == {
        "damaged.npy": QUARANTINED,
        "scan01.npz": UNREAD,
    }
    assert len(run.micrographs) == 1
    monkeypatch.undo()
    run = dataset.run(folder, tmp_path / "o", workers=1)
    assert len(run.micrographs) == 2
    assert [Path(line["path"]).name for line in run.quarantine] == ["damaged.npy"]
    assert len(list((run.path / "files").iterdir())) == 3


def test_a_folder_that_cannot_be_searched_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, locked = tmp_path / "in", str(tmp_path / "in" / "locked")
    os.makedirs(locked)
    write_scan(folder / "a.npz", 1)
    write_scan(folder / "locked" / "b.npz", 2)
    real = os.scandir

    def refused(path: str) -> object:
        if os.fspath(path) == locked:
            raise PermissionError(13, "Permission denied")
        return real(path)

    for given in (folder, f"{folder}/**/*.npz"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", refused)
            run = dataset.run(given, tmp_path / "o", workers=1, structure=False)
        assert [(line["path"], line["reason"]) for line in run.quarantine] == [(locked, "Permission denied")]
        assert len(run.micrographs) == 1
    run = dataset.run(folder, tmp_path / "o", workers=1, structure=False)
    assert run.quarantine == []
    assert len(run.micrographs) == 2


def test_what_was_found_in_a_file_stays_while_it_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = write_scan(tmp_path / "a.npz", 1)
    first = dataset.run(scan, tmp_path / "o", workers=1, structure=False)

    def busy(path: str) -> dict:
        raise PermissionError(13, "Permission denied", path)

    scan.touch()
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "facts_of", busy)
        run = dataset.run(scan, first.path, workers=1, structure=False)
    assert [(line["status"], line["reason"]) for line in run.quarantine] == [(UNREAD, "Permission denied")]
    assert len(run.columns("a.npz")) == run.micrographs["columns"][0].as_py()
    again = dataset.run(scan, first.path, workers=1, structure=False)
    assert again.quarantine == []
    assert again.about["last_call"]["files"] == 0


@pytest.mark.slow
def test_mutations_of_every_format_end_as_results_or_in_quarantine(tmp_path: Path) -> None:
    pytest.importorskip("rsciio")
    pytest.importorskip("h5py")
    folder = tmp_path / "in"
    folder.mkdir()
    number = 0
    for name, write in {**PLAIN, **MICROSCOPE}.items():
        sample = tmp_path / name
        write(sample)
        for k, (_, damaged) in enumerate(mutations(sample.read_bytes(), 76, 7)):
            (folder / f"{sample.stem}-{k:02d}{sample.suffix}").write_bytes(damaged)
            number += 1
    run = dataset.run(folder, tmp_path / "o", workers=2, seconds=20)
    assert number >= 76 * len(PLAIN)
    found = {*run.micrographs["source"].to_pylist(), *(line["path"] for line in run.quarantine)}
    entries, _ = read_entries(run.path)
    assert found == {str(path) for path in folder.iterdir()} == {entry.path for entry in entries}
    assert {entry.status for entry in entries} <= {DONE, QUARANTINED}
    # Some of the damage gives the same content twice, which one name of a format is computed for.
    contents = {(path.suffix, path.read_bytes()) for path in folder.iterdir()}
    assert len(list((run.path / "results").iterdir())) == len(contents)
    assert all(line["reason"] for line in run.quarantine)
    assert "report.html" in str(run.report())
