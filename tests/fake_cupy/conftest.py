"""The tests in this folder are of the stand-in itself, in a process in which CuPy is it."""

from __future__ import annotations

from support.backends import STAND_IN

collect_ignore_glob = [] if STAND_IN else ["test_*.py"]
