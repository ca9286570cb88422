"""Text in CSV, which spreadsheets take for a formula where it begins like one."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_text(value: str) -> str:
    """Return text of a file or a user for a cell of a CSV, with an apostrophe where it might be a formula.

    LibreOffice and Excel compute a cell that begins with ``=``, ``+``, ``-`` or ``@``, whoever named the
    micrograph so; leading blanks do not hinder them.
    """
    return f"'{value}" if value.lstrip(" \u00a0").startswith(_FORMULA) else value
