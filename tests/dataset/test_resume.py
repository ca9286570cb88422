from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from support.datasets import tables, write_scan, write_scans

from motifgpu import Run, dataset
from motifgpu.core.errors import StageError
from motifgpu.dataset import tasks


def test_running_again_does_nothing(scans: Path, undisturbed: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(undisturbed.path)

    def never(*args: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr(tasks, "load", never)
    told: list[str] = []
    again = dataset.run(scans, undisturbed.path, workers=1, progress=lambda text, _: told.append(text))
    assert told == ["5 of 5 files, 1 in quarantine"]
    assert tables(again.path) == before


def test_other_parameters_need_another_folder(scans: Path, undisturbed: Run) -> None:
    with pytest.raises(StageError, match=r"holds a run with seed 0, not 7.*choose another folder"):
        dataset.run(scans, undisturbed.path, workers=1, seed=7)
    assert Run(undisturbed.path).about["parameters"]["seed"] == 0


def test_new_files_are_added_and_changed_ones_replaced(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out.motif"
    folder.mkdir()
    first = write_scan(folder / "a.npz", 1)
    run = dataset.run(folder, out, workers=1)
    old = run.micrographs["key"][0].as_py()
    write_scan(folder / "b.npz", 2)
    write_scan(first, 3)
    os.utime(first, ns=(1, 1))
    run = dataset.run(folder, out, workers=1)
    keys = run.micrographs["key"].to_pylist()
    assert len(keys) == 2
    assert old not in keys
    assert run.micrographs["micrograph"].to_pylist() == [str(first), str(folder / "b.npz")]
    assert sorted(path.stem[:22] for path in (out / "columns").iterdir()) == sorted(keys)
    fresh = dataset.run(folder, tmp_path / "fresh.motif", workers=1)
    assert tables(fresh.path) == tables(run.path)


def test_what_killed_runs_leave_is_swept(scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.motif"
    shutil.copytree(undisturbed.path, out)
    (out / "columns" / ".half.parquet.1-2.part").write_bytes(b"PAR1")
    (out / "columns" / f"{'0' * 20}-0-{'1' * 20}.parquet").write_bytes(b"of a file that changed since")
    (out / "moments.zarr" / ".half.1-2.part" / "c").mkdir(parents=True)
    (out / ".run.json.1-2.part").write_text("{")
    run = dataset.run(scans, out, workers=1)
    assert tables(run.path) == tables(undisturbed.path)
    assert not list(out.rglob("*.part"))


def test_a_vanished_input_folder_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = write_scans(tmp_path / "in", 4), tmp_path / "o"
    real = tasks.read_file
    read: list[str] = []

    def vanishing(path: str, *args: object, **more: object) -> object:
        if len(read) == 2:
            folder.rename(tmp_path / "away")
        read.append(path)
        return real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tasks, "read_file", vanishing)
    with pytest.raises(StageError, match=r"the input folder .* is gone.*what is finished is kept"):
        dataset.run(folder, out, workers=1)
    assert json.loads((out / "run.json").read_text())["state"] == "stopped"
    kept = len(list((out / "files").glob("[0-9a-f]*.json")))
    assert kept >= 1
    monkeypatch.undo()
    (tmp_path / "away").rename(folder)
    done = dataset.run(folder, out, workers=1)
    assert done.about["last_call"]["files"] == 5 - kept
    assert len(done.micrographs) == 4


@pytest.mark.parametrize(
    ("written", "code"),
    [
        pytest.param(0, 28, marks=pytest.mark.slow),
        pytest.param(9, 30, marks=pytest.mark.slow),
        (25, 28),
        pytest.param(60, 30, marks=pytest.mark.slow),
    ],
)
def test_a_disk_that_takes_no_more_ends_the_run_clearly_and_loses_nothing(
    scans: Path,
    undisturbed: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: int,
    code: int,
) -> None:
    real, calls, text = os.fsync, [], os.strerror(code)  # no space left, or a read-only file system

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > written:
            raise OSError(code, text)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((StageError, OSError), match=text):
        dataset.run(scans, tmp_path / "o", workers=1)
    monkeypatch.undo()
    assert not list((tmp_path / "o").rglob("*.part"))
    assert tables(dataset.run(scans, tmp_path / "o", workers=1).path) == tables(undisturbed.path)
