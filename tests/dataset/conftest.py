"""Runs that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.datasets import MANY, tables, write_scans

from motifgpu import Run, dataset


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four micrographs and a damaged file; no test changes them."""
    return write_scans(tmp_path_factory.mktemp("scans"), 4)


@pytest.fixture(scope="session")
def undisturbed(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run over `scans` that nothing disturbed; no test changes its tables."""
    return dataset.run(scans, tmp_path_factory.mktemp("run") / "out.motif", workers=1)


@pytest.fixture(scope="session")
def many_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight files, one of them damaged; no test changes them."""
    return write_scans(tmp_path_factory.mktemp("many"), MANY - 1)


@pytest.fixture(scope="session")
def many_tables(many_scans: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of a run over `many_scans` that nothing disturbed."""
    return tables(dataset.run(many_scans, tmp_path_factory.mktemp("run") / "out.motif", workers=1).path)
