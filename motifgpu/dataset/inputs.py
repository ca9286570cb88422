"""Which files a run is about: paths, folders and patterns, in one order."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from motifgpu.core.errors import StageError
from motifgpu.io import formats

STAGE = "run"


def expand(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], out: Path, *, there: bool = True
) -> list[str]:
    """Return the files that paths, folders and patterns mean, sorted and each once.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        A file; a folder, in which all files of a known format are taken, at any depth; or a pattern with
        ``*``, ``?`` and ``[...]``, where ``**`` stands for any number of folders.
    out : Path
        Folder of the run, whose files are no inputs.
    there : bool
        Whether every path must mean a file.

    Returns
    -------
    list of str
        Absolute paths.

    Raises
    ------
    StageError
        If there are no paths, or one means no file and must.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not given:
        raise StageError(STAGE, "there are no paths", "give files, folders or patterns such as 'scans/**'")
    own = os.path.abspath(out) + os.sep
    found: set[str] = set()
    for path in [os.fspath(each) for each in given]:
        matches = _matches(path, own)
        if there and not matches:
            known = ", ".join(formats.SUFFIXES)
            what = f"the folder {path} holds no file of a known format" if os.path.isdir(path) else (
                f"no file matches {path}"
            )  # fmt: skip
            raise StageError(STAGE, what, f"give files, folders or patterns; known formats: {known}")
        found.update(matches)
    return sorted(found)


def _matches(path: str, own: str) -> list[str]:
    if os.path.isdir(path):
        inside = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
        candidates = [name for name in inside if _is_micrograph(name)]
    elif os.path.exists(path):
        return [os.path.abspath(path)]
    else:
        candidates = [name for name in glob.glob(path, recursive=True) if os.path.isfile(name)]
    return [name for name in map(os.path.abspath, candidates) if not name.startswith(own)]


def _is_micrograph(path: str) -> bool:
    name = os.path.basename(path)
    return not name.startswith(".") and Path(name).suffix.lower() in formats.SUFFIXES


def share(files: list[str], shard: tuple[int, int] | None) -> list[str]:
    """Return the files of shard i of n, counted from 1: every n-th.

    Raises
    ------
    StageError
        If i is not from 1 to n.
    """
    if shard is None:
        return files
    i, n = shard
    if not 1 <= i <= n:
        raise StageError(STAGE, f"the shard is {i}/{n}", "give i/n with i from 1 to n")
    return files[i - 1 :: n]
