"""Messages in the words of the command line: its options where the library names arguments of functions."""

from __future__ import annotations

import re

from motifgpu.options import RULES

_FLAGS = {name: rule.flag for name, rule in RULES.items()} | {
    name: f"--{name}"
    for name in ("signal", "region", "mask", "points", "dictionary", "workers", "pooled", "shard")
}
_VALUE = r"""=(?:'([^']*)'|"([^"]*)"|([\w.:/-]*\w))"""
# Names that are words of prose count only where they have a value.
_NAMES = re.compile(
    "|".join(
        rf"(?<![\w.-])({name})(?:{_VALUE})" + ("?" if "_" in name else "") + r"(?![\w:(=])" for name in _FLAGS
    )
)


def in_own_words(text: str) -> str:
    """Return a message with ``--neighbors 5`` for ``n_neighbors=5``, and likewise for all options."""
    return _NAMES.sub(_flag, text)


def _flag(found: re.Match[str]) -> str:
    name, *value = [group for group in found.groups() if group is not None]
    flag = _FLAGS[name]
    if value == ["True"] or not value:
        return flag
    if value == ["False"]:
        return f"--no-{flag[2:]}"
    return f"{flag} {value[0]}"
