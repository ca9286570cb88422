"""Sentences of the documentation about runs that are no other test's subject."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.datasets import start, write_scan

import motifgpu
from motifgpu import Run, cli, dataset
from motifgpu.cli.options import FAILED
from motifgpu.cli.parsers import command_parsers
from motifgpu.dataset.checking import check
from motifgpu.options import NAMES

ROOT = Path(__file__).resolve().parents[2]
FILES = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
DATASET = (ROOT / "docs" / "guide" / "dataset.md").read_text(encoding="utf-8")
# What a folder has after a call that is not the simplest one.
_SOMETIMES = {"figures", "dictionary.npz", "shards", "pages", "config.toml", "report.html"}


@pytest.mark.usefixtures("little_drawn")
def test_the_pages_name_what_is_in_the_folder(undisturbed: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(undisturbed.path, out)
    Run(out).report()
    inside = {path.name for path in out.iterdir()}
    listed = {name.partition("/")[0] for name in re.findall(r"^  ([\w.][\w/.*-]*)  ", FILES, re.MULTILINE)}
    listed |= set(re.findall(r"run\.copy\.json|hierarchy\.graphml", FILES))
    assert inside <= listed
    assert listed - inside <= _SOMETIMES
    table = re.findall(
        r"^\| (`.+?`) \| .* \|$", DATASET.partition("## What is in the folder")[2], re.MULTILINE
    )
    named = {name.partition("/")[0] for row in table for name in re.findall(r"`([\w/.*]+)`", row)}
    assert {name for name in named if not name.startswith(".")} <= listed


def test_tables_are_packed_by_zstd_and_say_their_schema(undisturbed: Run) -> None:
    tables = [*undisturbed.path.glob("*.parquet"), *(undisturbed.path / "columns").iterdir()]
    assert len(tables) == 8
    for path in tables:
        found = pq.ParquetFile(path)
        group = found.metadata.row_group(0)
        assert {group.column(k).compression for k in range(group.num_columns)} == {"ZSTD"}
        assert json.loads(found.schema_arrow.metadata[b"motifgpu"])["schema"] == 3


def test_a_checksum_is_the_sha256_of_the_text_without_it(undisturbed: Run) -> None:
    for path in [undisturbed.path / "run.json", *(undisturbed.path / "files").iterdir()]:
        text, found = re.subn(r' "checksum": "([0-9a-f]{64})",\n', "", path.read_text())
        assert found == 1
        stated = json.loads(path.read_text())["checksum"]
        assert hashlib.sha256(text.encode()).hexdigest() == stated


@pytest.mark.slow
def test_check_verifies_everything_but_pages(undisturbed: Run, tmp_path: Path) -> None:
    shutil.copytree(undisturbed.path, tmp_path / "o")
    (tmp_path / "o" / "pages" / "x").mkdir(parents=True)
    (tmp_path / "o" / "pages" / "x" / "report.html").write_text("anything")
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "o").rglob("*"))
    assert check(tmp_path / "o").damage == ()
    for path in [path for path in (tmp_path / "o").rglob("*") if path.is_file()]:
        if path.parts[len((tmp_path / "o").parts)] in ("pages", ".locks"):
            continue
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        assert check(tmp_path / "o").damage, path
        path.write_bytes(data)
    after = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "o").rglob("*"))
    assert [path for path, _ in after] == [path for path, _ in before]  # and writes nothing


def test_until_the_merge_there_are_no_tables(tmp_path: Path) -> None:
    write_scan(tmp_path / "scan.npz", 1)
    run = dataset.run(tmp_path / "scan.npz", tmp_path / "o", workers=1, structure=False, shard=(1, 1))
    assert run.about["state"] == "sharded"
    assert not list(run.path.glob("*.parquet"))
    assert list((run.path / "columns").iterdir())
    assert dataset.merge(run.path).micrographs.num_rows == 1


def test_without_a_pixel_size_densities_are_empty_and_motifs_are_numbered_by_size(tmp_path: Path) -> None:
    made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
    np.save(tmp_path / "scan.npy", made.image)
    run = dataset.run(tmp_path / "scan.npy", tmp_path / "o", workers=1, structure=False)
    rows = [row for row in run.counts.to_pylist() if row["motif"] >= 0]
    assert {row[name] for row in rows for name in row if name.startswith("per_nm2")} == {None}
    assert run.micrographs["area_nm2"].to_pylist() == [None]
    counts = [row["count"] for row in rows]
    assert counts == sorted(counts, reverse=True)


def test_a_run_of_nothing_but_bad_files_has_failed(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"no image")
    command = [
        "run",
        str(tmp_path / "a.npy"),
        "-o",
        str(tmp_path / "o"),
        "-q",
        "--no-report",
        "--workers",
        "1",
    ]
    assert cli.main(command) == FAILED
    assert Run(tmp_path / "o").about["state"] == "complete"


def test_a_run_takes_the_options_of_an_analysis() -> None:
    commands = command_parsers(cli.make_parser())
    taken = {name: {action.dest for action in commands[name]._actions} for name in ("run", "analyze")}
    assert taken["analyze"] & {*NAMES} == taken["run"] & {*NAMES} | {"points", "mask", "region"}
    assert not taken["run"] & {"points", "mask", "region"}


def test_the_states_of_a_run_are_those_of_the_page() -> None:
    listed = re.search(r"state \(([\w, \n]+?) or (\w+)\)", FILES)
    assert listed is not None
    stated = {*re.findall(r"\w+", listed[1]), listed[2]}
    sources = [path.read_text() for path in (ROOT / "motifgpu" / "dataset").glob("*.py")]
    found = {name for text in sources for name in re.findall(r"\"(\w+ing|\w+ed|complete)\"", text)}
    assert stated <= found
    assert stated == {"running", "sharded", "interrupted", "stopped", "merging", "complete"}


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/background/reproducibility.md"])
def test_the_tests_that_pages_name_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = set(re.findall(r"`(tests/[\w/]+\.py)`", text))
    assert paths
    sources = {path: (ROOT / path).read_text() for path in paths}
    for name in re.findall(r"`(test_\w+)`", text):
        assert any(f"def {name}(" in source for source in sources.values()), name


_ALONE = """
import socket, sys
def refused(*args, **more):
    raise AssertionError(f"it opens a connection: {args}")
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refused
from motifgpu import cli
folder, out = sys.argv[1:]
codes = [cli.main(["run", folder, "-o", out, "-q", "--workers", "1"]),
         cli.main(["report", out, "--micrograph", "scan.npz", "-q"]),
         cli.main(["analyze", folder + "/scan.npz", "-o", out + "-one", "-q"])]
print(codes)
"""


@pytest.mark.slow
def test_nothing_is_sent_anywhere(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_scan(tmp_path / "in" / "scan.npz", 1)
    process = start(_ALONE, tmp_path / "in", tmp_path / "o")
    told, errors = process.communicate(timeout=120)
    assert told.splitlines()[-1:] == ["[0, 0, 0]"], errors
