"""How processes of motifgpu's own are started: nothing of the working directory is imported in them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[2])  # where motifgpu is


def python_module(name: str) -> list[str]:
    """Return the command that runs a module in another process of this Python."""
    return [sys.executable, "-P", "-m", name]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of such a process: one thread for each library, and where packages are.

    Those are where this process has them, without the working directory, in which a stranger's ``numpy.py``
    may lie.

    Parameters
    ----------
    **more : str
        Further variables.
    """
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    here = os.path.realpath(os.curdir)
    places = [path for path in sys.path if os.path.isabs(path) and os.path.realpath(path) != here]
    if _ROOT not in map(os.path.realpath, places):
        places.insert(0, _ROOT)
    return {**os.environ, **single, **more, "PYTHONPATH": os.pathsep.join(places)}
