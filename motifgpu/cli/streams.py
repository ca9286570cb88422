"""Standard output and standard error, whatever the caller has made of them."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

from motifgpu.core.files import readable
from motifgpu.core.text import printable


def prepare() -> None:
    """Make streams that take every name, and let no file that is opened get the number of a closed one.

    A closed standard error leaves its number to the next file, into which messages of libraries would go.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(text: object) -> None:
    """Write a line of the result to standard output, as far as a terminal can show it."""
    print(printable(readable(str(text))), flush=True)


def print_json(value: Any) -> None:
    """Write the result to standard output as JSON."""
    print(json.dumps(value, indent=1))


def log(text: str) -> None:
    """Write a line to standard error, if there is one."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile: there is nobody to tell
            print(f"motifgpu: {printable(readable(text))}", file=sys.stderr)
