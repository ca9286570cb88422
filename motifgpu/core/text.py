"""Text of files and users, where a spreadsheet or a terminal would take it for a command."""

from __future__ import annotations

import re

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_text(value: str) -> str:
    """Return text of a file or a user for a cell of a CSV, with an apostrophe where it might be a formula.

    LibreOffice and Excel compute a cell that begins with ``=``, ``+``, ``-`` or ``@``, whoever named the
    micrograph so; leading blanks do not hinder them.
    """
    return f"'{value}" if value.lstrip(" \u00a0").startswith(_FORMULA) else value


# Control characters but those of a new line and a tabulator, and what turns the direction of text.
_HIDDEN = re.compile("[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")


def printable(text: str) -> str:
    """Return text for a terminal, with the characters escaped that would command it."""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def counted(number: int, noun: str) -> str:
    """Return how many there are of what a noun names: ``1 motif``, ``1,234 motifs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """Return a share in per cent; what is not quite none or all is said so: ``< 0.1 %``, ``> 99.9 %``."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"
