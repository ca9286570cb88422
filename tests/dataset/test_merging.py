from __future__ import annotations

from pathlib import Path

import pytest
from support.datasets import tables

from motifgpu import Run, dataset
from motifgpu.core.errors import StageError


def test_shards_and_merge_give_the_whole(scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    out = tmp_path / "sharded.motif"
    for i in (1, 2, 3):
        part = dataset.run(scans, out, workers=1, shard=(i, 3))
        assert part.about["state"] == "sharded"
    assert tables(dataset.merge(out).path) == tables(undisturbed.path)


def test_runs_of_different_folders_merge(scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    files = sorted(scans.iterdir())
    one = dataset.run(files[:2], tmp_path / "one.motif", workers=1)
    two = dataset.run(files[2:], tmp_path / "two.motif", workers=1)
    whole = dataset.merge([one.path, two.path], tmp_path / "whole.motif")
    assert tables(whole.path) == tables(undisturbed.path)
    with pytest.raises(StageError, match="2 runs and no folder"):
        dataset.merge([one.path, two.path])
    other = dataset.run(files[1:2], tmp_path / "other.motif", workers=1, seed=1)
    with pytest.raises(StageError, match="seed"):
        dataset.merge([one.path, other.path], tmp_path / "mixed.motif")
