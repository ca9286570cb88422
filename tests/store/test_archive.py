from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motifgpu import Analysis, Micrograph, StageError, analyze, simulate
from motifgpu.core import namespace
from motifgpu.core.files import replacing, write_text
from motifgpu.core.packing import field_names
from motifgpu.store import archive
from motifgpu.structure.cells import voronoi_cells
from motifgpu.structure.hierarchy import build_hierarchy

TRUTH = simulate.monolayer(
    "MoSe2", (208, 224), counts=30, angle=7, vacancies=0.06, dopants={"W": 0.03}, seed=3
)

# What schema 2 stores: whoever changes a field here raises archive.SCHEMA.
SCHEMA_3 = {
    "AffinityGraph": "indptr indices weights sigma tied offsets",
    "Analysis": "micrograph columns mask points whole missing moments graph layout motifs averages shells "
    "patch_size cells hierarchy no_lattice parameters timings versions decisions",
    "Cells": "contents types counts reading centers polygons members points labels indices slots lattice "
    "tiling",
    "ClassAverages": "patches reconstructions counts",
    "Columns": "points prominence occupied probability sigma_px notes",
    "Context": "symmetry neighborhood reading connect",
    "Decision": "do motifs at columns names by parts misfit",
    "DriftMap": "degree centre scale coefficients",
    "Hierarchy": "nodes occurrences context contents dominant truncated dropped micrographs linking warnings",
    "Lattice": "points u v kind indices sublattice basis drift extent warnings",
    "Micrograph": "image pixel_size_nm source title valid offset left_out",
    "MotifCell": "key level cells sites orientations bonds count",
    "Motifs": "labels environments counts means confidence identities domains identity_confidence "
    "domain_confidence environment_confidence notes names",
    "NeighborShells": "radii columns mean multisets",
    "Occurrences": "node orientation micrograph positions offsets cells",
    "PatchSize": "pixels confidence frequency curve candidates",
    "VoronoiTiling": "points polygons complete pairs",
}


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(Micrograph(TRUTH.image, TRUTH.pixel_size_nm, "a/scan.npy", "scan"))


@pytest.fixture(scope="module")
def saved(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return analysis.save(tmp_path_factory.mktemp("saved") / "scan.motifgpu").read_bytes()


def assert_same(a: Any, b: Any, where: str = "analysis") -> None:
    """Equal to the bit, types and dtypes included; arrays may have come from a device."""
    if namespace.array_namespace(a) is not namespace.array_namespace(0) or isinstance(a, np.ndarray):
        a = namespace.to_numpy(a)
    assert type(a) is type(b), where
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), where
        assert a.tobytes() == b.tobytes(), where
    elif dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b), where
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{k}]")
    else:
        assert a == b or (a != a and b != b), where


def opened(content: bytes, tmp_path: Path) -> Analysis:
    (tmp_path / "given").write_bytes(content)
    return Analysis.load(tmp_path / "given")


