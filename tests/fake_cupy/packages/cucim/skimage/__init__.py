"""Stands in for cucim.skimage, see ``fake_cupy``: every submodule that the list of cuCIM has."""

import importlib
import sys
from types import ModuleType
from typing import Any

from fake_cupy import surface as _surface
from fake_cupy.functions import counterpart as _counterpart


class _Submodule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        known = _surface.cucim()[self.__name__]
        if name not in known:
            raise AttributeError(f"{self.__name__} has no {name}")
        host = getattr(importlib.import_module(self.__name__.removeprefix("cucim.")), name)
        return _counterpart(f"{self.__name__}.{name}", _surface.signature(known[name]), host)


for _home in _surface.cucim():
    sys.modules[_home] = _Submodule(_home)
