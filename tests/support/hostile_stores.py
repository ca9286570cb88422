"""Folders of runs that were made to do harm: what is done to one, and what people then do with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from motifgpu import Run, dataset
from motifgpu.dataset.export import export
from motifgpu.store import layout, tables

PAYLOAD = "payload"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a record and its checksum, which whoever forges a store does as well."""
    value = layout.read_json(path)
    change(value)
    layout.write_json(path, value)


def edit_run(store: Path, change: Callable[[dict[str, Any]], object]) -> None:
    for name in (layout.RUN, layout.RUN_COPY):
        edit(store / name, change)


def seal(store: Path, *names: str) -> None:
    """Give changed tables their checksums."""
    sums = {name: layout.file_checksum(store / name) for name in names}
    edit_run(store, lambda about: about["tables"].update(sums))


def record(store: Path) -> Path:
    """Return the record of a content that has a micrograph."""
    return next(p for p in sorted((store / layout.RESULTS).glob("*.json")) if '"columns"' in p.read_text()
                and layout.read_json(p)["images"])  # fmt: skip


def _key(store: Path, key: str) -> None:
    own = layout.read_json(record(store))["key"]
    for entry in (store / layout.FILES).glob("*.json"):
        if layout.read_json(entry)["key"] == own:
            edit(entry, lambda value: value.update(key=key))
    edit(record(store), lambda record: record.update(key=key))


def _name(store: Path, name: str) -> None:
    edit(record(store), lambda record: record["images"][0].update(key=name))


def _table_name(store: Path, name: str) -> None:
    path = store / layout.MICROGRAPHS
    rows = pq.read_table(path).to_pylist()
    rows[0]["key"] = name
    tables.write_rows(path, rows, tables.MICROGRAPHS)
    seal(store, layout.MICROGRAPHS)


def link(store: Path, part: str, to: Path) -> None:
    path = store / part
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)


def page(store: Path) -> str:
    return f"{layout.PAGES}/{record(store).stem}-0"


# What is done to a store, given the folder that must stay as it is.
CRAFTED: dict[str, Callable[[Path, Path], object]] = {
    "key climbs": lambda store, _: _key(store, f"../../{PAYLOAD}/x"),
    "key is absolute": lambda store, precious: _key(store, str(precious / "x")),
    "key is a pattern": lambda store, _: _key(store, "*"),
    "name climbs": lambda store, _: _name(store, f"../../{PAYLOAD}/x-0"),
    "name is absolute": lambda store, precious: _name(store, str(precious / "x-0")),
    "name in the table climbs": lambda store, _: _table_name(store, f"../../{PAYLOAD}/x-0"),
    "run.json is a link": lambda store, precious: link(store, layout.RUN, precious / "run.json"),
    "report is a link": lambda store, precious: link(store, layout.REPORT, precious / "x-0.json"),
    "page is a link": lambda store, precious: link(store, page(store), precious),
    "figures of a page are a link": lambda store, precious: link(store, f"{page(store)}/figures", precious),
}
FOLDERS = (
    *(layout.COLUMNS, layout.MOMENTS, layout.DETAILS, layout.FILES, layout.RESULTS),
    *(layout.SHARDS, layout.LOCKS, layout.PAGES, layout.FIGURES),
)


def _folder_is_a_link(part: str) -> Callable[[Path, Path], object]:
    return lambda store, precious: link(store, part, precious)


CRAFTED |= {f"{part} is a link": _folder_is_a_link(part) for part in FOLDERS}


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def prepare(what: str, run: Path, folder: Path) -> tuple[Path, Path]:
    """Copy a run and craft it; return the store, and a folder beside that must stay as it is."""
    store = folder / "theirs" / "store"
    shutil.copytree(run, store)
    precious, theirs = folder / "ours" / PAYLOAD, store.parent / PAYLOAD
    for place in (precious, theirs):
        place.mkdir(parents=True)
        for source in (record(store), store / layout.RUN):
            shutil.copy(source, place)
    shutil.copy(next((store / layout.COLUMNS).iterdir()), theirs / "x-0.parquet")
    for name in ("x.json", "x-0.json"):
        shutil.copy(next((store / layout.DETAILS).iterdir()), theirs / name)
    CRAFTED[what](store, precious)
    return store, precious


def actions(store: Path, run: Path, scans: Path, folder: Path) -> list[Callable[[], object]]:
    """Return what people do with a store: merge, report, read, export and run again."""
    name = page(run).rpartition("/")[2]
    return [
        lambda: dataset.merge([store], folder / "ours" / "out"),
        lambda: Run(store).report(figures="svg"),
        lambda: Run(store).report(name),
        lambda: Run(store).moments(name),
        lambda: export(Run(store), folder / "columns.csv"),
        lambda: dataset.merge(store),
        lambda: dataset.run(scans, store, workers=1),
    ]
