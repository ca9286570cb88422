"""Folders of runs that older versions wrote, made ones of the present schema."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from motifgpu.core.errors import StageError
from motifgpu.core.files import readable, write_text
from motifgpu.dataset.job import OF_ONE
from motifgpu.dictionary import MotifDictionary
from motifgpu.options import NAMES, Options
from motifgpu.store import layout, tables
from motifgpu.store.arrays import write_array
from motifgpu.store.assemble import assemble
from motifgpu.store.entries import (
    DONE,
    OF_FILE,
    UNREAD,
    Entry,
    Result,
    columns_place,
    details_place,
    kept_title,
    micrograph_name,
    moments_places,
    title_of,
    write_entry,
    write_result,
)
from motifgpu.store.lock import locked

# What rows of older tables of micrographs do not say.
_UNKNOWN: dict[str, Any] = {
    "domains": 0,
    "environments": 0,
    "area_nm2": None,
    "empty_sites": 0,
    "warnings": [],
    "points": 0,
}


def migrate(root: Path, *, held: bool = False) -> None:
    """Make a folder of schema 1 or 2 one of the present schema; leave any other as it is.

    Everything is written beside what is there, run.json last: a folder in which this was killed is still an
    old one, and the next call does it again. Records that are damaged are left out, so that the next run does
    their files again.

    Parameters
    ----------
    root : Path
        Folder of the run.
    held : bool
        Whether the caller has the lock of the folder.

    Raises
    ------
    StageError
        If the folder holds no run, another process works there, or the folder cannot be written.
    """
    if layout.read_run(root)["schema"] not in layout.OLDER:
        return
    try:
        with nullcontext() if held else locked(root):
            about = layout.read_run(root)
            if about["schema"] in layout.OLDER:  # else another process was first
                _migrate(root, about)
    except OSError as error:
        raise StageError(
            layout.STAGE,
            f"{root} is of an older version, and cannot be made one of this version there ({error})",
            "copy it to where it can be written",
        ) from error


def _migrate(root: Path, about: dict[str, Any]) -> None:
    about["parameters"] = parameters = _parameters(about["parameters"])
    layout.make_folders(root)
    kept, old, damaged = [], [], False
    for record in _records(root):
        old.append(record["key"])
        path, facts = record["path"], {"sha256": record.get("sha256"), "bytes": record.get("bytes")}
        facts |= {"mtime_ns": record.get("mtime_ns"), "ctime_ns": None, "inode": None}
        if record["status"] == UNREAD:
            write_entry(root, Entry(path, UNREAD, record["reason"]))
            continue
        key = layout.result_key(path, record["sha256"], parameters, about["written_by"])
        try:
            result = _result(root, record, key, facts)
        except (OSError, ValueError, KeyError, pa.ArrowException):
            damaged = True
            continue
        write_result(root, result)
        write_entry(root, entry := result.entry())
        kept.append(entry)
    names = None
    if parameters["dictionary"] is not None:
        names = MotifDictionary.load(root / layout.DICTIONARY).names
    about |= {"schema": layout.SCHEMA, "tables": {}}
    if about["state"] == "complete":
        found, sums = assemble(root, [entry for entry in kept if entry.status == DONE], names)
        about["found"] = {**about["found"], **found}
        about["tables"] = sums
        if damaged:
            about["state"] = "interrupted"
    for name in (layout.QUARANTINE, layout.DICTIONARY):
        if (root / name).exists():
            about["tables"][name] = layout.file_checksum(root / name)
    layout.write_run(root, about)
    for key in old:
        (root / layout.FILES / f"{key}.json").unlink(missing_ok=True)
        for place in (*(root / layout.COLUMNS).glob(f"{key}-?*"), *(root / layout.DETAILS).glob(f"{key}-?*")):
            place.unlink(missing_ok=True)
        for place in (root / layout.MOMENTS).glob(f"{key}-?*"):
            shutil.rmtree(place, ignore_errors=True)


def _parameters(there: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of an older run, with the defaults of options that it did not have yet."""
    usual = {name: getattr(Options, name) for name in NAMES if name not in OF_ONE} | {"signal": None}
    return {name: there.get(name, default) for name, default in usual.items()}


def _records(root: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((root / layout.FILES).glob("*.json")):
        try:
            record = layout.read_json(path)
        except StageError:
            continue
        if record.get("schema") in layout.OLDER and record.get("key") == path.stem:
            yield record


def _result(root: Path, record: dict[str, Any], key: str, facts: dict[str, Any]) -> Result:
    """Write the results of an old record under their new key, and return their record."""
    path, images = record["path"], []
    checksums: dict[str, str] = {}
    columns: dict[str, str] = {}
    alone = len(record["micrographs"]) + len(record["failed"]) == 1
    for image in record["micrographs"]:
        name = image["micrograph"]
        made = f"{key}-{name.rpartition('-')[2]}"
        title = _kept_title(image["title"], path)
        table = _columns(root / layout.COLUMNS / f"{name}.parquet", made,
                         micrograph_name(path, title_of(title, path), alone))  # fmt: skip
        table = tables.with_nm(table, image["pixel_size_nm"])
        columns[columns_place(made, path)] = tables.write_table(root / columns_place(made, path), table)
        checksums |= _moments(root, name, made)
        details = json.loads((root / layout.DETAILS / f"{name}.json").read_bytes())
        text = json.dumps({**details, "schema": layout.SCHEMA})
        write_text(root / details_place(made), text)
        checksums[details_place(made)] = layout.checksum(text.encode())
        said = {field: value for field, value in image.items() if field not in ("micrograph", "timings_s")}
        images.append({**_UNKNOWN, **said, "key": made, **title})
    failed = [{**_kept_title(one["title"], path), "reason": one["reason"]} for one in record["failed"]]
    status, reason = record["status"], record["reason"]
    return Result(key, path, status, reason, facts, tuple(images), tuple(failed), checksums, columns)


def _kept_title(title: str, path: str) -> dict[str, Any]:
    """Return what is kept of a title of which is not known whether it is the name of the file."""
    stem = readable(Path(path).stem)
    rest = title.removeprefix(stem)
    named = title.startswith(stem) and (not rest or rest[0] == "[" or rest.startswith(" ("))
    return kept_title(OF_FILE + rest if named else title)


def _columns(path: Path, key: str, name: str) -> pa.Table:
    """Return an old table of columns with the fields of the present one, null where it had none."""
    old = pq.ParquetFile(path).read()
    said = {"micrograph": pa.array([name] * len(old), pa.string()), "key": pa.array([key] * len(old))}
    columns = [
        said[field.name]
        if field.name in said
        else old[field.name].cast(field.type)
        if field.name in old.column_names
        else pa.nulls(len(old), field.type)
        for field in tables.COLUMNS
    ]
    return pa.table(columns, schema=tables.COLUMNS)


def _moments(root: Path, name: str, key: str) -> dict[str, str]:
    folder = root / layout.MOMENTS / name
    about = json.loads((folder / "zarr.json").read_bytes())
    data = (folder / "c" / "0" / "0").read_bytes()
    values = np.frombuffer(data, "<f4").reshape(about["shape"])
    sums = write_array(root / layout.MOMENTS / key, values, about["attributes"])
    return dict(zip(moments_places(key), sums, strict=True))
