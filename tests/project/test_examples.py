"""Every public name has an example in its docstring, and all examples of the package run."""

from __future__ import annotations

import doctest
import functools
import importlib
import inspect
import io
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import matplotlib
import matplotlib.pyplot as plt
import pytest

import motifgpu
from motifgpu import samples, simulate
from motifgpu.features import bases

PACKAGE = Path(motifgpu.__file__).parent
# How many statements the examples of each module have.
WRITTEN = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): count
    for path in sorted(PACKAGE.rglob("*.py"))
    if (count := sum(line.lstrip().startswith(">>> ") for line in path.read_text("utf-8").splitlines()))
}
# Methods that have an example of their own. The others are shown by the example of their class, are the
# counterpart of one that has, or need an optional package.
METHODS = {
    "Analysis": "add_columns apply assign figures merge movie plot reconstruct remove_columns rename report "
    "save site_grid split summary table",
    "Micrograph": "from_array of",
    "MotifDictionary": "assign extended learn learn_pooled motifs renamed save",
    "Run": "analysis columns moments report",
}


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """Return the examples of all that a module defines."""
    finder = doctest.DocTestFinder()
    found = finder.find(module, globs={})
    for owner in vars(module).values():
        if inspect.isclass(owner) and owner.__module__ == module.__name__:
            for name, value in vars(owner).items():
                if isinstance(value, functools.cached_property):  # which the finder does not look into
                    found += finder.find(value.func, f"{owner.__name__}.{name}", module, globs={})
    return [test for test in found if test.examples]


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder and without a display, and close all figures."""
    monkeypatch.chdir(tmp_path)
    with matplotlib.rc_context({"backend": "agg"}):
        yield tmp_path
        plt.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITTEN)
def test_examples_run(name: str, apart: Path) -> None:
    found = examples(importlib.import_module(name))
    assert sum(len(test.examples) for test in found) == WRITTEN[name]
    report = io.StringIO()
    for test in found:
        assert not any(doctest.SKIP in example.options for example in test.examples)
        doctest.DocTestRunner().run(test, out=report.write)
    if report.getvalue():
        pytest.fail(report.getvalue(), pytrace=False)
    assert not list(apart.iterdir()), "an example writes elsewhere than into a temporary folder"


@pytest.mark.parametrize("module", [motifgpu, samples, simulate, bases], ids=lambda module: module.__name__)
def test_every_public_name_has_an_example(module: ModuleType) -> None:
    wanted = {name: getattr(module, name) for name in module.__all__}
    wanted = {name: thing for name, thing in wanted.items() if callable(thing) or inspect.ismodule(thing)}
    for name in METHODS.keys() & wanted.keys():
        for method in METHODS[name].split():
            wanted[f"{name}.{method}"] = inspect.getattr_static(wanted[name], method)
    assert not [name for name, thing in wanted.items() if ">>> " not in (inspect.getdoc(thing) or "")]
