"""Reading and analysing the micrographs that a command names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.cli.options import options
from motifgpu.cli.streams import log
from motifgpu.cli.words import in_own_words

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


def analyzed(
    path: Path, args: argparse.Namespace, write: Callable[[Analysis], None] | None = None, **more: Any
) -> Analysis:
    """Return the analysis of a micrograph.

    Parameters
    ----------
    path : Path
    args : Namespace
        With the options of an analysis.
    write : callable, optional
        Writes the report; progress is shown until it is done.
    **more
        Further options of `motifgpu.analyze`.
    """
    from motifgpu.core.progress import Progress
    from motifgpu.io.micrograph import read
    from motifgpu.pipeline import analyze

    with Progress(path.name, quiet=args.quiet) as progress:
        found = analyze(read(path, args.signal), progress=progress, **options(args), **more)
        if write:
            progress("writing the report", 0.95)
            write(found)
    return found


@contextmanager
def noted(path: Path, failed: list[dict[str, str]]) -> Iterator[None]:
    """Log why a micrograph cannot be analysed and add it to `failed`, so that the next can follow."""
    from motifgpu.core.errors import MicrographReadError, StageError

    try:
        yield
    except (MicrographReadError, StageError) as error:
        if isinstance(error, StageError) and error.stage == "backend":  # no micrograph's fault
            raise
        why = error.why if isinstance(error, MicrographReadError) else str(error)
        failed.append({"source": str(path), "error": why})
        log(f"{path}: {in_own_words(why)}")
