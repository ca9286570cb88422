"""Folders of runs that were made to do harm: nothing outside of them is written, removed or run."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.datasets import SIDE
from support.hostile_stores import CRAFTED, actions, edit_run, link, prepare, seal, state
from support.report_page import browser

from motifgpu import Run, StageError, dataset, simulate
from motifgpu.core.files import replacing
from motifgpu.core.text import as_text
from motifgpu.dataset.export import export
from motifgpu.store import layout, tables

SCRIPT = "<script>document.title='harm'</script><img src=x onerror=\"document.title='harm'\">"
QUICK = "key climbs", "name in the table climbs", f"{layout.COLUMNS} is a link"


@pytest.mark.usefixtures("little_drawn")
@pytest.mark.parametrize(
    "what", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CRAFTED]
)
def test_a_crafted_store_reaches_nothing_outside_its_folder(
    what: str, scans: Path, undisturbed: Run, tmp_path: Path
) -> None:
    store, precious = prepare(what, undisturbed.path, tmp_path)
    before = state(precious)

    def tried(action: Callable[[], object]) -> bool:
        try:
            action()
        except StageError:
            return False
        return True

    done = [tried(action) for action in actions(store, undisturbed.path, scans, tmp_path)]
    # Records that are not what their names say are none, and their files are done again.
    assert not all(done) or what.startswith(("key ", "name "))
    assert state(precious) == before


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", "*", "a\x00b"])
def test_a_name_that_is_a_path_is_no_micrograph(undisturbed: Run, name: str) -> None:
    for ask in (undisturbed.columns, undisturbed.moments, undisturbed.thumbnail, undisturbed.find):
        with pytest.raises(StageError, match="has no micrograph"):
            ask(name)


def test_links_inside_a_micrographs_moments_are_not_followed(undisturbed: Run, tmp_path: Path) -> None:
    shutil.copytree(undisturbed.path, tmp_path / "store")
    name = undisturbed.micrographs["key"][0].as_py()
    os.mkfifo(tmp_path / "pipe")
    link(tmp_path / "store", f"{layout.MOMENTS}/{name}/c/0/0", tmp_path / "pipe")
    with pytest.raises(StageError, match="is a link or a device"):
        Run(tmp_path / "store").moments(name)


@pytest.mark.usefixtures("little_drawn")
def test_text_of_a_store_is_text_in_its_report(undisturbed: Run, tmp_path: Path) -> None:
    store = _scripted(undisturbed.path, tmp_path / "store")
    text = Run(store).report().read_text()
    assert "&lt;script&gt;document.title" in text
    assert "<script>document.title" not in text
    assert "<img src=x" not in text


@pytest.mark.slow
@pytest.mark.usefixtures("little_drawn")
def test_a_browser_runs_nothing_of_a_stores_text(undisturbed: Run, tmp_path: Path) -> None:
    report = Run(_scripted(undisturbed.path, tmp_path / "store")).report()
    with browser() as started:
        page = started.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        page.wait_for_load_state("load")
        assert page.title() == "store: motifs"
        assert "harm" not in page.title()
        assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]


def _scripted(run: Path, store: Path) -> Path:
    """Copy a store with a script in all of its text that a report shows."""
    shutil.copytree(run, store)
    path = store / layout.MICROGRAPHS
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        row.update(source=f"{SCRIPT}/{SCRIPT}", title=SCRIPT, warnings=SCRIPT)
    tables.write_rows(path, rows, tables.MICROGRAPHS)

    def manifest(about: dict[str, Any]) -> None:
        about["parameters"][SCRIPT] = about["versions"][SCRIPT] = SCRIPT
        about.update(state=SCRIPT, begun=SCRIPT)

    def hierarchy(content: dict[str, Any]) -> None:
        content["warnings"] = [SCRIPT]
        for cell in content["motif_cells"]:
            cell["key"] = SCRIPT + cell["key"]

    content = json.loads((store / layout.HIERARCHY).read_text())
    hierarchy(content)
    (store / layout.HIERARCHY).write_text(json.dumps(content))
    line = {"path": SCRIPT, "title": SCRIPT, "reason": SCRIPT, "status": SCRIPT}
    (store / layout.QUARANTINE).write_text(json.dumps(line) + "\n")
    edit_run(store, manifest)
    seal(store, layout.MICROGRAPHS, layout.HIERARCHY, layout.QUARANTINE)
    return store


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1+1", "\n=1", "＝1+1", '=HYPERLINK("http://x")'],
)
def test_no_cell_of_text_is_a_formula(text: str) -> None:
    assert as_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["scan 1=2", "", "a/b.npy", "'=1", "1-2", "µ"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert as_text(text) == text


def test_an_export_holds_no_formula(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "=1+1.npy", simulate.monolayer(shape=(SIDE, SIDE), counts=30).image)
    run = dataset.run(tmp_path / "in", tmp_path / "out", workers=1, structure=False)
    with export(run, tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["title"] for row in rows} == {"'=1+1"}
    assert {row["micrograph"] for row in rows} == set(run.micrographs["micrograph"].to_pylist())
    assert set(pq.read_table(export(run, tmp_path / "all.parquet"))["title"].to_pylist()) == {"=1+1"}


def test_a_file_on_its_way_has_a_name_that_nobody_foresees_and_is_its_owners(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        with replacing(tmp_path / "x.txt") as file:
            [path] = tmp_path.glob(".*.part")
            assert os.name != "posix" or path.stat().st_mode & 0o777 == 0o600
            names.add(path.name)
            file.write(b"x")
    assert len(names) == 3
    plain = tmp_path / "plain.txt"
    plain.touch()
    assert (tmp_path / "x.txt").stat().st_mode == plain.stat().st_mode


def test_a_link_in_place_of_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "x").symlink_to(tmp_path / "kept")
    with replacing(tmp_path / "x") as file:
        file.write(np.zeros(3).tobytes())
    assert not (tmp_path / "x").is_symlink()
    assert (tmp_path / "kept").read_text() == "kept"


def _bomb(rows: int, text: int) -> bytes:
    """Return a table of micrographs whose text, or whose numbers, repeat without end."""
    columns = []
    for field in tables.MICROGRAPHS:
        if field.type == pa.string():
            words = pa.array(["x" * text])
            columns.append(pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), words))
        else:
            columns.append(pa.nulls(rows, field.type))
    out = io.BytesIO()
    made = pa.table(columns, names=tables.MICROGRAPHS.names, metadata=tables.MICROGRAPHS.metadata)
    pq.write_table(made, out, compression="zstd")
    return out.getvalue()


@pytest.mark.parametrize(
    ("rows", "text"), [(6_000, 100_000), pytest.param(4_000_000, 1, marks=pytest.mark.slow)]
)
def test_a_small_table_does_not_expand_without_limit(rows: int, text: int) -> None:
    data = _bomb(rows, text)
    before = pa.total_allocated_bytes()
    with pytest.raises(StageError, match=r"its \d+ bytes would expand to \d+, and no more than \d+ are read"):
        tables.table_of(data, tables.MICROGRAPHS, "micrographs.parquet")
    assert pa.total_allocated_bytes() - before < 2**28
