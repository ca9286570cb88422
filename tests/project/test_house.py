"""ci/house: which room opens which, and that none opens another in a circle."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = {
    "motifgpu/__init__.py": "",
    "motifgpu/__init__.pyi": "from .analysis import Analysis\n",
    "motifgpu/core/__init__.py": '"""What all stand on."""\n',
    "motifgpu/core/checks.py": "",
    "motifgpu/columns/__init__.py": '"""Atom columns."""\n',
    "motifgpu/columns/find.py": "from motifgpu.core.checks import check_array\n",
    "motifgpu/analysis.py": '"""What is found."""\nfrom motifgpu.columns.find import Columns\n\n'
    "def report():\n    from motifgpu.report import render\n",
    "motifgpu/report/__init__.py": '"""The report."""\nfrom motifgpu import Analysis\n',
    "CONTRIBUTING.md": "Rooms\n\n<!-- the house: written by ci/house -->\n"
    "<!-- end of the house -->\n\nthe rest\n",
}
PICTURE = """Rooms

<!-- the house: written by ci/house -->

3 arrows between 4 rooms.

| floor | room | holds | opens |
|---|---|---|---|
| 0 | `core` | What all stand on |  |
| 1 | `columns` | Atom columns | core |
| 2 | `analysis` | What is found | columns |
| 3 | `report` | The report | analysis |

<!-- end of the house -->

the rest
"""


def house(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "ci" / "house", *options]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a house of four rooms, whose result opens its report when that is asked for."""
    for name, text in SMALL.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "ci").mkdir()
    shutil.copy(ROOT / "ci" / "house", tmp_path / "ci")
    return tmp_path


def test_the_picture_is_written_and_checked(small: Path) -> None:
    assert house(small, "--check").returncode == 1
    assert house(small, "--write").returncode == 0
    assert (small / "CONTRIBUTING.md").read_text() == PICTURE
    assert house(small, "--check").returncode == 0
    (small / "motifgpu" / "report" / "page.py").write_text("import motifgpu.columns.find\n")
    done = house(small, "--check")
    assert done.returncode == 1
    assert "old picture" in done.stderr


@pytest.mark.parametrize(
    "planted",
    [
        "from motifgpu.columns.find import Columns\n",
        "def late():\n    from motifgpu.columns import find\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..columns.find import Columns\n",
        "from motifgpu import Analysis\n",
        "import importlib\nimportlib.import_module('motifgpu.columns.find')\n",
    ],
    ids=["at the top", "in a function", "for types", "by its public name", "by a string"],
)
def test_a_planted_circle_is_found(small: Path, planted: str) -> None:
    (small / "motifgpu" / "core" / "checks.py").write_text(planted)
    done = house(small, "--check")
    assert done.returncode == 1
    assert "in a circle" in done.stderr
    assert "core.checks imports " in done.stderr


def test_the_result_opens_its_faces_late_alone(small: Path) -> None:
    (small / "motifgpu" / "analysis.py").write_text("from motifgpu.report import render\n")
    done = house(small, "--check")
    assert done.returncode == 1
    assert "analysis imports report" in done.stderr


def test_this_house_has_no_circle_and_its_picture(tmp_path: Path) -> None:
    for name in ("motifgpu", "ci"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "locks"))
    shutil.copy(ROOT / "CONTRIBUTING.md", tmp_path)
    done = house(tmp_path, "--check")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "motifgpu" / "core" / "files.py").open("a") as file:
        file.write("\n\ndef planted():\n    from motifgpu.dataset import run\n")
    done = house(tmp_path, "--check")
    assert done.returncode == 1
    assert "core.files imports dataset" in done.stderr
