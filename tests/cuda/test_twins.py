"""Twins have one signature: our own for the CPU and a GPU, and cuCIM's, which is read and not imported."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest
from support.crossings import STAGES, twins

ROOT = Path(__file__).resolve().parents[2]
CALL = re.compile(r'skimage\(xp, "(\w+)"\)\.(\w+)\(')
CALLS = sorted(
    {call for path in (ROOT / "motifgpu").rglob("*.py") for call in CALL.findall(path.read_text())}
)


def test_every_stage_has_the_same_functions_for_both_devices() -> None:
    assert {stage: list(twins(stage)) for stage in STAGES} == {
        "patches": ["coefficients", "sample"],
        "neighbors": ["nearest"],
        "affinity": ["solve", "symmetrize"],
        "relaxation": ["pca_start", "relax"],
        "refine": ["draw", "fit", "measure"],
    }


@pytest.mark.parametrize("stage", STAGES)
def test_both_devices_have_one_signature(stage: str) -> None:
    for host, there in twins(stage).values():
        assert inspect.signature(host) == inspect.signature(there)


def test_the_calls_are_found() -> None:
    assert ("metrics", "structural_similarity") in CALLS


def definition(submodule: str, name: str) -> ast.FunctionDef:
    """Return the definition of a function of a module of cucim.skimage."""
    found = importlib.util.find_spec("cucim")
    if found is None or not found.submodule_search_locations:
        pytest.skip("cuCIM is not installed")
    folder = Path(found.submodule_search_locations[0]) / "skimage" / submodule
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return node
    raise AssertionError(f"cucim.skimage.{submodule} has no {name}")


@pytest.mark.parametrize(("submodule", "name"), CALLS)
def test_twins_take_the_same_arguments(submodule: str, name: str) -> None:
    there = definition(submodule, name).args
    host = inspect.signature(
        getattr(importlib.import_module(f"skimage.{submodule}"), name)
    ).parameters.values()
    kinds = inspect.Parameter
    assert [a.arg for a in there.posonlyargs + there.args] == [
        p.name for p in host if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    ]
    assert [a.arg for a in there.kwonlyargs] == [p.name for p in host if p.kind is kinds.KEYWORD_ONLY]
    defaults = [ast.unparse(d) for d in there.defaults + [d for d in there.kw_defaults if d is not None]]
    assert defaults == [repr(p.default) for p in host if p.default is not kinds.empty]
