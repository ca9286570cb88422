from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats
from support.datasets import write_scan

from motifgpu import dataset
from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.dataset.export import export
from motifgpu.dataset.results import Run
from motifgpu.store import layout, tables
from motifgpu.store.arrays import read_array, write_array
from motifgpu.store.assemble import poisson_interval
from motifgpu.structure.hierarchy import Hierarchy

N, SIDE = 3, 208


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("scans")
    for seed in range(N):
        write_scan(folder / f"scan{seed}.npz", seed, side=SIDE, vacancies=0.12)
    return dataset.run(folder, tmp_path_factory.mktemp("run") / "out.motif", workers=1)


@pytest.fixture
def copy(run: Run, tmp_path: Path) -> Path:
    shutil.copytree(run.path, tmp_path / "copy.motif")
    return tmp_path / "copy.motif"


def test_counts_and_columns_agree(run: Run) -> None:
    columns = run.columns().to_pylist()
    counted: dict[tuple[str, int], int] = {}
    for row in columns:
        if row["motif"] is not None:
            key = (row["micrograph"], row["motif"])
            counted[key] = counted.get(key, 0) + 1
    table = {(row["micrograph"], row["motif"]): row["count"] for row in run.counts.to_pylist()}
    assert table == counted
    assert {(row["micrograph"], row["motif"]): row["count"] for row in run.motifs.to_pylist()} == counted
    for row in run.micrographs.to_pylist():
        mine = [c for c in columns if c["micrograph"] == row["micrograph"]]
        assert len(mine) == row["columns"]
        assert [c["moments_row"] for c in mine if c["moments_row"] is not None] == list(range(row["points"]))
        assert run.moments(row["micrograph"]).shape == (row["points"], 66)


def test_density_is_count_over_area(run: Run) -> None:
    areas = {}
    for row in run.micrographs.to_pylist():
        areas[row["micrograph"]] = (SIDE * row["pixel_size_nm"]) ** 2
        assert row["area_nm2"] == pytest.approx(areas[row["micrograph"]])
        inside = [c for c in run.columns(row["micrograph"]).to_pylist() if c["whole"]]
        low, high = row["patch_size_px"] / 2 - 1.0, SIDE - row["patch_size_px"] / 2
        assert all(low <= c["row_px"] <= high and low <= c["col_px"] <= high for c in inside)
    for row in run.counts.to_pylist():
        assert row["per_nm2"] == pytest.approx(row["count"] / areas[row["micrograph"]])
        assert row["per_nm2_low"] < row["per_nm2"] < row["per_nm2_high"]


@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_poisson_intervals_cover(count: int) -> None:
    low, high = poisson_interval(count, 2.0)
    assert stats.poisson.sf(count - 1, 2 * low) == pytest.approx(0.025 if count else 1.0)
    assert stats.poisson.cdf(count, 2 * high) == pytest.approx(0.025)


def test_units_and_schema_are_in_the_metadata(run: Run) -> None:
    for file, schema in (
        (next((run.path / "columns").iterdir()), tables.COLUMNS),
        (run.path / layout.MICROGRAPHS, tables.MICROGRAPHS),
        (run.path / layout.COUNTS, tables.COUNTS),
        (run.path / layout.MOTIFS, tables.MOTIFS),
        (run.path / layout.OCCURRENCES, tables.OCCURRENCES),
    ):
        found = pq.read_schema(file)
        assert json.loads(found.metadata[b"motifgpu"])["schema"] == layout.SCHEMA
        for field in schema:
            assert found.field(field.name).metadata == field.metadata
    assert pq.read_schema(run.path / layout.COUNTS).field("per_nm2").metadata[b"unit"] == b"1/nm2"


def test_pandas_reads_the_tables(run: Run) -> None:
    pandas = pytest.importorskip("pandas")
    columns = pandas.read_parquet(run.path / "columns")
    assert len(columns) == run.about["found"]["columns"]
    joined = columns.merge(pandas.read_parquet(run.path / layout.MICROGRAPHS), on="micrograph")
    assert len(joined) == len(columns)
    assert pandas.read_parquet(run.path / layout.MOTIFS).average.dropna().map(len).isin({38**2, 39**2}).all()


