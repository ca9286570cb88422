from __future__ import annotations

import io

from motifgpu.core.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_shows_a_bar_and_takes_it_away() -> None:
    stream = Terminal()
    with Progress("scan.tif", stream=stream) as progress:
        progress("columns", 0.5)
        progress("layout", 1.0)
    text = stream.getvalue()
    assert "scan.tif [############............]  50 % columns" in text
    assert text.rstrip(" \r").endswith("100 % layout")
    assert text.endswith("\r")


def test_the_bar_goes_also_after_an_error() -> None:
    stream = Terminal()
    progress = Progress("a", stream=stream)
    progress("columns", 0.5)
    progress.__exit__(KeyError, KeyError(), None)
    assert stream.getvalue().endswith("\r")


def test_log_gets_a_line_now_and_then() -> None:
    stream = io.StringIO()
    with Progress("a", stream=stream, every=0) as progress:
        progress("columns", 0.25)
    assert stream.getvalue() == "a: 25 %, columns\n"
    with Progress("a", stream=stream, every=100) as progress:
        progress("columns", 0.5)
    assert stream.getvalue() == "a: 25 %, columns\n"


def test_quiet_is_silent() -> None:
    stream = Terminal()
    with Progress("a", quiet=True, stream=stream) as progress:
        progress("columns", 0.5)
    assert stream.getvalue() == ""
