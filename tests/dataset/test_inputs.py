from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.datasets import tables

from motifgpu import Run, dataset
from motifgpu.core import device
from motifgpu.core.errors import StageError
from motifgpu.dataset import inputs


def test_inputs_are_walked_sorted_and_taken_once(scans: Path, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for name in ("z.npz", "y.NPZ", "notes.txt", ".hidden.npz"):
        shutil.copy(scans / "scan00.npz", deep / name)
    walked = inputs.expand(tmp_path, tmp_path / "out.motif").files
    assert [Path(path).name for path in walked] == ["y.NPZ", "z.npz"]
    pattern = f"{tmp_path}/**/*.npz"
    assert inputs.expand([pattern, deep / "z.npz", deep], tmp_path / "o").files == walked
    with pytest.raises(StageError, match=r"no file matches .*\.dm9"):
        inputs.expand(f"{tmp_path}/*.dm9", tmp_path / "o")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StageError, match="holds no file of a known format"):
        inputs.expand(tmp_path / "empty", tmp_path / "o")
    with pytest.raises(StageError, match="there are no paths"):
        inputs.expand([], tmp_path / "o")


def test_options_are_checked_before_anything_is_written(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="there is no option 'neighbours'"):
        dataset.run(scans, tmp_path / "o", neighbours=10)
    assert not (tmp_path / "o").exists()
    with pytest.raises(StageError, match="workers is 0"):
        dataset.run(scans, tmp_path / "o", workers=0)


@pytest.mark.parametrize(
    "option",
    [{"smoothing": "blur"}, {"n_neighbors": 1}, {"seed": -1}, {"patch_size": 0.0}, {"pixel_size_nm": -1.0}],
)
def test_options_that_no_micrograph_could_have(scans: Path, tmp_path: Path, option: dict) -> None:
    with pytest.raises(StageError, match=f"run: {next(iter(option))} is"):
        dataset.run(scans, tmp_path / "o", **option)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("shard", [(0, 2), (3, 2)])
def test_shards_out_of_range(scans: Path, tmp_path: Path, shard: tuple[int, int]) -> None:
    with pytest.raises(StageError, match="give i/n"):
        dataset.run(scans, tmp_path / "o", shard=shard)


def test_a_missing_gpu_is_said_before_anything_is_done(scans: Path, tmp_path: Path) -> None:
    if device.gpu_problem() is None:
        pytest.skip("there is a GPU")
    with pytest.raises(device.GpuMissingError, match="no GPU can be used"):
        dataset.run(scans, tmp_path / "o", backend="cupy")
    assert not (tmp_path / "o").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser writes everywhere")
def test_a_folder_that_cannot_be_written(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        dataset.run(scans, tmp_path / "locked" / "o", workers=1)


def test_a_path_that_is_no_folder(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        dataset.run(scans, tmp_path / "file" / "o", workers=1)


def _images(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return [str(folder / name) for name in sorted(names)]


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_folders_behind_links_are_searched_and_loops_end(tmp_path: Path) -> None:
    files = _images(tmp_path / "s", "a.npy", "b/c.npy")
    _images(tmp_path / "far", "d.npy")
    (tmp_path / "s" / "link").symlink_to("../far")
    (tmp_path / "s" / "again").symlink_to("../far")
    for k in range(12):  # each leads to all others, in more ways than can be walked
        (tmp_path / "s" / f"loop{k}").symlink_to(".")
        (tmp_path / "s" / "b" / f"loop{k}").symlink_to("..")
    right = sorted([*files, str(tmp_path / "s" / "again" / "d.npy")])
    for given in (tmp_path / "s", f"{tmp_path}/s/**/*.npy", f"{tmp_path}/s/**"):
        assert inputs.expand(given, tmp_path / "o").files == right
    assert inputs.expand(f"{tmp_path}/s/link/*", tmp_path / "o").files == [
        str(tmp_path / "s" / "link" / "d.npy")
    ]


def test_what_exists_under_the_name_of_a_pattern_is_taken_for_itself(tmp_path: Path) -> None:
    [inside, _, plain] = _images(tmp_path, "b[1]/a.npy", "b[1]/c[2].npy", "b1/a.npy")
    assert inside.endswith("b1/a.npy")
    both = [str(tmp_path / "b[1]" / name) for name in ("a.npy", "c[2].npy")]
    assert inputs.expand(f"{tmp_path}/b[1]/*.npy", tmp_path / "o").files == both
    assert inputs.expand(f"{tmp_path}/b[1]/c[2].npy", tmp_path / "o").files == both[1:]
    assert inputs.expand(f"{tmp_path}/b[0-9]/*.npy", tmp_path / "o").files == [str(tmp_path / "b1" / "a.npy")]
    assert plain == both[1]


def test_earlier_results_are_left_out_and_named(scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(scans, folder)
    shutil.copytree(undisturbed.path, folder / "first.motif")
    _images(folder, *(f"first.motif/pages/x/{name}" for name in ("fig.png", "report.html")))
    _images(folder, *(f"motifs/scan00/{name}" for name in ("report.html", "summary.json", "columns.csv")))
    _images(folder, "motifs/scan00/figures/map.png", "figures/own.npy")
    for given in (folder, f"{folder}/**/*.n*", f"{folder}/**"):
        found = inputs.expand(given, folder / "out.motif")
        assert {Path(path).parent for path in found.files} == {folder, folder / "figures"}
        assert found.left_out == [str(folder / "first.motif"), str(folder / "motifs" / "scan00")]
    with pytest.raises(StageError, match=r"left out: .*first\.motif, which holds results of motifgpu"):
        inputs.expand(folder / "first.motif", tmp_path / "o")
    told: list[str] = []
    run = dataset.run(
        folder, folder / "out.motif", workers=1, structure=False, progress=lambda text, _: told.append(text)
    )
    assert run.about["last_call"]["left_out"] == found.left_out
    assert any("first.motif is left out" in text for text in told)
    again = dataset.run(folder, folder / "out.motif", workers=1, structure=False)
    assert tables(again.path) == tables(run.path)
