"""Folders of runs that older versions wrote."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.datasets import tables

from motifgpu import Run, check, dataset
from motifgpu.core.errors import StageError
from motifgpu.store import layout
from motifgpu.store.entries import DONE, columns_place, read_entries, read_result, title_of

# What came after schema 1.
_LATER_COLUMNS = ("probability", "whole", "domain_confidence", "environment_confidence", "name")
_LATER_OPTIONS = ("invert", "lattice")


def _older(run: Path, out: Path, schema: int) -> Path:
    """Write a run as a version of an older schema did."""
    for name in ("files", "columns", "details", "moments.zarr"):
        (out / name).mkdir(parents=True)
    for entry in read_entries(run)[0]:
        result = read_result(run, entry.key)
        key = layout.short_digest(f"{schema} {entry.key}".encode())
        images = []
        for image in result.images:
            name = f"{key}-{image['key'].rpartition('-')[2]}"
            _older_columns(run / columns_place(image["key"], entry.path), out, name, schema)
            shutil.copytree(run / "moments.zarr" / image["key"], out / "moments.zarr" / name)
            details = json.loads((run / "details" / f"{image['key']}.json").read_text())
            (out / "details" / f"{name}.json").write_text(json.dumps({**details, "schema": schema}))
            said = {field: value for field, value in image.items() if field not in ("key", "title", "named")}
            title = title_of(image, entry.path)
            images.append({**said, "micrograph": name, "title": title, "timings_s": {"columns": 0.1}})
        facts = {name: entry.facts[name] for name in ("sha256", "bytes", "mtime_ns")}
        record = {"schema": schema, "key": key, "path": entry.path, "status": entry.status, **facts}
        record |= {"reason": entry.reason, "micrographs": images, "failed": []}
        (out / "files" / f"{key}.json").write_text(json.dumps(record))
    shutil.copy(run / "quarantine.jsonl", out)
    about = {k: v for k, v in layout.read_run(run).items() if k != "tables"} | {"schema": schema}
    about["parameters"] = {
        k: v for k, v in about["parameters"].items() if not (schema == 1 and k in _LATER_OPTIONS)
    }
    (out / "run.json").write_text(json.dumps(about))
    return out


def _older_columns(path: Path, out: Path, name: str, schema: int) -> None:
    table = pq.ParquetFile(path).read()
    table = table.drop_columns(["key", "row_nm", "col_nm", *(_LATER_COLUMNS if schema == 1 else ())])
    about = json.dumps({"schema": schema, "written_by": "0.1.0"}).encode()
    table = table.set_column(0, "micrograph", [[name] * len(table)])
    pq.write_table(table.replace_schema_metadata({b"motifgpu": about}), out / "columns" / f"{name}.parquet")


@pytest.mark.parametrize("schema", [1, 2])
def test_an_older_run_opens_and_goes_on(schema: int, scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    out = _older(undisturbed.path, tmp_path / "old", schema)
    run = Run(out)
    assert run.micrographs == undisturbed.micrographs
    assert run.motifs == undisturbed.motifs
    assert run.quarantine == undisturbed.quarantine
    assert run.moments("scan01.npz").tobytes() == undisturbed.moments("scan01.npz").tobytes()
    kept = [name for name in run.columns().column_names if schema == 2 or name not in _LATER_COLUMNS]
    assert run.columns().select(kept) == undisturbed.columns().select(kept)
    assert check(out).damage == ()
    again = dataset.run(scans, out, workers=1)
    assert again.about["last_call"]["files"] == 0
    assert again.about["state"] == "complete"
    if schema == 2:
        assert tables(out) == tables(undisturbed.path)


def test_an_older_run_that_is_damaged_or_half_migrated_goes_on(
    scans: Path, undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = _older(undisturbed.path, tmp_path / "old", 2)
    next((out / "details").iterdir()).unlink()
    real, calls = layout.write_json, []

    def killed(*args: object) -> object:
        calls.append(args)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return real(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(layout, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            Run(out)
    run = Run(out)
    assert run.about["state"] == "interrupted"
    assert len(run.micrographs) == 3
    again = dataset.run(scans, out, workers=1)
    assert again.about["last_call"]["files"] == 1
    assert tables(out) == tables(undisturbed.path)


@pytest.mark.skipif(os.name != "posix", reason="folders that may not be written")
def test_an_older_run_that_may_only_be_read_says_what_to_do(
    undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = _older(undisturbed.path, tmp_path / "old", 2)

    def read_only(path: Path, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", read_only)
        with pytest.raises(StageError, match=r"older version.*Read-only.*copy it to where it can be written"):
            Run(out)
    assert any(entry.status == DONE for entry in read_entries(Run(out).path)[0])
