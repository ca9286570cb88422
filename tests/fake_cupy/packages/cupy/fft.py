"""Stands in for cupy.fft, see ``fake_cupy``."""

from typing import Any

import numpy as _np
from fake_cupy import surface as _surface
from fake_cupy.functions import names_of as _names_of

globals().update(_names_of("cupy.fft", _np.fft))


def __getattr__(name: str) -> Any:
    raise _surface.missing("cupy.fft", name)
