"""Runs whose micrographs share the motifs of a dictionary."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.datasets import tables

from motifgpu import dataset, simulate
from motifgpu.columns.matching import match_points
from motifgpu.core.errors import StageError
from motifgpu.dataset import tasks
from motifgpu.dataset.job import Job
from motifgpu.dataset.plan import plan_run
from motifgpu.dataset.pooled import sampled
from motifgpu.dataset.results import Run
from motifgpu.dictionary import MotifDictionary
from motifgpu.options import Options

N, SIDE = 6, 256


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for seed in range(N):
        made = simulate.monolayer(
            shape=(SIDE, SIDE), counts=30, vacancies=0.02 * seed, angle=9.0 * seed, seed=seed
        )
        truth = {"points": made.points, "names": np.array(made.names)[made.labels]}
        np.savez(folder / f"scan{seed}.npz", image=made.image, pixel_size_nm=made.pixel_size_nm)
        np.savez(folder / f"truth{seed}.npz", **truth)
    return folder


@pytest.fixture(scope="module")
def pooled(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("run") / "out.motif"
    return dataset.run(f"{scans}/scan*.npz", out, pooled=True, workers=1)


def test_shared_motifs_are_the_true_ones_at_the_planted_densities(scans: Path, pooled: Run) -> None:
    kinds: dict[int, set[str]] = {}
    for seed, row in enumerate(pooled.micrographs.to_pylist()):
        with np.load(scans / f"truth{seed}.npz") as archive:
            points, names = archive["points"], archive["names"]
        columns = [c for c in pooled.columns(row["micrograph"]).to_pylist() if c["motif"] is not None]
        places = np.array([(c["row_px"], c["col_px"]) for c in columns])
        pairs = match_points(places, points, 4.0)
        for mine, theirs in zip(pairs.found, pairs.reference, strict=True):
            if columns[mine]["motif"] >= 0:
                kinds.setdefault(columns[mine]["motif"], set()).add(str(names[theirs]))
        inside = np.all((points >= -0.5) & (points <= SIDE - 0.5), axis=1)
        vacancies = int((names[inside] == "V_Se").sum())
        counts = [c for c in pooled.counts.to_pylist() if c["micrograph"] == row["micrograph"]]
        assert [c["motif"] for c in counts] == [-1, 0, 1, 2]
        [found] = [c for c in counts if c["motif"] == 2]
        assert abs(found["count"] - vacancies) <= max(0.1 * vacancies, np.sqrt(vacancies))
        if vacancies:
            assert found["per_nm2_low"] < vacancies / row["area_nm2"] < found["per_nm2_high"]
    assert kinds == {0: {"Mo"}, 1: {"Se2"}, 2: {"V_Se"}} or kinds == {0: {"Se2"}, 1: {"Mo"}, 2: {"V_Se"}}


def test_motifs_over_all_micrographs(pooled: Run) -> None:
    rows = pooled.motifs.to_pylist()
    assert [row["name"] for row in rows] == [None, "motif 0", "motif 1", "motif 2"]
    assert all(row["micrograph"] is None for row in rows)
    counts = pooled.counts.to_pylist()
    area = sum(row["area_nm2"] for row in pooled.micrographs.to_pylist())
    for row in rows:
        mine = [c["count"] for c in counts if c["motif"] == row["motif"]]
        assert row["count"] == sum(mine)
        assert row["micrographs"] == sum(count > 0 for count in mine)
        assert row["per_nm2"] == pytest.approx(sum(mine) / area)
        assert row["per_nm2_low"] <= row["per_nm2"] < row["per_nm2_high"]
    middles = [
        np.reshape(row["average"], (row["average_side"],) * 2)[16:22, 16:22].mean() for row in rows[1:]
    ]
    assert middles[2] < min(middles[:2])  # a vacancy is darker than both


def test_hierarchies_merge_without_reserve(pooled: Run) -> None:
    assert pooled.hierarchy is not None
    assert pooled.hierarchy.micrographs == N
    assert not any("its own motifs" in text for text in pooled.hierarchy.warnings)
    singles = [node for node in pooled.hierarchy.nodes if node.level == 1]
    assert max(node.count for node in singles) > 10  # single vacancies of all micrographs are one motif-cell


@pytest.mark.slow
def test_the_same_micrograph_has_the_same_labels_in_whatever_run(
    scans: Path, pooled: Run, tmp_path: Path
) -> None:
    file = pooled.path / "dictionary.npz"
    few = dataset.run(
        [scans / "scan3.npz", scans / "scan1.npz"], tmp_path / "few", dictionary=file, workers=1
    )
    loaded = MotifDictionary.load(file)
    alone = dataset.run(scans / "scan3.npz", tmp_path / "alone", dictionary=loaded, workers=2)
    for run in (few, alone):
        for path in (run.path / "columns").iterdir():
            assert path.read_bytes() == (pooled.path / "columns" / path.name).read_bytes()
    assert alone.about["parameters"]["dictionary"] == loaded.digest


def test_a_pooled_run_goes_on_with_its_dictionary(scans: Path, pooled: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.motif"
    shutil.copytree(pooled.path, out)
    for path in list((out / "results").iterdir())[:2]:
        path.unlink()
    before = (out / "dictionary.npz").read_bytes()
    shutil.rmtree(out / "sample.motif")  # it is needed no more
    again = dataset.run(f"{scans}/scan*.npz", out, pooled=True, workers=1)
    assert again.about["last_call"]["files"] == 2
    assert (out / "dictionary.npz").read_bytes() == before
    assert tables(out) == tables(pooled.path)
    part = dataset.run(f"{scans}/scan*.npz", out, pooled=True, workers=1, shard=(1, 2))
    assert part.about["last_call"]["files"] == 0


def test_a_run_without_dictionary_needs_another_folder(scans: Path, pooled: Run, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"holds a run with dictionary '[0-9a-f]{64}', not None"):
        dataset.run(scans / "scan1.npz", pooled.path, workers=1)
    with pytest.raises(StageError, match="pooled is True and there is a dictionary"):
        dataset.run(scans, tmp_path / "o", pooled=True, dictionary="x.npz")
    with pytest.raises(StageError, match="shards cannot learn a dictionary together"):
        dataset.run(scans, tmp_path / "o", pooled=True, shard=(1, 2))
    with pytest.raises(StageError, match="there is no option 'dictionary_file'"):
        dataset.run(scans, tmp_path / "o", dictionary_file="x.npz")
    with pytest.raises(StageError, match="n_motifs is 3"):
        dataset.run(
            scans / "scan1.npz",
            tmp_path / "o",
            dictionary=pooled.path / "dictionary.npz",
            n_motifs=3,
            workers=1,
        )


def test_renamed_motifs_have_their_names_in_the_tables(pooled: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.motif"
    shutil.copytree(pooled.path, out)
    other = MotifDictionary.load(out / "dictionary.npz").renamed({2: "V_Se"})
    assert other.digest == pooled.about["parameters"]["dictionary"]  # names are not what labels depend on
    other.save(out / "dictionary.npz")
    run = dataset.merge(out)
    assert run.motifs.to_pylist()[3]["name"] == "V_Se"
    assert "V_Se" in run.report().read_text()


def test_a_dictionary_that_is_damaged_or_another_ends_the_run(
    scans: Path, pooled: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out.motif"
    shutil.copytree(pooled.path, out)
    moments = pooled.moments(pooled.micrographs["micrograph"][0].as_py())
    other = MotifDictionary.learn_pooled(np.array(moments))
    other.save(out / "dictionary.npz")
    new = tmp_path / "new.npz"
    np.savez(new, image=np.load(scans / "scan1.npz")["image"])
    for folder, why in ((out, "is not the dictionary"), (tmp_path / "nowhere", "No such file")):
        [summary] = tasks.process([str(new)], _job(pooled, folder))
        assert summary["status"] == tasks.STOP
        assert why in summary["reason"]
    known = MotifDictionary.load(pooled.path / "dictionary.npz")
    with pytest.raises(StageError, match="is not the dictionary that the run began with"):
        dataset.run(f"{scans}/scan*.npz", out, dictionary=known, workers=1)


def _job(run: Run, out: Path) -> Job:
    return Job(str(out), Options(), digest=run.about["parameters"]["dictionary"])


def test_a_micrograph_of_another_crystal_comes_first_in_the_report(
    scans: Path, pooled: Run, tmp_path: Path
) -> None:
    other = tmp_path / "other.npz"
    made = simulate.monolayer("WS2", (SIDE, SIDE), counts=30)
    np.savez(other, image=made.image, pixel_size_nm=made.pixel_size_nm)
    run = dataset.run(
        [scans / "scan1.npz", other], tmp_path / "o", dictionary=pooled.path / "dictionary.npz", workers=1
    )
    explained = {Path(row["source"]).name: row["explained"] for row in run.micrographs.to_pylist()}
    assert explained["scan1.npz"] > 0.98
    assert explained["other.npz"] < 0.7
    text = run.report().read_text()
    assert text.index("other.npz") < text.index("scan1.npz")


def test_samples_are_spread_and_seeded() -> None:
    files = [f"{k:04d}" for k in range(1000)]
    chosen = sampled(files, 64, 0)
    assert chosen == sampled(files, 64, 0) == sorted(set(chosen))
    assert chosen != sampled(files, 64, 1)
    parts = [int(name) * 64 // 1000 for name in chosen]
    assert len(chosen) == 64
    assert np.abs(np.array(parts) - np.arange(64)).max() <= 1
    assert sampled(files[:10], 64, 0) == files[:10]


def test_a_sample_of_nothing_but_bad_files(tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"no image")
    with pytest.raises(StageError, match="none of the 1 sampled files can be analysed"):
        dataset.run(tmp_path / "bad.npy", tmp_path / "o", pooled=True, workers=1)


def test_a_plan_counts_files_columns_and_bytes(scans: Path, pooled: Run) -> None:
    plan = plan_run(f"{scans}/scan*.npz", workers=1, pooled=True)
    assert plan.files == N
    assert plan.bytes == sum(path.stat().st_size for path in scans.glob("scan*.npz"))
    found = pooled.about["found"]
    assert found["columns"] >= found["points"]
    assert plan.columns == pytest.approx(found["columns"], rel=0.02)
    assert plan.points == pytest.approx(found["points"], rel=0.02)
    kept = [path for path in pooled.path.rglob("*") if path.is_file() and "sample.motif" not in path.parts]
    assert plan.store_bytes == pytest.approx(sum(path.stat().st_size for path in kept), rel=0.5)
    assert plan.seconds > plan.cpu_seconds > 0
    assert "6 files" in str(plan)
    assert plan.summary()["batches"] == plan.batches > 0
    with pytest.raises(StageError, match="none of 3 files can be analysed"):
        plan_run(f"{scans}/truth*.npz", workers=1)
