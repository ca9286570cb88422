"""The GPU's side on the stand-in for CuPy: in processes of their own, in which CuPy is it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fake_cupy import VERSIONS, environment
from host_cuda import device

ROOT = Path(__file__).resolve().parents[2]
OLDEST, LOCKED = VERSIONS[0], VERSIONS[-1]

pytestmark = pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))


def run(version: str, *arguments: str, without: tuple[str, ...] = (), devices: int = 1) -> str:
    """Run tests marked gpu on the stand-in and return what pytest said."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", *arguments],
        cwd=ROOT,
        env=environment(version, devices, without),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    return done.stdout


def test_the_lists_are_of_the_oldest_that_is_allowed_and_of_the_locked() -> None:
    [oldest] = re.findall(r"cupy-cuda12x\[ctk\]>=([\d.]+)", (ROOT / "pyproject.toml").read_text())
    lock = (ROOT / "ci" / "locks" / "gpu.txt").read_text()
    [locked] = re.findall(r"^cupy-cuda13x==([\d.]+)", lock, re.MULTILINE)
    [cucim] = re.findall(r"^cucim-cu13==([\d.]+)", lock, re.MULTILINE)
    assert len(VERSIONS) == 2, "run ci/cupy_names"
    assert OLDEST.removesuffix(".0") == oldest.removesuffix(".0"), "run ci/cupy_names"
    assert locked == LOCKED, "run ci/cupy_names"
    assert (ROOT / "tests" / "fake_cupy" / "names" / f"cucim-{cucim}.json").exists(), "run ci/cupy_names"


def test_the_oldest_computes_the_chain_and_refuses_what_cupy_does() -> None:
    chain = "tests/cuda/test_chain.py::"
    run(OLDEST, "tests/fake_cupy", f"{chain}test_alone_and_in_any_batch_the_bits_are_the_same")


def test_the_locked_one_refuses_what_cupy_does_between_two_devices() -> None:
    run(LOCKED, "tests/fake_cupy", devices=2)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_everything_marked_gpu_passes(version: str) -> None:
    said = run(version, "tests", devices=2)
    skipped = re.findall(r"^SKIPPED \[\d+\] \S+ (.*)$", said, re.MULTILINE)
    assert all("is not installed" in reason for reason in skipped), skipped


@pytest.mark.slow
def test_a_gpu_needs_neither_numba_nor_cucim() -> None:
    chain = "tests/cuda/test_chain.py"
    run(LOCKED, chain, "-k", "structure or nothing", without=("numba", "cucim"))
