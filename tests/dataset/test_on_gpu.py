"""Runs on a GPU: one worker and several, interrupted, with the motifs of a dictionary and pooled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.backends import maker
from support.datasets import tables, write_scans

from motifgpu import Run, analyze, dataset
from motifgpu.core.namespace import to_numpy

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    maker("cupy")
    return write_scans(tmp_path_factory.mktemp("scans"), 3)


@pytest.fixture(scope="module")
def one(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return dataset.run(scans, tmp_path_factory.mktemp("run") / "one.motif", workers=1, backend="cupy")


def test_a_run_has_what_analyze_gives(one: Run) -> None:
    rows = one.micrographs.to_pylist()
    assert one.about["last_call"]["files"] == 4
    assert len(rows) == 3
    for row in rows:
        alone = analyze(row["source"], backend="cupy")
        np.testing.assert_array_equal(one.moments(row["micrograph"]), to_numpy(alone.moments))
        motifs = [label for label in one.columns(row["micrograph"])["motif"].to_pylist() if label is not None]
        np.testing.assert_array_equal(motifs, to_numpy(alone.motifs.labels))


def test_several_workers_and_a_resumed_run_give_the_same(one: Run, scans: Path, tmp_path: Path) -> None:
    wanted = tables(one.path)
    several = dataset.run(scans, tmp_path / "several.motif", workers=2, backend="cupy")
    assert tables(several.path) == wanted
    part = dataset.run(scans, tmp_path / "resumed.motif", shard=(1, 2), workers=1, backend="cupy")
    assert part.about["last_call"]["files"] < 4
    resumed = dataset.run(scans, tmp_path / "resumed.motif", workers=1, backend="cupy")
    assert tables(resumed.path) == wanted


def test_shared_motifs(scans: Path, tmp_path: Path) -> None:
    pooled = dataset.run(scans, tmp_path / "pooled.motif", pooled=True, workers=1, backend="cupy")
    assert len(pooled.micrographs) == 3
    named = dataset.run(
        scans, tmp_path / "named.motif", dictionary=pooled.path / "dictionary.npz", workers=1, backend="cupy"
    )
    for row in named.micrographs.to_pylist():
        columns = [run.columns(row["micrograph"])["motif"].to_pylist() for run in (pooled, named)]
        assert columns[0] == columns[1]
