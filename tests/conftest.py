"""Fixtures shared by all tests: the backends under test and the real micrographs where they are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from support.backends import BACKENDS, maker
from support.real_micrographs import folder_or_skip

# The same examples in every run: a test fails because of a change and not by chance.
hypothesis.settings.register_profile("fixed", derandomize=True, database=None)
hypothesis.settings.load_profile("fixed")


@pytest.fixture(params=BACKENDS)
def xp_array(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Return a callable that turns a NumPy array into an array of the backend under test."""
    return maker(request.param)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of real micrographs, or skip."""
    return folder_or_skip()
