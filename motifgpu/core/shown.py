"""How results show themselves: in one line at a prompt, as a table in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from motifgpu.core.packing import field_names

_FEW = 6  # values that are written out
_LONGEST = 60  # characters of a text


def one_line(result: Any) -> str:
    """Return a dataclass or named tuple in one line: its numbers, and arrays by their shape.

    A class whose arrays would fill pages takes it as its ``__repr__``.
    """
    held = ", ".join(f"{name} {_shown(getattr(result, name))}" for name in field_names(type(result)))
    return f"<{type(result).__name__}: {held}>"


def _shown(value: Any) -> str:
    """Return a value in a few characters; no array leaves its device for it."""
    if isinstance(value, bool | int | np.bool | np.integer):
        return f"{value}"
    if isinstance(value, float | np.floating):
        return f"{value + 0.0:.4g}"  # no minus before a zero
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…")
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.size <= _FEW:
        value = value.tolist()
    elif hasattr(value, "shape"):
        return f"({', '.join(map(str, value.shape))}{',' * (len(value.shape) == 1)})"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        nested = any(isinstance(item, list | tuple) for item in value)
        return (
            f"[{len(value)} items]" if nested or len(value) > _FEW else f"[{', '.join(map(_shown, value))}]"
        )
    if isinstance(value, Mapping):
        return f"{{{len(value)} items}}"
    return repr(value) if value is None else type(value).__name__


def notebook_table(title: str, head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table with a title, as a notebook shows it; numbers are at the right."""
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return (
        f"<table><caption>{html.escape(title)}</caption>"
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cell(value: object) -> str:
    if isinstance(value, str):
        return f'<td style="text-align:left">{html.escape(value)}</td>'
    if value is None:
        return "<td></td>"
    return f"<td>{value:,}</td>" if isinstance(value, int | np.integer) else f"<td>{value:,.4g}</td>"