def test_polars_reads_the_tables(run: Run) -> None:
    polars = pytest.importorskip("polars")
    columns = polars.scan_parquet(run.path / "columns" / "*.parquet")
    by_motif = columns.drop_nulls("motif").group_by("micrograph", "motif").len().collect()
    counts = polars.read_parquet(run.path / layout.COUNTS)
    joined = by_motif.join(counts, on=["micrograph", "motif"])
    assert (joined["len"] == joined["count"]).all()
    assert len(joined) == len(counts)


def test_duckdb_reads_the_tables(run: Run) -> None:
    duckdb = pytest.importorskip("duckdb")
    query = (
        f"select count(*), count(distinct c.micrograph) from '{run.path}/columns/*.parquet' c"
        f" join '{run.path}/micrographs.parquet' m using (micrograph) where c.motif >= 0"
    )
    assert duckdb.sql(query).fetchall()[0] == (
        sum(r["count"] for r in run.counts.to_pylist() if r["motif"] >= 0),
        N,
    )


def test_zarr_reads_the_moments(run: Run) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(run.path / "moments.zarr", mode="r")
    assert sorted(group.array_keys()) == sorted(run.micrographs["key"].to_pylist())
    for name, array in group.arrays():
        assert array.dtype == np.float32
        assert array.attrs["order"] == 10
        np.testing.assert_array_equal(array[:], run.moments(name))


@pytest.mark.parametrize("shape", [(5, 3), (0, 3), (1, 1)])
def test_arrays_of_any_length(tmp_path: Path, shape: tuple[int, int]) -> None:
    values = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    sums = write_array(tmp_path / "a", values, {"k": 1})
    np.testing.assert_array_equal(read_array(tmp_path / "a", *sums), values)
    zarr = pytest.importorskip("zarr")
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a", mode="r")[:], values)


