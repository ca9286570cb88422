"""The names and signatures of the packages that are stood in for."""

from __future__ import annotations

import functools
import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

VERSION = os.environ.get("FAKE_CUPY_VERSION", "14.2.0")
_NAMES = Path(__file__).with_name("names")
CUPY: dict[str, dict[str, str | None]] = json.loads((_NAMES / f"cupy-{VERSION}.json").read_text())


@functools.cache
def cucim() -> dict[str, dict[str, str]]:
    """Return the functions of cuCIM by submodule."""
    [path] = _NAMES.glob("cucim-*.json")
    found: dict[str, dict[str, str]] = json.loads(path.read_text())
    return found


def has(home: str, name: str) -> bool:
    """Say whether a module or class of CuPy has a name."""
    return name in CUPY[home]


def signature(parameters: str | None) -> inspect.Signature | None:
    """Return the signature that a list states: None where it is not known, or a ufunc's."""
    if parameters is None or parameters.startswith("ufunc "):
        return None
    made: Callable[..., Any] = eval(f"lambda {parameters}: 0")
    return inspect.signature(made)


def check_call(
    called: str, known: inspect.Signature | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Refuse arguments that a function does not take."""
    if known is None:
        return
    try:
        known.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{called}(): {error}") from None


def missing(home: str, name: str) -> AttributeError:
    """Return the error for a name that the stand-in has not: CuPy's, or that of the stand-in alone."""
    if home in CUPY and has(home, name):
        return AttributeError(
            f"{home}.{name} is CuPy's, and the stand-in in tests/fake_cupy does not have it yet"
        )
    return AttributeError(f"module {home!r} of CuPy {VERSION} has no attribute {name!r}")
