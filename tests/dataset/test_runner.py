from __future__ import annotations

import json
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.datasets import tables, write_scan, write_scans
from support.format_samples import MICROSCOPE, PLAIN
from support.mutations import mutations

from motifgpu import analyze, dataset
from motifgpu.core import device, namespace
from motifgpu.core.errors import StageError
from motifgpu.dataset import inputs, schedule, tasks
from motifgpu.dataset.lock import locked
from motifgpu.dataset.results import Run
from motifgpu.options import Options
from motifgpu.pipeline import analyze_batch
from motifgpu.store.read import read_records


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scans(tmp_path_factory.mktemp("scans"), 4)


@pytest.fixture(scope="module")
def undisturbed(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return dataset.run(scans, tmp_path_factory.mktemp("run") / "out.motif", workers=1)


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


def test_a_damaged_file_is_in_quarantine_with_its_reason(scans: Path, undisturbed: Run) -> None:
    [line] = undisturbed.quarantine
    assert line["path"] == str(scans / "damaged.npy")
    assert line["reason"]
    assert undisturbed.about["found"]["quarantined"] == 1
    assert undisturbed.about["state"] == "complete"


def test_running_again_does_nothing(scans: Path, undisturbed: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(undisturbed.path)

    def never(*args: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr(tasks, "load", never)
    told: list[str] = []
    again = dataset.run(scans, undisturbed.path, workers=1, progress=lambda text, _: told.append(text))
    assert told == ["5 of 5 files, 1 in quarantine"]
    assert tables(again.path) == before


def test_two_processes_give_the_same_bytes(scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    run = dataset.run(scans, tmp_path / "two.motif", workers=2, progress=lambda *said: told.append(said))
    assert tables(run.path) == tables(undisturbed.path)
    assert any("/s, " in text and " left" in text for text, _ in told)
    assert told[-2][1] == 1.0
    assert run.about["last_call"]["peak_bytes"] > 0


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
    few = write_scan(tmp_path / "few.npz", 1, side=72)
    found = analyze_batch([sorted(scans.glob("*.npz"))[0], few], Options(n_neighbors=20))
    assert [isinstance(one, Exception) for one in found] == [False, True]
    assert "k is 19" in str(found[1])


def test_new_files_are_added_and_changed_ones_replaced(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out.motif"
    folder.mkdir()
    first = write_scan(folder / "a.npz", 1)
    run = dataset.run(folder, out, workers=1)
    old = run.micrographs["micrograph"][0].as_py()
    write_scan(folder / "b.npz", 2)
    write_scan(first, 3)
    os.utime(first, ns=(1, 1))
    run = dataset.run(folder, out, workers=1)
    names = run.micrographs["micrograph"].to_pylist()
    assert len(names) == 2
    assert old not in names
    assert sorted(path.stem for path in (out / "columns").iterdir()) == sorted(names)
    fresh = dataset.run(folder, tmp_path / "fresh.motif", workers=1)
    assert tables(fresh.path) == tables(run.path)


def test_equal_files_are_one_micrograph_under_the_first_name(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_scan(folder / "b.npz", 1)
    shutil.copy(folder / "b.npz", folder / "c.npz")
    run = dataset.run(folder, tmp_path / "out.motif", workers=1)
    assert [Path(path).name for path in run.micrographs["source"].to_pylist()] == ["b.npz"]
    shutil.copy(folder / "b.npz", folder / "a.npz")
    run = dataset.run(folder, tmp_path / "out.motif", workers=1)
    assert [Path(path).name for path in run.micrographs["source"].to_pylist()] == ["a.npz"]


def test_other_parameters_need_another_folder(scans: Path, undisturbed: Run) -> None:
    with pytest.raises(StageError, match=r"holds a run with seed 0, not 7.*choose another folder"):
        dataset.run(scans, undisturbed.path, workers=1, seed=7)
    assert Run(undisturbed.path).about["parameters"]["seed"] == 0


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


@pytest.mark.parametrize("shard", [(0, 2), (3, 2)])
def test_shards_out_of_range(scans: Path, tmp_path: Path, shard: tuple[int, int]) -> None:
    with pytest.raises(StageError, match="give i/n"):
        dataset.run(scans, tmp_path / "o", shard=shard)


def test_two_runs_in_one_folder(scans: Path, undisturbed: Run) -> None:
    with (
        locked(undisturbed.path),
        pytest.raises(StageError, match=rf"process {os.getpid()} on .* is at work in .*; wait"),
    ):
        dataset.run(scans, undisturbed.path, workers=1)
    with (
        locked(undisturbed.path, (1, 2)),
        locked(undisturbed.path, (2, 2)),
        pytest.raises(StageError, match="at work"),
        locked(undisturbed.path),
    ):
        pass
    with (
        locked(undisturbed.path, (1, 2)),
        pytest.raises(StageError, match="at work"),
        locked(undisturbed.path, (1, 2)),
    ):
        pass
    with locked(undisturbed.path):  # nothing is left behind
        pass


def test_what_killed_runs_leave_is_swept(scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.motif"
    shutil.copytree(undisturbed.path, out)
    (out / "columns" / ".half.parquet.1-2.part").write_bytes(b"PAR1")
    (out / "columns" / "0123456789abcdef0123-0.parquet").write_bytes(b"of a file that changed since")
    (out / "moments.zarr" / ".half.1-2.part" / "c").mkdir(parents=True)
    (out / ".run.json.1-2.part").write_text("{")
    run = dataset.run(scans, out, workers=1)
    assert tables(run.path) == tables(undisturbed.path)
    assert not list(out.rglob("*.part"))


def test_inputs_are_walked_sorted_and_taken_once(scans: Path, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for name in ("z.npz", "y.NPZ", "notes.txt", ".hidden.npz"):
        shutil.copy(scans / "scan00.npz", deep / name)
    walked = inputs.expand(tmp_path, tmp_path / "out.motif")
    assert [Path(path).name for path in walked] == ["y.NPZ", "z.npz"]
    pattern = f"{tmp_path}/**/*.npz"
    assert inputs.expand([pattern, deep / "z.npz", deep], tmp_path / "o") == walked
    with pytest.raises(StageError, match=r"no file matches .*\.dm9"):
        inputs.expand(f"{tmp_path}/*.dm9", tmp_path / "o")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StageError, match="holds no file of a known format"):
        inputs.expand(tmp_path / "empty", tmp_path / "o")
    with pytest.raises(StageError, match="there are no paths"):
        inputs.expand([], tmp_path / "o")


def test_options_are_checked_before_anything_is_written(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="there is no option 'neighbours'"):
        dataset.run(scans, tmp_path / "o", neighbours=10)
    assert not (tmp_path / "o").exists()
    with pytest.raises(StageError, match="workers is 0"):
        dataset.run(scans, tmp_path / "o", workers=0)


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
    kept = len(list((out / "files").glob("*.json")))
    assert kept >= 1
    monkeypatch.undo()
    (tmp_path / "away").rename(folder)
    done = dataset.run(folder, out, workers=1)
    assert done.about["last_call"]["files"] == 5 - kept
    assert len(done.micrographs) == 4


@pytest.mark.parametrize(("code", "text"), [(28, "No space left on device"), (30, "Read-only file system")])
@pytest.mark.parametrize("written", [0, 9, 25, 60])
def test_a_disk_that_takes_no_more_ends_the_run_clearly_and_loses_nothing(
    scans: Path,
    undisturbed: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    text: str,
    written: int,
) -> None:
    real, calls = os.fsync, []

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


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser writes everywhere")
def test_a_folder_that_cannot_be_written(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        dataset.run(scans, tmp_path / "locked" / "o", workers=1)


def test_a_path_that_is_no_folder(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        dataset.run(scans, tmp_path / "file" / "o", workers=1)


def test_batches_are_bounded_and_shared(tmp_path: Path) -> None:
    small = [str(write) for write in (tmp_path / f"{k}" for k in range(40))]
    for path in small:
        Path(path).write_bytes(b"x")
    assert [len(batch) for batch in schedule.batches(small, 4, 2)] == [4] * 10
    assert {len(batch) for batch in schedule.batches(small, 64, 4)} == {2}
    assert [len(batch) for batch in schedule.batches(small[:3], 64, 1)] == [1, 1, 1]
    assert schedule.batches([], 4, 2) == []
    with open(small[1], "wb") as large:
        large.truncate(schedule.MOST_BYTES)
    assert [len(batch) for batch in schedule.batches(small, 4, 1)][:2] == [1, 1]


def test_watching_takes_what_appears_and_waits_for_what_grows(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "o"
    made = write_scan(tmp_path / "made.npz", 1).read_bytes()
    states: list[int] = []
    stop = threading.Event()

    def microscope() -> None:
        folder.mkdir()
        (folder / "first.npz").write_bytes(made)
        with open(folder / "second.npz", "wb") as file:
            second = write_scan(tmp_path / "second.npz", 2).read_bytes()
            for k in range(6):  # longer than what is waited for
                file.write(second[k * len(second) // 6 : (k + 1) * len(second) // 6])
                file.flush()
                time.sleep(0.2)
        for _ in range(600):
            if states and states[-1] == 2:
                break
            time.sleep(0.05)
        stop.set()

    thread = threading.Thread(target=microscope)
    thread.start()
    run = dataset.watch(
        folder,
        out,
        settle=0.6,
        every=0.05,
        stop=stop.is_set,
        updated=lambda found: states.append(len(found.micrographs)),
        workers=1,
    )
    thread.join()
    assert states[-1] == 2
    assert run.quarantine == []


def test_reports_show_what_was_found(undisturbed: Run) -> None:
    text = undisturbed.report().read_text()
    for told in ("4</dd>", "damaged.npy", "explained least", "n_neighbors", "scan03.npz"):
        assert told in text
    for forbidden in ("http://", "https://", "<script src", "@import", "url("):
        assert forbidden not in text
    name = undisturbed.micrographs["micrograph"][2].as_py()
    page = undisturbed.report(name)
    assert page == undisturbed.path / "pages" / name / "report.html"
    assert f"pages/{name}/report.html" in undisturbed.report().read_text()
    with pytest.raises(StageError, match="has no micrograph 'nothing'"):
        undisturbed.report("nothing")


def test_a_run_of_nothing_but_bad_files_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"no image")
    run = dataset.run(tmp_path / "bad.npy", tmp_path / "o", workers=1)
    assert len(run.micrographs) == 0
    assert len(run.columns()) == 0
    assert run.hierarchy is None
    assert "bad.npy" in run.report().read_text()


@pytest.mark.parametrize(
    "option",
    [{"smoothing": "blur"}, {"n_neighbors": 1}, {"seed": -1}, {"patch_size": 0.0}, {"pixel_size_nm": -1.0}],
)
def test_options_that_no_micrograph_could_have(scans: Path, tmp_path: Path, option: dict) -> None:
    with pytest.raises(StageError, match=f"run: {next(iter(option))} is"):
        dataset.run(scans, tmp_path / "o", **option)
    assert not (tmp_path / "o").exists()


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
    records = list(read_records(run.path))
    # Some of the damage gives the same file twice: each content has one record.
    assert found == {record["path"] for record in records if record["micrographs"] or record["reason"]}
    assert {record["status"] for record in records} <= {tasks.DONE, tasks.QUARANTINED}
    contents = {path.read_bytes() for path in folder.iterdir()}
    assert len(records) == len(contents)
    assert all(line["reason"] for line in run.quarantine)
    assert "report.html" in str(run.report())


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


def test_a_missing_gpu_is_said_before_anything_is_done(scans: Path, tmp_path: Path) -> None:
    if device.gpu_problem() is None:
        pytest.skip("there is a GPU")
    with pytest.raises(device.GpuMissingError, match="no GPU can be used"):
        dataset.run(scans, tmp_path / "o", backend="cupy")
    assert not (tmp_path / "o").exists()


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
        "damaged.npy": tasks.QUARANTINED,
        "scan01.npz": tasks.UNREAD,
    }
    assert len(run.micrographs) == 1
    monkeypatch.undo()
    run = dataset.run(folder, tmp_path / "o", workers=1)
    assert len(run.micrographs) == 2
    assert [Path(line["path"]).name for line in run.quarantine] == ["damaged.npy"]
    assert not list((run.path / "files").glob("unread-*"))


def test_non_ascii_and_undecodable_names(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    scan = write_scan(tmp_path / "scan.npz", 1).read_bytes()
    (folder / "Probe 7 µm – «ø».npz").write_bytes(scan)
    try:
        (folder / os.fsdecode(b"bad-\xff.npz")).write_bytes(write_scan(tmp_path / "b.npz", 2).read_bytes())
    except OSError:
        pytest.skip("the file system takes no such names")
    run = dataset.run(folder, tmp_path / "o", workers=2)
    assert sorted(Path(path).name for path in run.micrographs["source"].to_pylist()) == [
        "Probe 7 µm – «ø».npz",
        "bad-\ufffd.npz",
    ]
    assert "Probe 7 µm" in run.report().read_text()
    assert dataset.run(folder, tmp_path / "o", workers=1).about["last_call"]["files"] == 0