def rewritten(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return the file with its analysis.json changed."""
    old = zipfile.ZipFile(io.BytesIO(content))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "analysis.json":
                parsed = json.loads(data)
                change(parsed)
                data = json.dumps(parsed).encode()
            new.writestr(name, data)
    return made.getvalue()


def test_every_field_comes_back_to_the_bit(analysis: Analysis, saved: bytes, tmp_path: Path) -> None:
    assert analysis.hierarchy is not None
    loaded = opened(saved, tmp_path)
    assert_same(analysis, loaded)
    assert loaded.cells is not None
    assert loaded.hierarchy is not None
    assert loaded.cells.points is loaded.cells.lattice.points  # stored once, as they are in memory


@pytest.mark.usefixtures("little_drawn")
def test_what_derives_from_it_is_the_same(analysis: Analysis, saved: bytes, tmp_path: Path) -> None:
    loaded = opened(saved, tmp_path)
    assert json.dumps(loaded.summary()) == json.dumps(analysis.summary())
    assert loaded.table() == analysis.table()
    assert loaded.hierarchy is not None
    np.testing.assert_array_equal(loaded.hierarchy.edges, analysis.hierarchy.edges)
    for folder, one in (("a", analysis), ("b", loaded)):
        one.report(tmp_path / folder)
    names = sorted(str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.*"))
    assert "report.html" in names
    for name in names:
        one, other = (without_ids((tmp_path / folder / name).read_bytes()) for folder in "ab")
        assert one == other, name


def without_ids(content: bytes) -> bytes:
    """Take off the identifiers that Bokeh makes anew for every page."""
    return re.sub(rb'"p\d+"|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', b"", content)


def test_saved_from_every_backend(xp_array: Callable[[Any], Any], tmp_path: Path) -> None:
    made = analyze(xp_array(TRUTH.image), structure=False)
    assert made.hierarchy is None
    assert_same(made, Analysis.load(made.save(tmp_path / "scan")))


def test_same_analysis_same_file(analysis: Analysis, saved: bytes, tmp_path: Path) -> None:
    opened(saved, tmp_path).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved


def test_numpy_reads_one_array_of_it(analysis: Analysis, saved: bytes) -> None:
    with np.load(io.BytesIO(saved)) as arrays:
        np.testing.assert_array_equal(arrays["columns.points"], analysis.columns.points)


def test_structures_that_analyze_does_not_make(analysis: Analysis, tmp_path: Path) -> None:
    labels = analysis.motifs.labels
    cells = voronoi_cells(analysis.points, labels)
    motif_graph = build_hierarchy(cells)
    other = dataclasses.replace(
        analysis,
        cells=cells,
        hierarchy=motif_graph,
        micrograph=Micrograph(analysis.micrograph.image),
        parameters={"seed": np.int64(3), "nothing": None, "pair": (1, float("nan")), "list": [1, "two"]},
    )
    assert_same(other, Analysis.load(other.save(tmp_path / "voronoi")))


def test_the_schema_says_what_is_stored() -> None:
    assert archive.SCHEMA == 3
    found = {name: " ".join(field_names(kind)) for name, kind in archive.stored_types().items()}
    assert found == SCHEMA_3


@pytest.mark.parametrize(
    ("schema", "remedy"), [(99, "load it with motifgpu 9.9 or later"), (0, "or analyse the micrograph again")]
)
def test_other_schemas_are_refused(saved: bytes, tmp_path: Path, schema: int, remedy: str) -> None:
    content = rewritten(saved, lambda tree: tree.update(schema=schema, written_by="9.9"))
    with pytest.raises(
        StageError, match=rf"archive: .*given has schema {schema} and.* reads 2 to 3; .*{remedy}"
    ):
        opened(content, tmp_path)


def test_archives_without_names_and_decisions_open(saved: bytes, analysis: Analysis, tmp_path: Path) -> None:
    def older(tree: dict[str, Any]) -> None:
        tree.update(schema=2)
        tree["analysis"]["fields"].pop("decisions")
        tree["analysis"]["fields"]["motifs"]["fields"].pop("names")

    assert_same(analysis, opened(rewritten(saved, older), tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree.pop("schema"),
        lambda tree: tree["analysis"].update(type="Popen"),
        lambda tree: tree["analysis"]["fields"].pop("graph"),
        lambda tree: tree["analysis"]["fields"].update(evil=1),
        lambda tree: tree["analysis"]["fields"].update(mask={"array": "no.such"}),
        lambda tree: tree.update(analysis=tree["analysis"]["fields"]["columns"]),
        lambda tree: tree.update(analysis=3),
    ],
)
def test_contents_that_are_no_analysis(
    saved: bytes, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    with pytest.raises(StageError, match="given is damaged or no saved analysis"):
        opened(rewritten(saved, change), tmp_path)


def with_member(content: bytes, name: str, data: bytes) -> bytes:
    """Return the file with one member replaced."""
    old, made = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        for member in old.namelist():
            new.writestr(member, data if member == name else old.read(member))
    return made.getvalue()


def test_no_pickle_is_ever_read(saved: bytes, tmp_path: Path) -> None:
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], object), allow_pickle=True)
    with pytest.raises(StageError, match=r"pickled objects .* are not loaded"):
        opened(with_member(saved, "mask.npy", pickled.getvalue()), tmp_path)


def test_an_array_that_claims_to_be_huge(saved: bytes, tmp_path: Path) -> None:
    claim = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        claim, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6)}
    )
    with pytest.raises(StageError, match="given is damaged or no saved analysis"):
        opened(with_member(saved, "mask.npy", claim.getvalue()), tmp_path)


def test_a_file_expands_to_no_more_than_its_size(saved: bytes, tmp_path: Path) -> None:
    """Neither by compression nor by members that share their bytes."""
    bomb, packed = io.BytesIO(), io.BytesIO()
    np.save(bomb, np.zeros(10**8, np.uint8))
    old = zipfile.ZipFile(io.BytesIO(saved))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, bomb.getvalue() if member == "mask.npy" else old.read(member))
    shared = io.BytesIO(saved)
    with zipfile.ZipFile(shared, "a") as archive:
        archive.filelist += [info for info in archive.infolist() if "moments" in info.filename] * 100
        archive._didModify = True
    for content in (packed.getvalue(), shared.getvalue()):
        tracemalloc.start()
        with pytest.raises(StageError, match=r"would expand to \d+ bytes, and no more than its own"):
            opened(content, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(content)
        tracemalloc.stop()


def test_damaged_files(saved: bytes, analysis: Analysis, tmp_path: Path) -> None:
    """Any damage is found and named, or does not touch what is stored."""
    rng = np.random.default_rng(0)
    damaged = [b"", b"PK", b"not a zip file" * 50, saved + b"x" * 100_000]
    damaged += [saved[:k] for k in rng.integers(1, len(saved), 25)]
    middles = [*rng.integers(0, len(saved), 25), *rng.integers(len(saved) - 4000, len(saved), 50)]
    for k in [*middles, *rng.integers(0, 300, 20)]:
        flipped = bytearray(saved)
        flipped[k] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    refused = []
    for content in damaged:
        try:
            assert_same(analysis, opened(content, tmp_path))
        except StageError as error:
            refused.append(str(error))
    assert len(refused) > len(damaged) / 2
    assert all(text.startswith(f"archive: {tmp_path / 'given'} is damaged") for text in refused)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.such"):
        Analysis.load(tmp_path / "no.such")


def test_what_cannot_be_saved_is_named_and_leaves_the_old_file(analysis: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "scan"
    path.write_text("old")
    for bad, message in (
        (Path("x"), r"parameters\.bad is a PosixPath"),
        (np.array([None]), r"parameters\.bad is an array of objects"),
    ):
        with pytest.raises(StageError, match=message):
            dataclasses.replace(analysis, parameters={"bad": bad}).save(path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["scan"]


def test_full_disk_leaves_the_old_file(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_text(tmp_path / "scan", "alt: é")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (lambda: analysis.save(path), lambda: write_text(path, "new")):
        with pytest.raises(OSError, match="No space left"):
            write()
    assert path.read_text(encoding="utf-8") == "alt: é"
    assert [file.name for file in tmp_path.iterdir()] == ["scan"]


def test_readers_never_see_a_part(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a", "old")
    with replacing(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_bytes() == b"half"

    def stopped() -> None:
        with replacing(path) as file:
            file.write(b"more")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stopped()
    assert path.read_bytes() == b"half"
    assert len(list(tmp_path.iterdir())) == 1
