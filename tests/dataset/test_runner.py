from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.datasets import tables, write_scan, write_scans

from motifgpu import Run, analyze, dataset
from motifgpu.core import device, namespace
from motifgpu.options import Options
from motifgpu.pipeline import analyze_batch


def test_a_run_finds_what_analyze_finds(scans: Path, undisturbed: Run) -> None:
    micrographs = undisturbed.micrographs.to_pylist()
    assert [Path(row["source"]).name for row in micrographs] == [f"scan{k:02d}.npz" for k in range(4)]
    for row in micrographs:
        alone = analyze(row["source"])
        table = undisturbed.columns(row["micrograph"]).to_pydict()
        np.testing.assert_array_equal(table["row_px"], alone.columns.points[:, 0])
        np.testing.assert_array_equal(undisturbed.moments(row["micrograph"]), alone.moments)
        motif = [label for label in table["motif"] if label is not None]
        np.testing.assert_array_equal(motif, alone.motifs.labels)
        x = [place for place in table["layout_x"] if place is not None]
        np.testing.assert_array_equal(np.float32(x), alone.layout[:, 0])
        assert row["points"] == len(alone.points)
        assert row["explained"] == pytest.approx(alone.motifs.confidence.mean(), abs=1e-6)


@pytest.mark.slow
def test_two_processes_give_the_same_bytes_whatever_files_are_called(tmp_path: Path) -> None:
    folder = write_scans(tmp_path / "in", 3)
    odd = {"scan00.npz": "Probe 7 µm – «ø».npz", "scan01.npz": os.fsdecode(b"bad-\xff.npz")}
    for name, other in odd.items():
        try:
            (folder / name).rename(folder / other)
        except OSError:
            pytest.skip("the file system takes no such names")
    told: list[tuple[str, float]] = []
    run = dataset.run(folder, tmp_path / "two.motif", workers=2, progress=lambda *said: told.append(said))
    assert sorted(Path(path).name for path in run.micrographs["source"].to_pylist()) == [
        "Probe 7 µm – «ø».npz",
        "bad-\\xff.npz",
        "scan02.npz",
    ]
    assert any("/s, " in text and " left" in text for text, _ in told)
    assert told[-2][1] == 1.0
    assert run.about["last_call"]["peak_bytes"] > 0
    assert dataset.run(folder, run.path, workers=1).about["last_call"]["files"] == 0
    assert tables(dataset.run(folder, tmp_path / "one.motif", workers=1).path) == tables(run.path)
    assert "Probe 7 µm" in run.report().read_text()


@pytest.mark.slow
def test_two_processes_may_analyse_equal_content_at_the_same_time(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_scan(tmp_path / "in" / "scan0.npz", 1, side=512)
    for k in range(1, 8):  # a batch each, of which two workers get four at once
        shutil.copy(tmp_path / "in" / "scan0.npz", tmp_path / "in" / f"scan{k}.npz")
    run = dataset.run(tmp_path / "in", tmp_path / "two.motif", workers=2)
    assert 1 <= run.about["last_call"]["files"] <= 8
    assert len(run.micrographs) == 8
    assert len(list((run.path / "details").iterdir())) == 1
    assert tables(dataset.run(tmp_path / "in", tmp_path / "one.motif", workers=1).path) == tables(run.path)
    assert dataset.check(run.path).damage == ()


def test_company_does_not_change_a_micrograph(scans: Path) -> None:
    paths = sorted(scans.glob("*.npz"))
    together = analyze_batch([*paths, scans / "damaged.npy", np.zeros((64, 64))])
    assert [type(one).__name__ for one in together] == [
        *["Analysis"] * 4,
        "MicrographReadError",
        "StageError",
    ]
    for path, one in zip(paths, together, strict=False):
        alone = analyze(path)
        assert not isinstance(one, Exception)
        for mine, theirs in (
            (one.layout, alone.layout),
            (one.graph.indices, alone.graph.indices),
            (one.graph.weights, alone.graph.weights),
            (one.graph.indptr, alone.graph.indptr),
            (one.motifs.labels, alone.motifs.labels),
            (one.motifs.environments, alone.motifs.environments),
        ):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)


def test_one_of_a_batch_that_cannot_be_laid_out_spoils_none(scans: Path, tmp_path: Path) -> None:
    few = write_scan(tmp_path / "few.npz", 1, side=90)
    found = analyze_batch([sorted(scans.glob("*.npz"))[0], few], Options(n_neighbors=20))
    assert [isinstance(one, Exception) for one in found] == [False, True]
    assert "k is 19" in str(found[1])


@pytest.mark.gpu
def test_a_gpu_gives_what_analyze_gives_there(scans: Path, tmp_path: Path) -> None:
    problem = device.gpu_problem()
    if problem:
        pytest.skip(f"no usable GPU: {problem}")
    run = dataset.run(scans, tmp_path / "o", backend="cupy")
    assert run.about["last_call"]["files"] == 5
    for row in run.micrographs.to_pylist():
        alone = analyze(row["source"], backend="cupy")
        np.testing.assert_array_equal(run.moments(row["micrograph"]), namespace.to_numpy(alone.moments))
        motifs = [label for label in run.columns(row["micrograph"])["motif"].to_pylist() if label is not None]
        np.testing.assert_array_equal(motifs, namespace.to_numpy(alone.motifs.labels))
