"""Motifs and their hierarchies in atomic-resolution micrographs, on a GPU when there is one.

The public names stand in ``__init__.pyi``, for type checkers and for this file alike. Each is loaded when it
is first used, so that importing the package is quick.
"""

# For ``python -m motifgpu`` the working directory stands before all packages, and this file is run first. A
# stranger's numpy.py in it must not be run, so nothing but sys is imported before, `__future__` included.
import sys

if sys.argv[:1] == ["-m"] and {"motifgpu", "-mmotifgpu"} & {*sys.orig_argv} and not sys.flags.safe_path:
    del sys.path[0]

from typing import Any

import lazy_loader

_load, _, _names = lazy_loader.attach_stub(__name__, __file__)

__all__ = ["__version__", *_names]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("motifgpu")
    if name not in _names:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _load(name)


def __dir__() -> list[str]:
    return sorted(__all__)
