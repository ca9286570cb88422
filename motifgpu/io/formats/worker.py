"""The process that reads files for `motifgpu.io.formats.guard`; it is started with ``python -m``.

Requests are lines of JSON on standard input. On what was standard output an empty line says that all is
imported and reading begins; then comes a line of JSON and the pixels as they are in memory: nothing that
could run code when it is read.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from motifgpu.core.errors import MicrographReadError
from motifgpu.io import formats, micrograph


def main() -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # what a decoder prints must not get among the answers
    os.dup2(silence, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for line in sys.stdin.buffer:
        request = json.loads(line)
        with contextlib.suppress(Exception):  # reading will say what is missing
            formats.prepare(Path(request["path"]))
        answers.write(b"\n")
        answers.flush()
        with _limited(request["seconds"], request["memory"]):
            _answer(request, answers)
            answers.flush()


def _answer(request: dict[str, Any], answers: BinaryIO) -> None:
    path, one, name = request["path"], request["one"], request["name"]
    try:
        found = micrograph.read_named(path, request["signal"], one=one, name=name)
    except MicrographReadError as error:
        why = error.why
        if isinstance(error.__cause__, MemoryError):
            why = f"its reader needs more than the {request['memory'] / 2**20:,.0f} MiB that it may use"
        answers.write(json.dumps({"why": why}).encode() + b"\n")
        return
    images = [
        {"shape": m.shape, "pixel_size_nm": m.pixel_size_nm, "title": m.title, "offset": m.offset}
        for m in found
    ]
    answers.write(json.dumps({"images": images}).encode() + b"\n")
    for m in found:
        pixels = m.image if m.valid is None else np.where(m.valid, m.image, np.float32(np.nan))
        answers.write(np.ascontiguousarray(pixels).data.cast("B"))


@contextlib.contextmanager
def _limited(seconds: float, memory: int) -> Iterator[None]:
    """Let the system end this process later than its parent would, and refuse it memory beyond a limit."""
    if hasattr(signal, "alarm"):  # not on Windows
        signal.alarm(math.ceil(seconds) + 5)  # for the day the parent was killed first
    try:
        import resource
    except ImportError:  # Windows
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [_used(resource.getpagesize()) + memory, *(limit for limit in (soft, hard) if limit >= 0)]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    signal.alarm(0)


def _used(page: int) -> int:
    """Return the bytes of address space in use, 0 where the system does not say."""
    if not os.path.exists("/proc/self/statm"):
        return 0
    with open("/proc/self/statm", encoding="ascii") as pages:
        return int(pages.read().split()[0]) * page


if __name__ == "__main__":
    main()
