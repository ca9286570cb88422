"""Stands in for cupy.random, see ``fake_cupy``."""

from typing import Any

from fake_cupy import surface as _surface
from fake_cupy.generators import names as _names

globals().update(_names())


def __getattr__(name: str) -> Any:
    raise _surface.missing("cupy.random", name)
