"""Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from motifgpu.core.text import printable


class Progress:
    """Show how far a piece of work is.

    Call it with the name of what is being done and the fraction done so far. Use it as a context manager so
    that the bar is taken away at the end, also after an error.

    Parameters
    ----------
    title : str
        What the whole work is called.
    quiet : bool
        Show nothing.
    stream : file, optional
        Standard error unless given.
    every : float
        Least seconds between two lines where the stream is no terminal.
    """

    def __init__(
        self, title: str, *, quiet: bool = False, stream: TextIO | None = None, every: float = 5.0
    ) -> None:
        self.title = _one_line(title)
        self.stream = sys.stderr if stream is None else stream
        self.quiet = quiet or self.stream is None  # as in a service, or without a console
        self.every = every
        self._terminal = not self.quiet and not self.stream.closed and self.stream.isatty()
        self._last = time.monotonic()
        self._width = 0

    def __call__(self, doing: str, fraction: float) -> None:
        """Say that `fraction` (0 to 1) is done and `doing` comes next."""
        if self.quiet:
            return
        now = time.monotonic()
        if self._terminal:
            filled = round(24 * min(max(fraction, 0.0), 1.0))
            bar = f"[{'#' * filled}{'.' * (24 - filled)}] {100 * fraction:3.0f} %"
            line = f"{self.title} {bar} {_one_line(doing)}"
            self._write("\r" + line.ljust(self._width))
            self._width = len(line)
        elif now - self._last >= self.every:
            self._write(f"{self.title}: {100 * fraction:.0f} %, {_one_line(doing)}\n")
            self._last = now

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # closed meanwhile: there is nobody to tell, and the work goes on
            self.quiet = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal and self._width and not self.quiet:
            self._write("\r" + " " * self._width + "\r")


def _one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n")
