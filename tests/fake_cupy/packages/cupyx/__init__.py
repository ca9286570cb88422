"""Stands in for cupyx, see ``fake_cupy``."""

from typing import Any

from fake_cupy import surface as _surface
from fake_cupy.memory import empty_pinned as empty_pinned
from fake_cupy.memory import zeros_pinned as zeros_pinned


def __getattr__(name: str) -> Any:
    raise _surface.missing("cupyx", name)
