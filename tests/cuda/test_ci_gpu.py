"""ci/gpu: what it does in the minutes that there are, rehearsed on the stand-in for CuPy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from fake_cupy import VERSIONS, environment
from host_cuda import device

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable


@pytest.fixture(scope="module")
def script():
    loader = SourceFileLoader("ci_gpu", str(ROOT / "ci" / "gpu"))
    module = module_from_spec(spec_from_loader("ci_gpu", loader))
    loader.exec_module(module)
    return module


def test_a_step_that_fails_or_hangs_costs_the_others_nothing(script, tmp_path: Path) -> None:
    steps = script.Steps(tmp_path, 1.0, dict(os.environ))
    steps.run("failing", 20, [PYTHON, "-c", "print('so far', flush=True); raise SystemExit(3)"])
    steps.run("hanging", 1.0, [PYTHON, "-c", "print('begun', flush=True); import time; time.sleep(60)"])
    steps.run("good", 20, [PYTHON, "-c", "print('all')"])
    steps.end = 0.0
    steps.run("late", 20, [PYTHON, "-c", "1"])
    ended = [re.sub(r" \(\d+ s\)", "", how) for how in steps.ended.values()]
    assert ended == ["failed with exit code 3", "stopped by its limit", "done", "no time was left"]
    said = [(tmp_path / f"{name}.log").read_text() for name in ("failing", "hanging", "good")]
    assert said == ["so far\n", "begun\n", "all\n"]
    assert (tmp_path / "gpu-steps.log").read_text().count("\n") == 4


def test_studies_have_limits_that_fit_ten_minutes(script) -> None:
    text = (ROOT / "benchmarks" / "bench_gpu.py").read_text()
    names = re.findall(r'^        "(\w+)": lambda', text, re.MULTILINE)
    assert set(script.STUDIES) == set(names)
    assert sum(script.STUDIES.values()) + script.TESTS <= 10 * 60 + 30
    assert script.tree_bytes() < script.MOST / 2  # leaves as much for wheels


@pytest.mark.slow
@pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))
def test_the_minutes_on_a_gpu_are_rehearsed(script, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tests = ["tests/cuda/test_chain.py", "tests/dataset/test_on_gpu.py", "tests/columns/test_maxima.py"]
    done = subprocess.run(
        [PYTHON, "ci/gpu", "--quick", "--rows", "200", "--tests", *tests],
        cwd=ROOT,
        env={**environment(VERSIONS[-1], without=("numba", "cucim", "zarr")), "OUT": str(out)},
        capture_output=True,
        text=True,
    )
    said = dict(line.split(": ", 1) for line in (out / "gpu-steps.log").read_text().splitlines())
    assert list(said) == [*script.STUDIES, "tests"]
    assert done.returncode == 0, done.stdout
    assert all(how.startswith("done") for how in said.values())
    [summary] = re.findall(r"^.*\d+ passed.*$", (out / "tests.log").read_text(), re.MULTILINE)
    assert "failed" not in summary, summary
    [results] = out.glob("stand-in-*.json")
    figures = {name: study["figures"] for name, study in json.loads(results.read_text()).items()}
    assert set(figures) == {f"gpu_{name}_quick" for name in script.STUDIES}
    assert not any("failed" in study for study in figures.values())
    assert figures["gpu_neighbors_quick"]["recall"] == 1.0
    assert not list((ROOT / "benchmarks" / "results").glob("stand-in*"))
