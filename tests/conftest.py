"""What all tests share: time limits, the backends under test, signals, and the real micrographs."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from support.backends import BACKENDS, maker
from support.real_micrographs import folder_or_skip

# The same examples in every run: a test fails because of a change and not by chance.
hypothesis.settings.register_profile("fixed", derandomize=True, database=None)
hypothesis.settings.load_profile("fixed")

if not os.access(os.path.expanduser("~"), os.W_OK):  # HyperSpy and Matplotlib keep files there
    _home = tempfile.TemporaryDirectory(prefix="motifgpu-home-")
    os.environ["HOME"] = _home.name

gc.disable()  # until the tests are collected: what that makes stays, and would be searched again and again

SLOW = 900  # seconds that a slow test may take; pyproject.toml has the limit of the others


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)  # a tenth of the tests' time with the default of 700
    gc.enable()


@pytest.fixture(params=BACKENDS)
def xp_array(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Return a callable that turns a NumPy array into an array of the backend under test."""
    return maker(request.param)


@pytest.fixture
def little_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a report have one empty figure: drawing takes most of its time."""
    from matplotlib.figure import Figure

    monkeypatch.setattr("motifgpu.Analysis.figures", lambda self, **options: {"micrograph": Figure()})


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of real micrographs, or skip."""
    return folder_or_skip()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let SIGINT interrupt this process and those it starts: in the background of a script it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
