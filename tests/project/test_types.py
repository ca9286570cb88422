"""What a type checker tells the users of the package, and that the public names are the same everywhere."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import motifgpu

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(motifgpu.__file__).parent

SNIPPET = """\
import numpy as np
import motifgpu

analysis = motifgpu.analyze("scan.tif", n_neighbors=12)
reveal_type(analysis.columns)
reveal_type(analysis.points)
reveal_type(analysis.graph)
reveal_type(analysis.motifs.labels)
reveal_type(analysis.cells)
reveal_type(analysis.hierarchy)
reveal_type(analysis.parameters)
reveal_type(analysis.plot.layout(color="confidence"))
columns = motifgpu.find_columns(np.zeros((64, 64)), smoothing="svd")
reveal_type(columns.sigma_px)
run = motifgpu.run(["scans/"], "out.motif", workers=2)
reveal_type(run)
reveal_type(run.moments("scan"))
reveal_type(run.analysis("scan").averages)
reveal_type(motifgpu.MotifDictionary.learn([analysis]))
motifgpu.analyze("scan.tif", n_neighbours=12)
motifgpu.find_motif(analysis.moments, analysis.layout)
analysis.labels
"""
ARRAY = "numpy.ndarray[tuple[Any, ...], numpy.dtype[Any]]"
REVEALED = {
    5: "motifgpu.columns.find.Columns",
    6: f"{ARRAY} | Any",
    7: "motifgpu.graph.affinity.AffinityGraph",
    8: f"{ARRAY} | Any",
    9: "motifgpu.structure.cells.Cells | None",
    10: "motifgpu.structure.hierarchy.build.Hierarchy | None",
    11: "typing.Mapping[str, Any]",
    12: "matplotlib.axes._axes.Axes",
    14: "float",
    16: "motifgpu.dataset.results.Run",
    17: ARRAY,
    18: "motifgpu.motifs.averages.ClassAverages",
    19: "motifgpu.dictionary.dictionary.MotifDictionary",
}
ERRORS = {20: "call-arg", 21: "attr-defined", 22: "attr-defined"}


def test_type_checker_knows_results_and_finds_mistakes(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "snippet.py").write_text(SNIPPET)
    # In a checkout with the options and the cache of the project's own check, so that little is left to do.
    checkout = ["--config-file", str(ROOT / "pyproject.toml")] if HOME.parent == ROOT else []
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-pretty", *checkout, str(tmp_path / "snippet.py")],
        cwd=ROOT if checkout else tmp_path,
        capture_output=True,
        text=True,
    )
    lines = re.findall(r'snippet\.py:(\d+): (?:note: Revealed type is "(.*)"|error: .*\[(.*)\])', done.stdout)
    assert {int(line): revealed for line, revealed, _ in lines if revealed} == REVEALED, done
    assert {int(line): code for line, _, code in lines if code} == ERRORS, done


def test_public_names_agree() -> None:
    stub = ast.parse((HOME / "__init__.pyi").read_text(encoding="utf-8"))
    origin = {"__version__": "motifgpu"}
    exported: list[str] = []
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            module = ".".join(filter(None, ["motifgpu", node.module]))
            origin |= {alias.name: module for alias in node.names}
        elif isinstance(node, ast.Assign):
            exported = ast.literal_eval(node.value)
    assert exported == sorted(exported)
    assert set(exported) == set(origin) == set(motifgpu.__all__) == set(dir(motifgpu))
    for name, module in origin.items():
        assert getattr(motifgpu, name) == getattr(importlib.import_module(module), name)
    assert (HOME / "py.typed").exists()
    with pytest.raises(AttributeError, match="module 'motifgpu' has no attribute 'nothing'"):
        motifgpu.nothing  # noqa: B018
