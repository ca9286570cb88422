from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from motifgpu import dataset
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
