"""Calls that find no cache filled, as the first of a process does."""

from __future__ import annotations

import sys


def empty_caches(package: str) -> None:
    """Empty every cache of the functions of `package`, such as ``"motifgpu.features"``."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        for item in vars(sys.modules[name]).values():
            if hasattr(item, "cache_clear"):
                item.cache_clear()
