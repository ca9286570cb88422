"""Runs whose folder is damaged: nothing else is read, and the same command makes it as it was."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.datasets import tables, write_scans

from motifgpu import Run, check, cli, dataset
from motifgpu.cli.options import DONE, FAILED
from motifgpu.core.errors import StageError
from motifgpu.dataset import tasks
from motifgpu.store import layout
from motifgpu.store.entries import entry_name
from motifgpu.store.sealed import seal_damage, write_sealed

KINDS = ("columns", "moments.zarr", "details", "results", "files")
TABLES = (layout.MICROGRAPHS, layout.COUNTS, layout.MOTIFS, layout.OCCURRENCES, layout.HIERARCHY)


@pytest.fixture
def store(undisturbed: Run, tmp_path: Path) -> Path:
    shutil.copytree(undisturbed.path, tmp_path / "o")
    return tmp_path / "o"


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    bit = random.Random(len(data)).randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


HARMS: dict[str, Callable[[Path], object]] = {
    "flipped": _flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "deleted": Path.unlink,
}


def _one(store: Path, kind: str) -> Path:
    """Return a file of a kind, one of a micrograph."""
    if (store / kind).is_file():
        return store / kind
    known = Run(store).find("scan01.npz")
    own = entry_name(known.source) if kind == "files" else known.key.partition("-")[0]
    return next(path for path in sorted((store / kind).rglob("*")) if path.is_file() and own in str(path))


@pytest.mark.parametrize("harm", HARMS)
def test_damage_anywhere_is_noticed_and_the_same_command_repairs_it(
    harm: str, scans: Path, undisturbed: Run, store: Path
) -> None:
    # One file of each kind at once: the run has to be put together again from what is left.
    for path in [_one(store, kind) for kind in (*KINDS, *TABLES, layout.QUARANTINE, layout.RUN)]:
        HARMS[harm](path)
    assert len(check(store).damage) >= len(TABLES) + 3
    for ask in (lambda run: run.counts, lambda run: run.micrographs, lambda run: run.quarantine):
        with pytest.raises(StageError, match="run the same command again"):
            ask(Run(store))
    run = dataset.run(scans, store, workers=1)
    assert tables(store) == tables(undisturbed.path)
    assert check(store).damage == ()
    assert run.about["last_call"]["files"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_results_are_never_read_as_others(kind: str, store: Path) -> None:
    reads: list[Callable[[Run], object]] = [
        lambda run: run.columns("scan01.npz"),
        lambda run: run.moments("scan01.npz"),
        lambda run: run.thumbnail("scan01.npz"),
    ]
    _flip(_one(store, kind))
    refused = 0
    for read in reads:
        try:
            read(Run(store))
        except StageError as error:
            refused += "damaged" in str(error)
    assert refused >= 1


_SLOW = "columns", "moments.zarr", "details"


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(name, marks=pytest.mark.slow if name in _SLOW else ())
        for name in (*KINDS, "run.json and its copy")
    ],
)
def test_a_store_without_a_part_goes_on(gone: str, scans: Path, undisturbed: Run, store: Path) -> None:
    if gone in KINDS:
        shutil.rmtree(store / gone)
    else:
        (store / layout.RUN).unlink()
        (store / layout.RUN_COPY).write_text("{")
        with pytest.raises(StageError, match=r"copy are damaged .* run the same command again"):
            Run(store)
        with pytest.raises(StageError, match="of other parameters or of another version"):
            dataset.run(scans, store, workers=1, seed=3)
    run = dataset.run(scans, store, workers=1)
    again = {"files": 0, "run.json and its copy": 0, "results": 5}.get(gone, 4)
    assert run.about["last_call"]["files"] == again
    assert tables(store) == tables(undisturbed.path)


def test_check_says_what_is_damaged_and_repairs_just_that(
    scans: Path, undisturbed: Run, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", str(store), "-q"]) == DONE
    assert "all is as it was written" in capsys.readouterr().out
    (store / layout.COUNTS).unlink()
    _flip(_one(store, "details"))
    before = {path: path.stat().st_mtime_ns for path in (store / "columns").iterdir()}
    assert cli.main(["check", str(store), "-q"]) == FAILED
    told = capsys.readouterr().out
    assert "counts.parquet is missing" in told
    assert f"is damaged (its checksum does not hold) ({scans / 'scan01.npz'})" in told
    assert cli.main(["check", str(store), "--repair", "-q", "--workers", "1"]) == DONE
    assert "2 repaired" in capsys.readouterr().out
    assert tables(store) == tables(undisturbed.path)
    assert sum(path.stat().st_mtime_ns != time for path, time in before.items()) == 1
    assert cli.main(["check", str(store), "--json"]) == DONE


def test_what_cannot_be_made_again_is_named(tmp_path: Path) -> None:
    folder = write_scans(tmp_path / "in", 3)
    run = dataset.run(folder, tmp_path / "o", workers=1, structure=False)
    _flip(run.path / "details" / f"{run.find('scan01.npz').key}.json")
    (folder / "scan01.npz").unlink()
    (folder / "scan02.npz").unlink()  # whose results are whole
    again = dataset.run(folder, run.path, workers=1, structure=False)
    assert [Path(path).name for path in again.micrographs["source"].to_pylist()] == [
        "scan00.npz",
        "scan02.npz",
    ]
    [line] = [line for line in again.quarantine if line["status"] == "lost"]
    assert line["path"] == str(folder / "scan01.npz")
    assert "the file is gone" in line["reason"]
    found = check(run.path, repair=True, workers=1)
    assert len(found.lost) == len(found.damage) == 1
    assert len(Run(run.path).columns("scan02.npz")) > 0
    write_scans(folder, 3)  # it is there again
    healed = dataset.run(folder, run.path, workers=1, structure=False)
    assert len(healed.micrographs) == 3
    assert check(run.path).damage == ()


@pytest.mark.slow
def test_a_dictionary_that_is_damaged_is_learned_again(tmp_path: Path) -> None:
    folder = write_scans(tmp_path / "in", 3)
    run = dataset.run(folder, tmp_path / "o", workers=1, structure=False, pooled=True)
    before = (run.path / layout.DICTIONARY).read_bytes()
    HARMS["cut"](run.path / layout.DICTIONARY)
    again = dataset.run(folder, run.path, workers=1, structure=False, pooled=True)
    assert again.about["last_call"]["files"] == 0
    assert (run.path / layout.DICTIONARY).read_bytes() == before


def test_a_sealed_file_knows_when_it_was_changed(tmp_path: Path) -> None:
    for name in ("a.html", "a.toml"):
        path = write_sealed(tmp_path / name, "some\ntext\n")
        assert seal_damage(path) == ""
        for k in range(len(path.read_bytes()) * 8):
            data = bytearray(path.read_bytes())
            data[k // 8] ^= 1 << k % 8
            (tmp_path / f"b{path.suffix}").write_bytes(data)
            assert seal_damage(tmp_path / f"b{path.suffix}")


def test_calling_again_reads_no_input_that_is_whole(
    scans: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "facts_of", lambda path: pytest.fail(f"{path} was read"))
    dataset.run(scans, store, workers=1)
