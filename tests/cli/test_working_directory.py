"""Commands in a folder that holds a stranger's modules, none of which is ever run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from motifgpu import simulate
from motifgpu.core import processes

ROOT = Path(__file__).parents[2]
# Packages that commands import, and modules of Python's that it has not loaded before it finds motifgpu.
NAMES = (
    *("numpy", "scipy", "skimage", "sklearn", "numba", "lazy_loader", "array_api_compat", "tifffile", "PIL"),
    *("matplotlib", "pyarrow", "zarr", "rsciio", "h5py", "yaml", "bokeh", "threadpoolctl", "cupy"),
    *("__future__", "typing", "json", "csv", "argparse", "zipfile", "tempfile", "logging", "dataclasses"),
    *("subprocess", "secrets", "hashlib", "queue", "uuid", "tomllib", "html", "glob"),
)
TRAP = "open({log!r}, 'a').write(__name__ + '\\n')\nraise SystemExit('the trap was run')\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a micrograph and traps."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(TRAP.format(log=str(tmp_path / "trapped")))
    made = simulate.monolayer(shape=(128, 128), counts=60)
    np.save(folder / "scan.npy", made.image)
    return folder


def _python(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not (folder.parent / "trapped").exists(), (folder.parent / "trapped").read_text()
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["-m motifgpu", pytest.param("-mmotifgpu", marks=pytest.mark.slow)])
def test_the_module_runs_nothing_of_the_working_directory(folder: Path, module: str) -> None:
    assert "Python" in _python(folder, *module.split(), "info")


@pytest.mark.slow
def test_nor_do_its_workers_and_readers(folder: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="an EMD file is written with h5py (extra: em)")
    pytest.importorskip("rsciio")
    with h5py.File(folder / "scan.emd", "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/scan")
        group.attrs["emd_group_type"] = 1
        group["data"] = np.load(folder / "scan.npy")
        for axis, name in enumerate("yx", 1):
            step = group.create_dataset(f"dim{axis}", data=np.arange(128) * 0.02)
            step.attrs["name"], step.attrs["units"] = name, "[n_m]"
    for command in ("analyze --still -o found scan.emd", "run --workers 2 -o out.motif scan.npy scan.emd"):
        _python(folder, "-m", "motifgpu", *command.split())
    assert (folder / "found" / "scan" / "report.html").exists()
    assert (folder / "out.motif" / "micrographs.parquet").exists()


def test_other_processes_get_neither_the_working_directory_nor_an_empty_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", ".", str(tmp_path), *sys.path])
    places = processes.environment()["PYTHONPATH"].split(os.pathsep)
    assert str(tmp_path) not in places
    assert all(map(os.path.isabs, places))
    assert str(ROOT) in places
