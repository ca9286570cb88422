"""Signals that ask a command to end: SIGTERM of a cluster's scheduler, SIGHUP of a terminal that closes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Let these signals be what Ctrl-C is, unless whoever started the command ignores them, as nohup does."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has one of them
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _interrupt)
    try:
        with plain_interrupts():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def plain_interrupts() -> Iterator[None]:
    """Let an interrupt be one where another error was made of it, as Python 3.11 does within a class."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise cause from None


class _Ended(KeyboardInterrupt):
    """An interrupt that Python does not take for Ctrl-C itself, of which it would end by SIGINT after all."""


def _interrupt(number: int, frame: object) -> None:
    raise _Ended
