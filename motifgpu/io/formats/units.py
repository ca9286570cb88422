"""Lengths in files: units as programs write them, and pixels that are square."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

import numpy as np

from motifgpu.core.sizes import COARSEST_PIXEL_NM, FINEST_PIXEL_NM

# Symbol and name of a prefix, and the nanometres of a metre with it.
_METRES = [
    *(("y", "yocto", 1e-15), ("z", "zepto", 1e-12), ("a", "atto", 1e-9), ("f", "femto", 1e-6)),
    *(("p", "pico", 1e-3), ("n", "nano", 1.0), ("μ", "micro", 1e3), ("u", "micro", 1e3), ("m", "milli", 1e6)),
    *(("c", "centi", 1e7), ("d", "deci", 1e8), ("", "", 1e9), ("da", "deca", 1e10), ("h", "hecto", 1e11)),
    ("k", "kilo", 1e12),
]
_NM = {
    **{f"{symbol}m": nm for symbol, _, nm in _METRES},
    **{f"{name}met{end}": nm for _, name, nm in _METRES for end in ("er", "re", "ers", "res", "ro", "ros")},
    **dict.fromkeys(("μ", "micron", "microns"), 1e3),
    **dict.fromkeys(("å", "a", "ang", "angstrom", "angstroms", "angstroem", "ångström", "ångstrom"), 0.1),
}
_LARGE = ("Ym", "Zm", "Pm", "Mm")  # which have small twins; no other capital tells one length from another
_SQUARE = 1e-3  # relative difference of the sides


def nanometres(value: object, unit: object) -> float | None:
    """Return a length in nm, or None where the unit is no length or the value no side of a pixel.

    Parameters
    ----------
    value : object
        What a file gives: a number or its text.
    unit : object
        The unit as text; reciprocal lengths, pixels and no unit at all give None.
    """
    try:
        length = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    length *= _NM.get(_plain(unit), math.nan)
    return length if FINEST_PIXEL_NM <= length <= COARSEST_PIXEL_NM else None


def step_nm(scale: object, unit: object) -> float | None:
    """Return the step of an axis as `nanometres` does; an axis may run the other way."""
    try:
        return nanometres(abs(scale), unit)  # type: ignore[arg-type]
    except TypeError:
        return None


def even_step_nm(places: Any, unit: object) -> float | None:
    """Return the step of positions along an axis, None where it is not known or not the same everywhere."""
    values = np.asarray(places)
    if values.ndim != 1 or values.dtype.kind not in "iuf" or len(values) < 2:
        return None
    values = values.astype(np.float64)
    steps = np.diff(values)
    if not np.allclose(steps, steps[0], rtol=1e-3):
        return None
    return step_nm(float(values[-1] - values[0]) / (len(values) - 1), unit)


def _plain(unit: object) -> str:
    if isinstance(unit, bytes):
        unit = unit.decode("utf-8", "replace")
    if not isinstance(unit, str):
        return ""
    # ImageJ writes the micro sign as an escape, HyperSpy the ångström as TeX, NCEM's EMD "[n_m]" for nm.
    unit = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda code: chr(int(code[1], 16)), unit)
    unit = unit.strip(" \t\r\n\0$").replace("\\AA", "å").replace("\\mu ", "μ").replace("\\mu", "μ")
    if unit.startswith("[") and unit.endswith("]"):
        unit = unit[1:-1]
    if unit.strip() in _LARGE:
        return ""
    # One of the two micro signs, one of the two of the ångström, letters with their marks.
    return unicodedata.normalize("NFKC", unit.replace("_", "")).casefold().strip()


def square(height: float | None, width: float | None) -> float | None:
    """Return the side of a square pixel, or None where the sides differ or one is not known."""
    if height is None or width is None or abs(height - width) > _SQUARE * max(height, width):
        return None
    return width
