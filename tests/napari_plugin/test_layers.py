"""What is shown in napari, and how files are opened, as far as napari itself is not needed."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import motifgpu
from motifgpu import simulate
from motifgpu.figures.palette import motif_color
from motifgpu.io.micrograph import Micrograph
from motifgpu.napari_plugin import layers, reader, stack
from motifgpu.napari_plugin.selection import describe, inside
from motifgpu.structure.hierarchy.export import motif_name

NM = 0.0149


@pytest.fixture(scope="module")
def analysis() -> motifgpu.Analysis:
    truth = simulate.monolayer(
        "MoSe2", (256, 300), vacancies=0.05, divacancies=0.02, dopants={"W": 0.03}, angle=11.0, seed=5
    )
    return motifgpu.analyze(Micrograph(truth.image, NM, "simulated", "MoSe2"))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    for k in range(3):
        truth = simulate.monolayer("MoSe2", (200, 200 + 30 * k), vacancies=0.05, seed=k)
        np.save(folder / f"scan{k}.npy", truth.image)
    motifgpu.run([str(folder)], folder / "out.motif", workers=1, pixel_size_nm=NM)
    return folder / "out.motif"


def by_name(made: list[layers.LayerData]) -> dict[str, layers.LayerData]:
    return {keywords["name"]: (data, keywords, kind) for data, keywords, kind in made}


def test_neither_napari_nor_qt_is_imported_for_layers_and_reader() -> None:
    code = (
        "import sys, motifgpu.napari_plugin.reader, motifgpu.napari_plugin.stack\n"
        "print({'napari', 'qtpy', 'PyQt6', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_layers_are_in_order_and_in_nm(analysis: motifgpu.Analysis) -> None:
    made = layers.analysis_layers(analysis)
    assert [(keywords["name"], kind) for _, keywords, kind in made] == [
        ("MoSe2", "image"),
        ("strain", "points"),
        ("lattice cells", "vectors"),
        ("displacements x 10", "vectors"),
        ("motif-cells", "shapes"),
        ("lattice vectors", "vectors"),
        ("columns", "points"),
    ]
    for _, keywords, _ in made:
        assert keywords["scale"] == (NM, NM)
        assert keywords["units"] == ("nm", "nm")


def test_columns_have_the_features_of_the_table(analysis: motifgpu.Analysis) -> None:
    points, keywords, _ = by_name(layers.analysis_layers(analysis))["columns"]
    features = keywords["features"]
    np.testing.assert_array_equal(points, analysis.points)
    table = analysis.table().take(features["column"])
    for name in ("motif", "identity", "domain", "environment", "occupied"):
        assert table[name].to_pylist() == features[name].tolist()
    for name in ("layout_x", "row_px", "row_nm", "identity_confidence"):
        np.testing.assert_array_equal(table[name].to_numpy(), features[name])
    empty = keywords["symbol"] == "square"
    np.testing.assert_array_equal(empty, ~features["occupied"])
    assert empty.any()
    assert keywords["metadata"]["analysis"] is analysis


def test_every_column_is_drawn_once(analysis: motifgpu.Analysis) -> None:
    made = by_name(layers.analysis_layers(analysis))
    assert made["columns"][1]["features"]["column"].tolist() == list(range(len(analysis.columns)))
    some = np.arange(len(analysis.columns)) > 4
    motifs = analysis.motifs
    names = {field.name for field in dataclasses.fields(motifs)} - {"counts", "means", "notes", "names"}
    motifs = dataclasses.replace(motifs, **{name: getattr(motifs, name)[some] for name in names})
    seen = dataclasses.replace(
        analysis,
        mask=some,
        points=analysis.points[some],
        layout=analysis.layout[some],
        motifs=motifs,
        cells=None,
    )
    made = by_name(layers.analysis_layers(seen))
    drawn = [made[name][1]["features"]["column"] for name in ("columns", "columns without a patch")]
    assert sorted(np.concatenate(drawn).tolist()) == list(range(len(analysis.columns)))


def test_motifs_have_their_colours(analysis: motifgpu.Analysis) -> None:
    shades = layers.colors(np.array([3, 0, -1, 3]), "motif")
    names = ["#" + "".join(f"{round(255 * c):02X}" for c in shade[:3]) for shade in shades.tolist()]
    assert names == [motif_color(label).upper() for label in (3, 0, -1, 3)]
    sure = layers.colors(np.array([0.0, 0.5, 1.0]), "confidence")
    assert (np.diff(sure[:, :3].sum(axis=1)) > 0).all()
    assert layers.colors(np.zeros(0), "motif").shape == (0, 4)


def test_motif_cells_are_those_that_differ(analysis: motifgpu.Analysis) -> None:
    assert analysis.cells is not None
    assert analysis.hierarchy is not None
    polygons, keywords, _ = by_name(layers.analysis_layers(analysis))["motif-cells"]
    features = keywords["features"]
    other = [analysis.cells.contents[k] not in analysis.hierarchy.dominant for k in analysis.cells.types]
    assert len(polygons) == sum(other) > 0
    placed = features["place"] >= 0
    assert placed.sum() == len(analysis.hierarchy.occurrences.cells)
    found = analysis.hierarchy.occurrences
    for polygon, place, key in zip(polygons, features["place"], features["motif_cell"], strict=True):
        assert (key != "") == (place >= 0)
        if place >= 0:
            assert analysis.hierarchy.nodes[found.node[place]].key == key
            centers = analysis.cells.centers[found.members(place)]
            assert np.linalg.norm(centers - polygon.mean(axis=0), axis=1).min() < 1e-6
    crystal = " + ".join(map(motif_name, analysis.hierarchy.dominant[0]))
    assert crystal not in features["holds"]


def test_too_many_motif_cells_leave_the_rarest(
    analysis: motifgpu.Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "MOST_CELLS", 2)
    made = by_name(layers.analysis_layers(analysis))
    (name,) = (name for name in made if name.startswith("motif-cells"))
    assert name.startswith("motif-cells (2 of ")
    assert analysis.cells is not None
    rarest = " + ".join(map(motif_name, analysis.cells.contents[-1]))
    assert rarest in made[name][1]["features"]["holds"]


def test_lattice_is_drawn_where_it_is(analysis: motifgpu.Analysis) -> None:
    assert analysis.cells is not None
    lattice = analysis.cells.lattice
    assert lattice is not None
    made = by_name(layers.analysis_layers(analysis))
    arrows = made["lattice vectors"][0]
    np.testing.assert_allclose(arrows[:, 1], [lattice.u, lattice.v])
    shifts, keywords, _ = made["displacements x 10"]
    rows = keywords["features"]["point"]
    np.testing.assert_allclose(shifts.sum(axis=1), lattice.points[rows])
    length = np.linalg.norm(shifts[:, 1], axis=1) * NM * 1000
    np.testing.assert_allclose(keywords["features"]["displacement_pm"], length)
    edges = made["lattice cells"][0]
    assert len(edges) == 2 * len(lattice.cells)
    strain = made["strain"][1]["features"]
    assert np.isfinite(strain["dilatation_percent"]).all()


def test_without_pixel_size_or_lattice_there_is_less() -> None:
    truth = simulate.monolayer("MoSe2", (160, 160), seed=1)
    found = motifgpu.analyze(truth.image, structure=False)
    made = by_name(layers.analysis_layers(found))
    assert set(made) == {"micrograph", "columns"}
    assert all("scale" not in keywords for _, keywords, _ in made.values())
    assert "sublattice" not in made["columns"][1]["features"]


def test_given_place_is_taken_and_the_image_not_made_again(analysis: motifgpu.Analysis) -> None:
    made = layers.analysis_layers(analysis, {"scale": (2.0, 2.0), "translate": (5.0, 1.0)})
    assert "image" not in {kind for _, _, kind in made}
    assert all(keywords["scale"] == (2.0, 2.0) and "units" not in keywords for _, keywords, _ in made)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inside_agrees_with_geometry(dtype: type) -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(-2, 2, (3000, 2)).astype(dtype)
    angle = np.linspace(0, 2 * np.pi, 7)[:-1] + 0.3
    hexagon = 1.3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    edges = np.roll(hexagon, -1, axis=0) - hexagon
    offset = places[:, None] - hexagon
    within = (edges[:, 0] * offset[..., 1] - edges[:, 1] * offset[..., 0] > 0).all(axis=1)
    np.testing.assert_array_equal(inside(hexagon, places), within)
    np.testing.assert_array_equal(inside(hexagon[::-1], places), within)


def test_inside_of_little_is_nothing() -> None:
    assert not inside([(0, 0), (1, 1)], [(0.5, 0.5)]).any()
    assert inside([(0, 0), (4, 0), (4, 4), (0, 4)], np.zeros((0, 2))).shape == (0,)
    concave = [(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)]
    np.testing.assert_array_equal(inside(concave, [(2, 0.5), (2, 2), (0.3, 3)]), [True, False, True])


def test_selection_is_described() -> None:
    assert describe(np.zeros(0, int), np.zeros(0), 1200) == "1,200 columns, none selected"
    said = describe(np.array([2, 2, -1, 0]), np.array([1.0, 0.5, 0.0, 0.5]), 1200)
    assert said == "4 of 1,200 columns: 2 of motif 2, 1 unassigned, 1 of motif 0; mean confidence 0.50"
    assert "2 more motifs" in describe(np.arange(6), np.ones(6), 6)


def test_reader_knows_what_is_ours(analysis: motifgpu.Analysis, run_folder: Path, tmp_path: Path) -> None:
    saved = analysis.save(tmp_path / "scan.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing of ours")
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4 no archive")
    np.save(tmp_path / "image.npy", np.zeros((4, 4)))
    assert reader.get_reader(str(saved)) is not None
    assert reader.get_reader(str(run_folder)) is not None
    assert reader.get_reader("scan.DM4") is not None
    for other in ("other.zip", "broken.zip", "image.npy", "missing.zip", "."):
        assert reader.get_reader(str(tmp_path / other)) is None, other
    assert reader.get_reader([str(saved), str(saved)]) is None


def test_reader_opens_what_was_saved(analysis: motifgpu.Analysis, tmp_path: Path) -> None:
    path = str(analysis.save(tmp_path / "scan.zip"))
    read = reader.get_reader(path)
    assert read is not None
    made, wanted = read(path), layers.analysis_layers(analysis)
    for (data, keywords, kind), (data2, keywords2, kind2) in zip(made, wanted, strict=True):
        assert (kind, keywords["name"]) == (kind2, keywords2["name"])
        np.testing.assert_array_equal(data, data2)
        for name, values in keywords2.get("features", {}).items():
            np.testing.assert_array_equal(keywords["features"][name], values)


def test_run_is_a_stack_that_is_read_as_it_is_looked_at(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motifgpu.dataset import reanalyze

    asked: list[str] = []
    read = reanalyze.reread
    monkeypatch.setattr(reanalyze, "reread", lambda run, name: asked.append(name) or read(run, name))
    run = motifgpu.Run(run_folder)
    made = by_name(stack.run_layers(run))
    assert list(made) == ["out", "titles", "columns"]
    images, keywords, _ = made["out"]
    assert images.shape == (3, 200, 260)
    assert keywords["scale"] == (1.0, NM, NM)
    assert not asked
    page = np.asarray(images[(1, slice(None), slice(None))])
    names = run.micrographs["micrograph"].to_pylist()
    assert asked == [names[1]]
    raw = np.load(run.micrographs["source"][1].as_py()).astype(np.float32)
    height, width = raw.shape
    assert np.corrcoef(page[:height, :width].ravel(), raw.ravel())[0, 1] == pytest.approx(1, abs=1e-6)
    assert not page[:, width:].any()
    np.testing.assert_array_equal(images[1], page)
    assert asked == [names[1]]  # kept
    np.testing.assert_array_equal(np.asarray(images)[:, 3:9], images[:, 3:9])


def test_few_micrographs_are_kept(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = stack.run_layers(motifgpu.Run(run_folder))[0][0]
    monkeypatch.setattr(stack, "_KEPT", 2 * images[0].nbytes)
    for k in (0, 1, 2, 1):
        images[k]
    assert sorted(images._read) == [1, 2]


def test_columns_of_a_run_are_those_of_its_tables(run_folder: Path) -> None:
    run = motifgpu.Run(run_folder)
    points, keywords, _ = by_name(stack.run_layers(run))["columns"]
    assert len(points) == sum(run.micrographs["points"].to_pylist())
    for k, name in enumerate(run.micrographs["micrograph"].to_pylist()):
        table = run.columns(name).to_pandas()
        table = table[table.moments_row.notna()]
        here = points[:, 0] == k
        np.testing.assert_array_equal(points[here, 1:], table[["row_px", "col_px"]])
        for feature in ("motif", "environment", "layout_x", "confidence"):
            np.testing.assert_array_equal(keywords["features"][feature][here], table[feature])


def test_too_many_columns_of_a_run_are_left_out(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "MOST_COLUMNS", 10)
    assert "columns" not in by_name(stack.run_layers(motifgpu.Run(run_folder)))


def test_small_picture_stands_for_a_file_that_is_gone(tmp_path: Path) -> None:
    truth = simulate.monolayer("MoSe2", (160, 200), seed=2)
    np.save(tmp_path / "scan.npy", truth.image)
    motifgpu.run([str(tmp_path)], tmp_path / "out.motif", workers=1)
    (tmp_path / "scan.npy").unlink()
    images = stack.run_layers(motifgpu.Run(tmp_path / "out.motif"))[0][0]
    with pytest.warns(UserWarning, match=r"scan\.npy: .*; its small picture is shown"):
        page = images[0]
    assert page.shape == (160, 200)
    assert np.corrcoef(page.ravel(), truth.image.ravel())[0, 1] > 0.5


def test_run_without_micrographs_says_so(tmp_path: Path) -> None:
    (tmp_path / "broken.npy").write_bytes(b"no array")
    motifgpu.run([str(tmp_path)], tmp_path / "out.motif", workers=1)
    with pytest.raises(motifgpu.StageError, match="has no micrograph; see its quarantine"):
        stack.run_layers(motifgpu.Run(tmp_path / "out.motif"))


def test_view_says_what_is_missing(analysis: motifgpu.Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    from motifgpu.napari_plugin import view

    monkeypatch.setitem(sys.modules, "napari", None)
    with pytest.raises(motifgpu.StageError, match=r"install it: pip install 'motifgpu\[napari\]'"):
        view(analysis)


def test_commands_of_the_manifest_exist() -> None:
    import ast
    import re

    folder = Path(layers.__file__).parent
    text = (folder / "napari.yaml").read_text()
    found = re.findall(r"python_name: motifgpu\.napari_plugin\.(\w+):(\w+)", text)
    assert len(found) == text.count("- id:") == 7
    for module, name in found:
        tree = ast.parse((folder / f"{module}.py").read_text())
        assert name in {getattr(node, "name", "") for node in tree.body}
    used = re.findall(r"command: (\S+)", text)
    assert set(used) == set(re.findall(r"id: (\S+)", text))
    patterns = set(re.findall(r'"\*(\.\w+)"', text))
    assert patterns == {".motif", ".zip", *reader.MICROSCOPES}
