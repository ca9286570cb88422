"""Stands in for cupyx.scipy.ndimage, see ``fake_cupy``."""

from typing import Any

from fake_cupy import surface as _surface
from fake_cupy.functions import function as _function
from scipy import ndimage as _host

for _name in _surface.CUPY["cupyx.scipy.ndimage"]:
    if callable(getattr(_host, _name, None)):
        globals()[_name] = _function("cupyx.scipy.ndimage", _name, getattr(_host, _name))


def __getattr__(name: str) -> Any:
    raise _surface.missing("cupyx.scipy.ndimage", name)
