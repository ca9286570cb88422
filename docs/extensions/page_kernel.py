"""What a kernel that runs a page does before its first example: a folder with micrographs, and a shell."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_DEFECTS: dict[str, Any] = {"vacancies": 0.05, "divacancies": 0.015, "dopants": {"W": 0.03}}


def write_scans(folder: Path) -> None:
    """Write the simulated micrographs that pages begin with into a folder."""
    import tifffile

    from motifgpu import simulate

    (folder / "scans").mkdir()
    for seed, name in enumerate(["scan", "other", "scans/first", "scans/second", "scans/third"]):
        made = simulate.monolayer("MoSe2", (256, 256), counts=30.0, angle=11.0, seed=seed, **_DEFECTS)
        assert made.pixel_size_nm is not None
        per_nm = 1 / made.pixel_size_nm
        tifffile.imwrite(
            folder / f"{name}.tif",
            made.image,
            imagej=True,
            resolution=(per_nm, per_nm),
            metadata={"unit": "nm"},
        )


def shell(line: str, cell: str) -> None:
    """Run a cell by ``bash -eu`` and show what it prints; fail where it fails, with what it logged."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", cell],
        env={**os.environ, "PATH": path, "COLUMNS": "100"},
        capture_output=True,
        text=True,
    )
    print(done.stdout, end="")
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr}")


def prepare(magics: Any) -> None:
    """Make the folder, go there, and have cells that begin with ``%%sh`` run by `shell`."""
    folder = Path(tempfile.mkdtemp(prefix="motifgpu-page-"))
    write_scans(folder)
    os.chdir(folder)
    sys.path.insert(0, "")
    magics.run_line_magic("matplotlib", "inline")  # figures that end a block are shown
    magics.register_magic_function(shell, "cell", "sh")


if "get_ipython" in globals():
    prepare(get_ipython())  # type: ignore[name-defined]  # noqa: F821
    del write_scans, shell, prepare, annotations
