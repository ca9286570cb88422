"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_ESCAPED = re.compile(rb"\\(\\|x[0-9a-f]{2})")


def shown_path(path: str | os.PathLike[str]) -> str:
    r"""Return a path as text that any table, page and terminal of UTF-8 can hold, a different one for each.

    POSIX allows any bytes in a name. Those that are no UTF-8 come as ``\xb5``, and a backslash is doubled;
    `real_path` finds the path again.
    """
    text = os.fspath(path)
    if os.name != "posix":
        return text
    return os.fsencode(text.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")


def real_path(shown: str) -> str:
    """Return the path of which `shown_path` made a text."""
    if os.name != "posix":
        return shown

    def byte(found: re.Match[bytes]) -> bytes:
        return b"\\" if found[1] == b"\\" else bytes([int(found[1][1:], 16)])

    return os.fsdecode(_ESCAPED.sub(byte, shown.encode()))


def readable(text: str) -> str:
    r"""Return a text that UTF-8 can hold: bytes of a path that are no UTF-8 come as ``\xb5``."""
    escaped = "".join(f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in text)
    return escaped.encode("utf-8", "backslashreplace").decode()


def hidden_beside(path: Path) -> Path:
    """Return a name for what is not whole yet, in the folder of `path`, that nobody can foresee."""
    return path.with_name(f".{secrets.token_hex(8)}.part")


def _open_new(path: Path) -> tuple[BinaryIO, int]:
    """Make a file that only its owner may open, and return it with the permissions it would have had."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    permissions = stat.S_IMODE(os.fstat(handle).st_mode)
    if os.name == "posix":
        os.fchmod(handle, stat.S_IRUSR | stat.S_IWUSR)
    return os.fdopen(handle, "wb"), permissions


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of `path` when all of it is on the disk.

    It is written under a temporary name in the same folder that nobody can foresee, open to its owner alone,
    flushed to the disk, and renamed. Whoever reads `path` meanwhile sees the file that was there before, or
    none; a link of that name is replaced and not followed.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    binary file

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; what was there before is untouched then, as it is
        when the block raises.
    """
    path = Path(path)
    temporary = hidden_beside(path)
    try:
        file, permissions = _open_new(temporary)
        with file:
            yield file
            file.flush()
            if os.name == "posix":
                os.fchmod(file.fileno(), permissions)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # the new name is on the disk only when the folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file in UTF-8, whole or not at all.

    Parameters
    ----------
    path : path-like
    text : str

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; a file that was there before is untouched.
    """
    with replacing(path) as file:
        file.write(text.encode())
    return Path(path)
