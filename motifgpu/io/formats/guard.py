"""Reading files of unknown origin in another process, which is ended when it hangs, crashes or swells.

A decoder written in C can do all three on a damaged file. The process stays alive between files, so that a
file costs its decoding and a copy of its pixels; after an accident the next file gets a new one.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import threading
from dataclasses import replace
from typing import IO, Any, cast

import numpy as np

from motifgpu.core import processes
from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.io.micrograph import Micrograph

LONGEST = 86400  # s
# Bytes the process may add to what it has after its imports: some, more for larger files, at most so many.
MEMORY, MEMORY_TIMES, MOST_MEMORY = 2 * 2**30, 32, 8 * 2**30
_idle: list[_Process] = []


def read_guarded(
    path: str | os.PathLike[str],
    signal: str | None = None,
    *,
    seconds: float = 60.0,
    name: str | None = None,
) -> list[Micrograph]:
    """Read the images in a file within a time limit, whatever the file does to its reader.

    Safe to call from several threads, each of which then uses a process of its own.

    Parameters
    ----------
    path : path-like
        As for `motifgpu.read`.
    signal : str, optional
        Read only this image; None reads all of them.
    seconds : float
        Time limit for the file; starting the process and importing its packages do not count.
    name : str, optional
        What to call what the file has no title for; its stem by default.

    Returns
    -------
    list of Micrograph
        At least one.

    Raises
    ------
    MicrographReadError
        As `motifgpu.read` and `motifgpu.read_all`, and if the time limit passed or the process died.
    """
    return ask(path, signal, one=signal is not None, seconds=seconds, name=name)


def ask(
    path: str | os.PathLike[str],
    signal: str | None = None,
    *,
    one: bool,
    seconds: float,
    name: str | None = None,
) -> list[Micrograph]:
    """Do what `read_guarded` does; with `one` a file of several images has to be told which, as in `read`."""
    if not 0 < seconds <= LONGEST:
        raise StageError(
            "read", f"the time limit is {seconds} s", f"give more than 0 and at most {LONGEST} s"
        )
    path = os.fspath(path)
    try:
        process = _idle.pop()
    except IndexError:
        process = _Process(path)
    try:
        return process.read(path, seconds, signal=signal, one=one, name=name)
    except _Died:  # perhaps of what an earlier file did to it
        process = _Process(path)
        try:
            return process.read(path, seconds, signal=signal, one=one, name=name)
        except _Died as death:
            raise MicrographReadError(path, str(death)) from death
    finally:
        process.put_back()


def close() -> None:
    """End the processes that wait for files; the next file starts another."""
    while _idle:
        _idle.pop().end()


class _Died(Exception):
    """The process ended before its answer."""


class _Process:
    """One worker process and its pipes."""

    def __init__(self, path: str) -> None:
        """Start the process; `path` is the file it is for, which a failure is told about."""
        try:
            self._process = subprocess.Popen(
                processes.python_module("motifgpu.io.formats.worker"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=processes.environment(),
            )
        except OSError as error:
            why = f"no process to read it in could be started ({error}); time_limit_s=None reads it here"
            raise MicrographReadError(path, why) from error
        self._requests = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        self._busy = self._late = False

    def read(self, path: str, seconds: float, **asked: Any) -> list[Micrograph]:
        request = {"path": os.path.abspath(path), "seconds": seconds, "memory": _memory(path), **asked}
        clock = threading.Timer(seconds, self._kill)
        self._busy = True
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
            self._answers.readline()  # all is imported
            clock.start()
            micrographs = self._answer(path)
            self._busy = False
        except MicrographReadError:
            self._busy = False
            raise
        except (OSError, EOFError, ValueError) as error:
            self.end()
            if self._late:
                why = f"reading it took more than {seconds:g} s; the file is damaged or too large"
                raise MicrographReadError(path, why) from error
            status = self._process.returncode
            raise _Died(f"its reader died (exit status {status}); the file is damaged") from error
        finally:
            clock.cancel()
        return micrographs

    def _answer(self, path: str) -> list[Micrograph]:
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the answer ended early")
        answer = json.loads(line)
        if "why" in answer:
            raise MicrographReadError(path, answer["why"])
        found = []
        for image in answer["images"]:
            pixels = _pixels(self._answers, image["shape"])
            made = Micrograph.from_array(pixels, image["pixel_size_nm"], source=path, title=image["title"])
            found.append(replace(made, offset=image["offset"]))
        return found

    def _kill(self) -> None:
        self._late = True
        self._process.kill()

    def end(self) -> None:
        """End the process and close its pipes, in whatever state they are."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):  # a request that nobody will read
            self._requests.close()
        self._answers.close()

    def put_back(self) -> None:
        """Keep the process for the next file, unless it has ended or an interrupt left half an answer."""
        if self._process.poll() is None and not (self._late or self._busy):
            _idle.append(self)
        else:
            self.end()


def _memory(path: str) -> int:
    """Return how much memory the reader of a file may take."""
    try:
        size = os.stat(path).st_size
    except (OSError, ValueError):  # reading will say what is wrong
        size = 0
    return min(MEMORY + MEMORY_TIMES * size, MOST_MEMORY)


def _pixels(stream: IO[bytes], shape: list[int]) -> np.ndarray:
    pixels = np.empty(shape, np.float32)
    into = pixels.data.cast("B")
    filled = 0
    while filled < len(into):
        got = stream.readinto(into[filled:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError("the pixels ended early")
        filled += got
    return pixels


atexit.register(close)
if hasattr(os, "register_at_fork"):  # a forked process must not talk through its parent's pipes
    os.register_at_fork(after_in_child=_idle.clear)