def test_anndata(run: Run, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    found = run.to_anndata()
    assert found.shape == (run.about["found"]["points"], 66)
    first = run.micrographs["micrograph"][1].as_py()
    mine = found[found.obs.micrograph == first]
    np.testing.assert_array_equal(mine.X, run.moments(first))
    table = [row for row in run.columns(first).to_pylist() if row["moments_row"] is not None]
    np.testing.assert_allclose(mine.obsm["spatial"][:, 0], [row["col_px"] for row in table])
    assert mine.obs.motif.astype(int).tolist() == [row["motif"] for row in table]
    again = anndata.read_h5ad(export(run, tmp_path / "run.h5ad"))
    np.testing.assert_array_equal(again.X, found.X)
    assert json.loads(again.uns["motifgpu"])["parameters"]["n_neighbors"] == 10


def test_anndata_of_moments_of_several_orders_has_those_that_all_have(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("anndata")
    last, real = run.micrographs["micrograph"][N - 1].as_py(), Run.moments

    def coarser(self: Run, name: str) -> np.ndarray:
        return real(self, name)[:, :45] if name == last else real(self, name)

    monkeypatch.setattr(Run, "moments", coarser)
    found = run.to_anndata()
    assert found.shape == (run.about["found"]["points"], 45)
    for name in run.micrographs["micrograph"].to_pylist():
        np.testing.assert_array_equal(found[found.obs.micrograph == name].X, real(run, name)[:, :45])


def test_hyperspy(run: Run, tmp_path: Path) -> None:
    hyperspy = pytest.importorskip("hyperspy.api")
    found = run.to_hyperspy()
    assert found.data.shape[0] == len(found.metadata.motifgpu.motifs)
    assert (found.data[0] != 0).any()
    again = hyperspy.load(export(run, tmp_path / "averages.hspy"))
    np.testing.assert_array_equal(again.data, found.data)
    row = run.micrographs.to_pylist()[0]
    image = run.to_hyperspy(row["micrograph"])
    with np.load(row["source"]) as archive:
        np.testing.assert_array_equal(image.data, archive["image"])
    assert image.axes_manager.signal_axes[0].scale == pytest.approx(row["pixel_size_nm"])
    assert image.axes_manager.signal_axes[0].units == "nm"
    markers = [marker for _, marker in image.metadata.Markers]
    assert sum(len(marker.kwargs["offsets"]) for marker in markers) == row["points"]


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_all_columns_in_one_file(run: Run, tmp_path: Path, ending: str) -> None:
    from pyarrow import csv

    path = export(run, tmp_path / f"columns.{ending}")
    table = pq.read_table(path) if ending == "parquet" else csv.read_csv(path)
    assert len(table) == run.about["found"]["columns"]
    assert len(set(table["source"].to_pylist())) == N
    with pytest.raises(StageError, match=r"ends in '\.xlsx'; choose"):
        export(run, tmp_path / "columns.xlsx")


def test_hierarchy_and_occurrences_agree(run: Run) -> None:
    assert isinstance(run.hierarchy, Hierarchy)
    assert run.hierarchy.micrographs == N
    assert any("its own motifs" in text for text in run.hierarchy.warnings)
    rows = run.occurrences.to_pylist()
    assert len(rows) == len(run.hierarchy.occurrences) > 0
    counts = {node.key: node.count for node in run.hierarchy.nodes}
    assert {key: sum(row["motif_cell"] == key for row in rows) for key in counts} == counts
    assert {row["micrograph"] for row in rows} <= set(run.micrographs["micrograph"].to_pylist())


def test_a_micrograph_can_be_analysed_again(run: Run) -> None:
    name = run.micrographs["micrograph"][0].as_py()
    again = run.analysis(name)
    np.testing.assert_array_equal(again.moments, run.moments(name))
    motifs = [label for label in run.columns(name)["motif"].to_pylist() if label is not None]
    np.testing.assert_array_equal(again.motifs.labels, motifs)


def test_a_changed_or_missing_file_cannot_be_analysed_again(tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "a.npz", 1)
    run = dataset.run(scan, tmp_path / "o", workers=1)
    name = run.micrographs["micrograph"][0].as_py()
    write_scan(scan, 2)
    with pytest.raises(MicrographReadError, match="its content is another than in the run"):
        run.analysis(name)
    scan.unlink()
    with pytest.raises(MicrographReadError, match="No such file"):
        run.analysis(name)


def test_thumbnails_are_small_pictures(run: Run) -> None:
    import io

    from PIL import Image

    picture = Image.open(io.BytesIO(run.thumbnail(run.micrographs["micrograph"][0].as_py())))
    assert picture.size == (160, 160)  # of 208 x 208


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"there is no .*run\.json; give the folder that motifgpu run wrote"):
        Run(tmp_path)
    for text in ("[1, 2", "[1, 2]", "{}"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(StageError, match=r"run\.json and its copy are damaged .* run the same command"):
            Run(tmp_path)


@pytest.mark.parametrize(("schema", "remedy"), [(0, "into a new folder"), (99, "or later")])
def test_other_schemas_are_refused_in_words(copy: Path, schema: int, remedy: str) -> None:
    about = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**about, "schema": schema, "written_by": "7.1"}))
    (copy / "run.copy.json").unlink()
    with pytest.raises(
        StageError,
        match=rf"has schema {schema} and this version .* {layout.SCHEMA}; open it with .* 7\.1 ?.*{remedy}",
    ):
        Run(copy)


def test_damaged_and_missing_tables_are_named(copy: Path) -> None:
    run = Run(copy)
    (copy / layout.COUNTS).write_bytes(b"PAR1 and no more")
    with pytest.raises(StageError, match=r"counts\.parquet is damaged .* run the same command again"):
        _ = run.counts
    (copy / layout.MOTIFS).unlink()
    with pytest.raises(StageError, match=r"there is no .*motifs\.parquet"):
        _ = run.motifs
    with pytest.raises(StageError, match="has no micrograph 'x'"):
        run.columns("x")
