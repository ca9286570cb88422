"""Files that are copied, renamed, replaced and mended: a row a file, each with what its content gives."""

from __future__ import annotations

import html
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.datasets import records, tables, write_scan

from motifgpu import Run, dataset
from motifgpu.core.errors import StageError
from motifgpu.core.files import real_path, shown_path
from motifgpu.dataset import tasks
from motifgpu.figures.runs import plot_micrographs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two micrographs, a.npz and b.npz."""
    (tmp_path / "in").mkdir()
    for seed, name in enumerate("ab"):
        write_scan(tmp_path / "in" / f"{name}.npz", seed)
    return tmp_path / "in"


def _run(folder: Path, **options: Any) -> Run:
    return dataset.run(folder, folder.parent / "o", workers=1, structure=False, **options)


def _sources(run: Run) -> list[str]:
    return [Path(path).name for path in run.micrographs["source"].to_pylist()]


def _is_as_new(run: Run, folder: Path) -> bool:
    """Say whether a run holds the bytes of one that only ever saw the files as they are."""
    fresh = dataset.run(folder, folder.parent / "fresh", workers=1, structure=False)
    return {**tables(run.path), **records(run.path)} == {**tables(fresh.path), **records(fresh.path)}


def test_files_of_equal_content_are_rows_that_share_one_computation(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("c.npz", "d.npz"):
        shutil.copy(folder / "a.npz", folder / name)
    np.save(folder / "flat.npy", np.zeros((64, 64), np.float32))
    shutil.copy(folder / "flat.npy", folder / "flat2.npy")
    run = _run(folder)
    assert run.about["last_call"]["files"] == 3
    names = run.micrographs["micrograph"].to_pylist()
    assert names == [str(folder / f"{name}.npz") for name in "abcd"]
    assert len({*run.micrographs["key"].to_pylist()}) == 2
    assert [Path(line["path"]).name for line in run.quarantine] == ["flat.npy", "flat2.npy"]
    for table in (run.counts, run.motifs, run.columns(), pq.read_table(run.path / "columns")):
        rows = table.to_pylist()
        assert {row["micrograph"] for row in rows} == set(names)
        mine = [[row for row in rows if row["micrograph"] == names[k]] for k in (0, 2)]
        assert [{**row, "micrograph": names[2]} for row in mine[0]] == mine[1]
    assert run.columns("c.npz").num_rows == run.columns("a.npz").num_rows
    monkeypatch.setattr(tasks, "load", lambda *_: pytest.fail("a file was read"))
    assert _sources(_run(folder)) == ["a.npz", "b.npz", "c.npz", "d.npz"]


def test_the_name_of_a_file_goes_with_it(folder: Path) -> None:
    key = _run(folder).find("b.npz").key
    np.save(folder / "e.npy", np.load(folder / "a.npz")["image"])
    _run(folder)
    (folder / "e.npy").rename(folder / "f.npy")
    (folder / "b.npz").rename(folder / "g.npz")
    run = _run(folder)
    assert run.about["last_call"]["files"] == 0
    assert run.micrographs["title"].to_pylist() == ["image", "f", "image"]
    assert _sources(run) == ["a.npz", "f.npy", "g.npz"]
    assert run.find("g.npz").key == key
    assert {row["micrograph"] for row in run.columns().to_pylist()} == {
        *run.micrographs["micrograph"].to_pylist()
    }
    assert _is_as_new(run, folder)


def test_a_file_that_is_gone_stays_unless_another_has_its_content(folder: Path) -> None:
    shutil.copy(folder / "a.npz", folder / "c.npz")
    _run(folder)
    (folder / "b.npz").unlink()
    assert _sources(_run(folder)) == ["a.npz", "b.npz", "c.npz"]
    (folder / "a.npz").unlink()
    run = _run(folder)
    assert _sources(run) == ["b.npz", "c.npz"]
    assert (
        run.moments("c.npz").shape[0] == run.columns("c.npz")["moments_row"].drop_null().to_pylist()[-1] + 1
    )


def _swapped(folder: Path) -> None:
    for old, new in (("a", "t"), ("b", "a"), ("t", "b")):
        (folder / f"{old}.npz").rename(folder / f"{new}.npz")


def _hidden_change(folder: Path) -> None:
    """Put other content of equal size and time in the place of a file."""
    old = (folder / "a.npz").stat()
    data = bytearray((folder / "a.npz").read_bytes())
    (folder / "a.npz").write_bytes((folder / "b.npz").read_bytes()[: len(data)].ljust(len(data), b"\0"))
    os.utime(folder / "a.npz", ns=(old.st_atime_ns, old.st_mtime_ns))
    assert (folder / "a.npz").stat().st_size == old.st_size


CHANGES: dict[str, Callable[[Path], object]] = {
    "the other's content": lambda folder: shutil.copy(folder / "b.npz", folder / "a.npz"),
    "new content": lambda folder: write_scan(folder / "a.npz", 5),
    "no micrograph any more": lambda folder: (folder / "a.npz").write_bytes(b"no"),
    "exchanged": _swapped,
    "equal size and time": _hidden_change,
}


_QUICK = "exchanged", "equal size and time"


@pytest.mark.parametrize(
    "what", [pytest.param(name, marks=() if name in _QUICK else pytest.mark.slow) for name in CHANGES]
)
def test_what_a_file_is_now_is_what_stands_in_the_tables(folder: Path, what: str) -> None:
    _run(folder)
    CHANGES[what](folder)
    assert _is_as_new(_run(folder), folder)


@pytest.mark.parametrize("what", ["new content", pytest.param("the other's content", marks=pytest.mark.slow)])
def test_a_file_that_is_replaced_while_it_is_read_is_read_again(
    folder: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = tasks.read_guarded, []

    def replaced(path: str, *args: object, **more: object) -> object:
        calls.append(path)
        found = real(path, *args, **more)  # type: ignore[arg-type]
        if len(calls) == 1:
            CHANGES[what](folder)
        return found

    monkeypatch.setattr(tasks, "read_guarded", replaced)
    run = _run(folder)
    monkeypatch.undo()
    assert run.quarantine == []
    assert _is_as_new(run, folder)


def test_contents_that_change_under_equal_facts_are_found_when_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # a file system whose inodes and times say nothing
        patch.setattr(
            tasks, "facts_of_state", lambda state: {"bytes": 0, "mtime_ns": 0, "ctime_ns": 0, "inode": 0}
        )
        patch.setattr("motifgpu.dataset.records.facts_of_state", tasks.facts_of_state)
        old = _run(folder).micrographs["sha256"].to_pylist()
        write_scan(folder / "a.npz", 5)
        assert _run(folder).micrographs["sha256"].to_pylist() == old
        new = _run(folder, verify=True).micrographs["sha256"].to_pylist()
    assert [one == other for one, other in zip(old, new, strict=True)] == [False, True]


def test_trying_again_keeps_what_another_file_shares(folder: Path) -> None:
    for name in ("x.npy", "y.npy"):
        (folder / name).write_bytes(b"no micrograph")
    shutil.copy(folder / "a.npz", folder / "c.npz")
    _run(folder)
    shutil.copy(folder / "b.npz", folder / "c.npz")  # has the content of a.npz no more
    shutil.copy(folder / "b.npz", folder / "x.npy")
    run = _run(folder, retry=True)
    assert _sources(run) == ["a.npz", "b.npz", "c.npz", "x.npy"]
    assert run.about["last_call"]["files"] == 2  # those of x.npy, another format, and y.npy
    assert _is_as_new(run, folder)
    os.utime(folder / "a.npz")
    assert _is_as_new(_run(folder), folder)


def test_what_was_quarantined_and_is_removed_leaves_the_list(folder: Path) -> None:
    for name in ("x.npy", "y.npy"):
        (folder / name).write_bytes(b"no micrograph")
    (folder / "away").mkdir()
    (folder / "away" / "z.npy").write_bytes(b"no micrograph either")
    assert len(_run(folder).quarantine) == 3
    (folder / "x.npy").unlink()
    (folder / "away").rename(folder.parent / "away")  # as a disk that is not there today
    assert [Path(line["path"]).name for line in _run(folder).quarantine] == ["z.npy", "y.npy"]


def test_equal_bytes_of_two_formats_are_two_contents(folder: Path) -> None:
    shutil.copy(folder / "a.npz", folder / "c.tif")
    run = _run(folder)
    assert _sources(run) == ["a.npz", "b.npz"]
    assert [Path(line["path"]).name for line in run.quarantine] == ["c.tif"]


@pytest.mark.usefixtures("little_drawn")
@pytest.mark.parametrize(
    "name", [b"m\xb5.npz", b"m\\xb5.npz", "µ 😀\n.npz".encode()], ids=["bytes", "text", "odd"]
)
def test_every_name_that_a_file_can_have_is_a_row(folder: Path, name: bytes) -> None:
    path = os.path.join(folder, os.fsdecode(name))
    try:
        (folder / "a.npz").rename(path)
    except OSError:
        pytest.skip("the file system takes no such names")
    run = _run(folder)
    shown = shown_path(path)
    assert real_path(shown) == path
    assert shown in run.micrographs["micrograph"].to_pylist()
    assert run.columns(path).num_rows == run.columns(shown).num_rows > 0
    if name == b"m\xb5.npz":
        assert run.report("m\\xb5.npz").exists()
    assert _run(folder).about["last_call"]["files"] == 0


@pytest.mark.slow
@pytest.mark.usefixtures("little_drawn")
def test_a_run_may_lie_in_a_folder_of_any_name(folder: Path) -> None:
    out = Path(os.path.join(folder.parent, os.fsdecode(b"o'\\\xb5.motif")))
    try:
        out.mkdir()
    except OSError:
        pytest.skip("the file system takes no such names")
    run = dataset.run(folder, out, workers=1, structure=False)
    text = run.report().read_text()
    assert shown_path(out) in html.unescape(text)
    found = re.search(r"motifgpu report \$'(.*?[^\\])' --micrograph", html.unescape(text))
    assert found is not None
    shown = subprocess.run(["bash", "-c", f"printf %s $'{found[1]}'"], capture_output=True).stdout
    assert shown == os.fsencode(out)
    assert run.report("a.npz").exists()


def test_names_in_several_folders_need_as_much_as_tells_them_apart(folder: Path) -> None:
    for seed, name in ((3, "x"), (4, "y")):
        (folder / name).mkdir()
        write_scan(folder / name / "a.npz", seed)
    run = _run(folder)
    assert run.find("x/a.npz").name == str(folder / "x" / "a.npz")
    assert run.find(run.find("b.npz").key).name == str(folder / "b.npz")
    with pytest.raises(StageError, match=r"3 micrographs of .* are called 'a\.npz': .*give more of the path"):
        run.find("a.npz")
    with pytest.raises(StageError, match=r"no micrograph 'B\.np'; choose b\.npz, say, or another name"):
        run.find("B.np")


def test_images_of_one_file_are_named_by_their_titles(folder: Path) -> None:
    image = np.load(folder / "a.npz")["image"]
    np.savez(folder / "two.npz", first=image, second=image[::-1])
    run = _run(folder)
    names = run.micrographs["micrograph"].to_pylist()[2:]
    assert names == [f"{folder / 'two.npz'} [first]", f"{folder / 'two.npz'} [second]"]
    assert run.columns("two.npz [second]")["micrograph"][0].as_py() == names[1]
    assert run.find("second").name == names[1]


def test_titles_that_are_names_of_files_by_chance_stay(folder: Path) -> None:
    image = np.load(folder / "a.npz")["image"]
    np.savez(folder / "two.npz", two=image, other=image[::-1])
    np.savez(folder / "image.npz", image=image[:, ::-1])
    np.save(folder / "red.npy", np.zeros((24, 24, 3)))
    _run(folder)
    shutil.copy(folder / "two.npz", folder / "other.npz")
    shutil.copy(folder / "red.npy", folder / "blue.npy")
    (folder / "image.npz").rename(folder / "y.npz")
    run = _run(folder)
    titles = dict(zip(_sources(run), run.micrographs["title"].to_pylist(), strict=True))
    assert titles["y.npz"] == "image"
    rows = [row for row in run.micrographs.to_pylist() if Path(row["source"]).stem in ("two", "other")]
    assert sorted(row["title"] for row in rows) == ["other", "other", "two", "two"]
    reasons = {Path(line["path"]).name: line["reason"] for line in run.quarantine}
    assert "'blue'" in reasons["blue.npy"]
    assert "'red'" in reasons["red.npy"]
    assert _is_as_new(run, folder)


def _changed_somehow(folder: Path, pool: Path, moment: random.Random) -> None:
    """Copy, rename, replace, break, link or exchange a file, so that no content is lost for good."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    one, other = moment.choice(files), moment.choice(files)
    new = folder / moment.choice(("c", "d", "sub/e", "sub/two", "µ f"))
    new = new.with_suffix(one.suffix)
    new.parent.mkdir(exist_ok=True)
    fits = [path for path in sorted(pool.iterdir()) if path.suffix == one.suffix]
    how = moment.choice(("copy", "rename", "replace", "quietly", "break", "exchange", "symlink", "hardlink"))
    if how in ("copy", "rename", "symlink", "hardlink") and not os.path.lexists(new):
        {"copy": shutil.copy, "rename": os.rename, "symlink": os.symlink, "hardlink": os.link}[how](one, new)
    elif how in ("replace", "quietly"):
        state = one.stat()
        shutil.copy(moment.choice(fits), one)
        if how == "quietly":
            os.utime(one, ns=(state.st_atime_ns, state.st_mtime_ns))
    elif how == "break":
        one.write_bytes(b"no")
    elif how == "exchange" and one.suffix == other.suffix and one != other:
        one.rename(folder / "between")
        other.rename(one)
        (folder / "between").rename(other)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_after_any_sequence_of_changes_the_tables_say_what_there_is(folder: Path, seed: int) -> None:
    moment, pool = random.Random(seed), folder.parent / "pool"
    image = np.load(folder / "a.npz")["image"]
    np.savez(folder / "two.npz", two=image, b=image[::-1])
    np.save(folder / "red.npy", np.zeros((24, 24, 3)))
    shutil.copytree(folder, pool)
    run = _run(folder)
    for _ in range(3):
        for _ in range(moment.randrange(1, 4)):
            _changed_somehow(folder, pool, moment)
        run = _run(folder, retry=moment.random() < 0.3, verify=moment.random() < 0.2)
    fresh = dataset.run(folder, folder.parent / "fresh", workers=1, structure=False)
    rows, right = ({row["micrograph"]: row for row in r.micrographs.to_pylist()} for r in (run, fresh))
    assert {name: rows.get(name) for name in right} == right
    assert not [name for name in rows if name not in right and Path(rows[name]["source"]).exists()]
    assert run.quarantine == fresh.quarantine
    assert dataset.check(run.path).damage == ()


def test_years_beyond_the_calendar(folder: Path) -> None:
    try:
        os.utime(folder / "a.npz", (1e12 + 2e11, 1e12 + 2e11))
    except (OSError, OverflowError):
        pytest.skip("the file system has no such times")
    run = _run(folder)
    times = run.micrographs["modified"].to_pylist()
    assert times[1] is not None
    plot_micrographs(run.counts.to_pylist(), run.micrographs.to_pylist(), "time")
