"""The quick part of the fault campaign."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["damage", "scenarios", "kills", "environments", "hostile"])
def test_no_fault_loses_a_result_or_has_another_one_read(kind: str) -> None:
    command = [sys.executable, "benchmarks/faults", "--quick", "--kinds", kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
