from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.datasets import tables, write_scan

from motifgpu import Run, dataset
from motifgpu.core.errors import StageError
from motifgpu.store import layout


def test_shards_and_merge_give_the_whole(scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    out = tmp_path / "sharded.motif"
    for i in (1, 2, 3):
        part = dataset.run(scans, out, workers=1, shard=(i, 3))
        assert part.about["state"] == "sharded"
        if i < 3:
            missing = "2/3, 3/3 are not done" if i == 1 else "3/3 is not done"
            with pytest.raises(StageError, match=rf"of 3 shards .* {missing}; .*--shard {i + 1}/3"):
                dataset.merge(out)
    assert tables(dataset.merge(out).path) == tables(undisturbed.path)
    assert dataset.merge(out).about["state"] == "complete"  # there is nothing left to wait for


def test_shards_of_several_folders_are_one_run_in_any_order(
    scans: Path, undisturbed: Run, tmp_path: Path
) -> None:
    parts = [dataset.run(scans, tmp_path / f"{i}", workers=1, shard=(i, 3)).path for i in (1, 2, 3)]
    with pytest.raises(StageError, match="2/3 is not done"):
        dataset.merge([parts[2], parts[0]], tmp_path / "o")
    for k, order in enumerate((parts, parts[::-1])):
        merged = dataset.merge(order, tmp_path / f"merged{k}")
        assert tables(merged.path) == tables(undisturbed.path)
        records = {path.name: path.read_bytes() for path in merged.path.glob("[fr]*s/*.json")}
        assert records == {p.name: p.read_bytes() for p in (tmp_path / "merged0").glob("[fr]*s/*.json")}


def test_a_shard_that_was_stopped_or_saw_other_files_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(2):
        write_scan(folder / f"scan{seed}.npz", seed)
    out = tmp_path / "o"

    def stop(text: str, _: float) -> None:
        raise KeyboardInterrupt

    dataset.run(folder, out, workers=1, structure=False, shard=(1, 2))
    with pytest.raises(dataset.RunInterrupted):
        dataset.run(folder, out, workers=1, structure=False, shard=(2, 2), progress=stop)
    with pytest.raises(StageError, match="2/2 is not done"):
        dataset.merge(out)
    write_scan(folder / "added.npz", 5)
    dataset.run(folder, out, workers=1, structure=False, shard=(2, 2))
    with pytest.raises(
        StageError, match=r"the 2 shards .* saw other files \(2 or 3 of them\); run all of them"
    ):
        dataset.merge(out)
    dataset.run(folder, out, workers=1, structure=False, shard=(1, 2))
    whole = dataset.run(folder, tmp_path / "whole", workers=1, structure=False)
    assert tables(dataset.merge(out).path) == tables(whole.path)


def test_runs_of_different_folders_merge(scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    files = sorted(scans.iterdir())
    one = dataset.run(files[:2], tmp_path / "one.motif", workers=1)
    two = dataset.run(files[2:], tmp_path / "two.motif", workers=1)
    whole = dataset.merge([one.path, two.path], tmp_path / "whole.motif")
    assert tables(whole.path) == tables(undisturbed.path)
    with pytest.raises(StageError, match="2 runs and no folder"):
        dataset.merge([one.path, two.path])
    other = dataset.run(files[1:2], tmp_path / "other.motif", workers=1, seed=1)
    for order in ([one.path, other.path], [other.path, one.path]):
        with pytest.raises(StageError, match="seed"):
            dataset.merge(order, tmp_path / "mixed.motif")
    assert not (tmp_path / "mixed.motif").exists()


def _of_another_version(run: Path) -> None:
    about = layout.read_run(run)
    layout.write_run(run, about | {"written_by": "0.0.9"})


def _edited(run: Path) -> None:
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text.replace(layout.read_run(run)["written_by"], "0.0.9"))


def _interrupted(run: Path) -> None:
    layout.write_run(run, layout.read_run(run) | {"state": "interrupted"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_of_another_version, r"version '0\.0\.9'"),
        (_edited, r"run\.json is damaged"),
        (_interrupted, "is not complete: it was interrupted"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_any_order(
    undisturbed: Run, tmp_path: Path, change: Callable[[Path], None], said: str
) -> None:
    for name in ("one", "two"):
        shutil.copytree(undisturbed.path, tmp_path / name)
    change(tmp_path / "two")
    for order in (("one", "two"), ("two", "one")):
        with pytest.raises(StageError, match=said):
            dataset.merge([tmp_path / name for name in order], tmp_path / "o")


def test_folders_that_may_only_be_read_are_merged_and_stay_as_they_are(
    scans: Path, undisturbed: Run, tmp_path: Path
) -> None:
    files = sorted(scans.iterdir())
    parts = [
        dataset.run(some, tmp_path / f"{k}", workers=1).path for k, some in enumerate((files[:2], files[2:]))
    ]
    inside = [path for part in parts for path in (part, *part.rglob("*"))]
    before = {path: path.stat().st_mtime_ns for path in inside}
    for path in inside:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert tables(dataset.merge(parts, tmp_path / "o").path) == tables(undisturbed.path)
        assert {path: path.stat().st_mtime_ns for path in before} == before
    finally:
        for path in inside:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_file_that_several_runs_know_is_what_it_is_now(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    scan = write_scan(folder / "a.npz", 1)
    old = dataset.run(folder, tmp_path / "old", workers=1, structure=False)
    write_scan(scan, 2)
    os.utime(scan, ns=(1, 1))  # the newer content has the older time
    new = dataset.run(folder, tmp_path / "new", workers=1, structure=False)
    for k, order in enumerate(([old.path, new.path], [new.path, old.path])):
        merged = dataset.merge(order, tmp_path / f"merged{k}")
        assert tables(merged.path) == tables(new.path)


def test_results_that_are_damaged_in_one_run_are_named_after_a_merge(
    undisturbed: Run, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed.path, tmp_path / "s")
    key = undisturbed.find("scan01.npz").key
    (tmp_path / "s" / "details" / f"{key}.json").unlink()
    merged = dataset.merge([tmp_path / "s"], tmp_path / "o")
    assert len(merged.micrographs) == 3
    assert [(Path(line["path"]).name, line["status"]) for line in merged.quarantine] == [
        ("damaged.npy", "quarantined"),
        ("scan01.npz", "lost"),
    ]
    assert "run over it again" in json.dumps(merged.quarantine)
