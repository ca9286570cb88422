"""The columns of an analysis as a table, in memory, as CSV and in a run."""

from __future__ import annotations

import csv
import io
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pyarrow import parquet

from motifgpu import Analysis, Micrograph, Run, analyze, run, simulate
from motifgpu.column_table import as_csv
from motifgpu.dataset.export import export

TRUTH = simulate.monolayer("MoSe2", (200, 216), counts=30, angle=7, vacancies=0.06, seed=3)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    found = analyze(Micrograph(TRUTH.image, TRUTH.pixel_size_nm, "a/scan.npy", "scan"), structure=False)
    return found.rename({0: "=Mo, Mo", 2: 'a "vacancy"'})


def without_first(analysis: Analysis) -> Analysis:
    """The same, with nothing seen of the patch of the first column."""
    mask = np.array(analysis.mask)
    mask[0] = False
    motifs = analysis.motifs
    of_all = ("counts", "means", "notes", "names")
    parts = {f.name: getattr(motifs, f.name)[1:] for f in fields(motifs) if f.name not in of_all}
    own = {name: getattr(analysis, name)[1:] for name in ("points", "whole", "layout", "moments")}
    return replace(analysis, mask=mask, motifs=replace(motifs, **parts), **own)


def test_every_column_has_a_row_in_px_and_nm(analysis: Analysis) -> None:
    table = analysis.table()
    for axis, name in enumerate(("row", "col")):
        px, nm = (table[f"{name}_{unit}"].to_numpy() for unit in ("px", "nm"))
        np.testing.assert_array_equal(px, analysis.columns.points[:, axis])
        np.testing.assert_allclose(nm, px * TRUTH.pixel_size_nm, rtol=1e-6)
    for name in ("prominence", "occupied", "probability"):
        np.testing.assert_array_equal(table[name].to_numpy(), getattr(analysis.columns, name))
    assert {field.metadata[b"unit"] for field in table.schema} == {b"px", b"nm", b"of the detector", b""}
    unknown = replace(analysis, micrograph=replace(analysis.micrograph, pixel_size_nm=None)).table()
    assert unknown.schema == table.schema
    assert unknown["row_nm"].null_count == unknown["col_nm"].null_count == len(unknown)


def test_what_is_said_of_a_patch_is_null_without_one(analysis: Analysis) -> None:
    analysis = without_first(analysis)
    table, motifs = analysis.table(), analysis.motifs
    first, seen = table.slice(0, 1).to_pylist()[0], table.slice(1)
    assert {name for name, value in first.items() if value is None} == set(table.column_names[7:])
    said = {
        **{"motif": motifs.labels, "identity": motifs.identities, "domain": motifs.domains},
        **{"environment": motifs.environments, "confidence": motifs.confidence, "whole": analysis.whole},
        **{"layout_x": analysis.layout[:, 0], "layout_y": analysis.layout[:, 1]},
        **{f"{one}_confidence": getattr(motifs, f"{one}_confidence") for one in ("identity", "domain")},
        **{"moments_row": np.arange(len(analysis.points))},
    }
    for name, values in said.items():
        np.testing.assert_array_equal(seen[name].to_numpy(), values)
    names = [motifs.names[k] or None if k < len(motifs.names) else None for k in motifs.labels.tolist()]
    assert seen["name"].to_pylist() == names
    none = replace(motifs, labels=np.full_like(motifs.labels, -1))
    assert set(replace(analysis, motifs=none).table()["name"].to_pylist()) == {None}


def test_pandas_polars_and_csv_hold_the_same(analysis: Analysis) -> None:
    table = without_first(analysis).table()
    text = as_csv(table)
    frame = pd.read_csv(io.BytesIO(text))
    assert frame.columns.tolist() == pl.from_arrow(table).columns == table.column_names
    for name in table.column_names:
        if name != "name":
            known = table[name].is_valid().to_numpy()
            assert frame[name].notna().tolist() == known.tolist()
            np.testing.assert_array_equal(frame[name][known].to_numpy(np.float32), table[name].drop_null())
    called = frame["name"].dropna().unique().tolist()
    assert sorted(called) == ["'=Mo, Mo", 'a "vacancy"']  # inert in a spreadsheet
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert rows[0]["motif"] == ""
    assert b"\r" not in text


def test_report_run_and_export_have_the_same_columns(analysis: Analysis, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in" / "scan.npz", image=TRUTH.image, pixel_size_nm=TRUTH.pixel_size_nm)
    done = run(tmp_path / "in", tmp_path / "out", workers=1, structure=False)
    fields = analysis.table().schema
    assert [field for field in done.columns().schema if field.name in fields.names] == list(fields)
    assert done.columns().drop_columns(["micrograph", "key"]).column_names == fields.names
    for name in ("all.csv", "all.parquet"):
        path = export(Run(done.path), tmp_path / name)
        written = pd.read_csv(path) if path.suffix == ".csv" else parquet.read_table(path).to_pandas()
        assert written.columns.tolist() == ["micrograph", "key", *fields.names, "source", "title"]
        nm = written["row_px"] * TRUTH.pixel_size_nm
        np.testing.assert_allclose(written["row_nm"], nm, rtol=1e-6)
