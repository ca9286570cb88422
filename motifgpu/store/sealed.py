"""Text files that end in a line with the checksum of all before it, as a comment of their format."""

from __future__ import annotations

import os
import re
from pathlib import Path

from motifgpu.core.files import write_text
from motifgpu.store.layout import checksum

_COMMENT = {".html": ("<!-- ", " -->"), ".toml": ("# ", "")}
_LAST = re.compile(rb"\A(.*\n)(?:<!-- |# )sha256 of the lines above: ([0-9a-f]{64})(?: -->)?\n\Z", re.DOTALL)


def write_sealed(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text with a last line that has the checksum of the others, whole or not at all.

    Parameters
    ----------
    path : path-like
        Ends in ``.html`` or ``.toml``.
    text : str
        Ends in a line break.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    begin, end = _COMMENT[Path(path).suffix]
    return write_text(path, f"{text}{begin}sha256 of the lines above: {checksum(text.encode())}{end}\n")


def seal_damage(path: Path) -> str:
    """Return what is wrong with a file that `write_sealed` wrote, nothing where it is as it was."""
    try:
        found = _LAST.match(path.read_bytes())
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if found is None or checksum(found[1]).encode() != found[2]:
        return "is damaged or was edited (its checksum does not hold)"
    return ""
