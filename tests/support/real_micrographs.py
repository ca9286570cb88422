"""Where the real micrographs are that tests and benchmarks use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def folder_or_skip() -> Path:
    """Return the folder that MOTIFGPU_DATA names, or shared/data beside the repository, or skip."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("MOTIFGPU_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real micrographs at {folder} (set MOTIFGPU_DATA)")
    return folder
