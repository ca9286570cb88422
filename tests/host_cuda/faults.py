"""Plants faults in the real kernels, to show that the checks would find them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from motifgpu.cuda import loader

BARRIER = re.compile(r"__sync(?:threads|warp)\(\);")


def barriers(stage: str) -> list[int]:
    """Return the line of every barrier in ``<stage>.cu``."""
    text = (loader.folder() / f"{stage}.cu").read_text()
    return [text.count("\n", 0, match.start()) + 1 for match in BARRIER.finditer(text)]


@contextmanager
def without_barrier(stage: str, number: int) -> Iterator[None]:
    """Let the loader read a copy of the kernels in which one barrier of ``<stage>.cu`` is missing."""
    original = loader.folder
    with TemporaryDirectory() as name:
        folder = Path(name) / "kernels"
        shutil.copytree(original(), folder)
        file = folder / f"{stage}.cu"
        text = file.read_text()
        match = list(BARRIER.finditer(text))[number]
        file.write_text(f"{text[: match.start()]};{text[match.end() :]}")
        loader.source.cache_clear()
        loader.folder = lambda: folder
        try:
            yield
        finally:
            loader.folder = original
            loader.source.cache_clear()
