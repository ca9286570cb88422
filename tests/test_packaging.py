from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_wheel_carries_the_kernels_and_runs(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("motifgpu-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    kernels = {f"motifgpu/kernels/{path.name}" for path in (ROOT / "kernels").iterdir() if path.is_file()}
    assert kernels <= names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
    subprocess.run(
        [*pip, "install", "-q", "--no-deps", "--target", str(tmp_path / "site"), str(wheel)], check=True
    )
    code = "import motifgpu as m, sys, motifgpu.cli as c; print(m.__file__); sys.exit(c.main(['info']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path / "site") in done.stdout


def test_locks_are_hashed_and_name_no_index() -> None:
    for lock in sorted((ROOT / "ci" / "locks").glob("*.txt")):
        text = lock.read_text()
        assert "://" not in text, lock
        assert "--index" not in text, lock
        blocks = [b for b in text.split("\n") if b and not b.startswith((" ", "#"))]
        assert blocks, lock
        assert text.count("--hash=sha256:") >= len(blocks), lock
