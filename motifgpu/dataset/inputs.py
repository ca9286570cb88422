"""Which files a run is about: paths, folders and patterns, in one order."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from motifgpu.core.errors import StageError
from motifgpu.core.files import shown_path
from motifgpu.io import formats
from motifgpu.store import layout

STAGE = "run"
_REPORT = ("report.html", "summary.json", "columns.csv")  # of a report of one micrograph


class Inputs(NamedTuple):
    """What paths, folders and patterns mean.

    Attributes
    ----------
    files : list of str
        Absolute paths, sorted and each once; also those of folders that cannot be searched.
    left_out : list of str
        Folders of earlier results, in which nothing was searched for.
    """

    files: list[str]
    left_out: list[str]


def expand(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], out: Path, *, there: bool = True
) -> Inputs:
    """Return the files that paths, folders and patterns mean.

    Every folder is entered once, whatever number of links lead to it. Folders of runs and of reports are left
    out: what is in them was made by motifgpu.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        A file; a folder, in which all files of a known format are taken, at any depth; or a pattern with
        ``*``, ``?`` and ``[...]``, where ``**`` stands for any number of folders. What exists under the name
        of a pattern is taken for itself.
    out : Path
        Folder of the run, whose files are no inputs.
    there : bool
        Whether every path must mean a file.

    Returns
    -------
    Inputs

    Raises
    ------
    StageError
        If there are no paths, or one means no file and must.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not given:
        raise StageError(STAGE, "there are no paths", "give files, folders or patterns such as 'scans/**'")
    search = _Search(os.path.abspath(out))
    found: set[str] = set()
    for path in [os.fspath(each) for each in given]:
        matches = search.matches(path)
        if there and not matches:
            known = ", ".join(formats.SUFFIXES)
            shown = shown_path(path)
            what = (
                f"the folder {shown} holds no file of a known format"
                if os.path.isdir(path)
                else f"no file matches {shown}"
            )
            if search.left_out:
                what += f" (left out: {shown_path(min(search.left_out))}, which holds results of motifgpu)"
            raise StageError(STAGE, what, f"give files, folders or patterns; known formats: {known}")
        found.update(matches)
    return Inputs(sorted(found, key=os.fsencode), sorted(search.left_out, key=os.fsencode))


class _Search:
    """Finds the files that paths mean."""

    def __init__(self, out: str) -> None:
        self._out = out
        self.left_out: set[str] = set()
        self.unreadable: set[str] = set()

    def matches(self, path: str) -> list[str]:
        """Return the absolute paths of the files that a path, folder or pattern means."""
        if os.path.isdir(path):
            inside = [entry for _, entries in self._folders(os.path.abspath(path)) for entry in entries]
            found = [entry.path for entry in inside if _is_micrograph(entry.name) and not _is_folder(entry)]
            return [*found, *self.unreadable]
        if os.path.lexists(path):
            return [os.path.abspath(path)]
        if not glob.has_magic(path):
            return []
        drive, rest = os.path.splitdrive(os.path.abspath(path))
        found = list(self._match(drive + os.sep, rest.strip(os.sep).split(os.sep)))
        return [*found, *self.unreadable]

    def _match(self, folder: str, parts: list[str]) -> Iterator[str]:
        """Yield the files that a pattern means below a folder, the pattern given as its parts."""
        first, *rest = parts
        if first == "**":
            for each, entries in self._folders(folder, hidden=False):
                if rest:
                    yield from self._match(each, rest)
                else:
                    yield from (one.path for one in entries if not (one.name[0] == "." or _is_folder(one)))
            return
        named = os.path.join(folder, first)
        if os.path.lexists(named) or not glob.has_magic(first):
            found = [named]
        else:
            hidden = first.startswith(".")
            found = [
                entry.path
                for entry in self._entries(folder)
                if fnmatch.fnmatch(entry.name, first) and (hidden or not entry.name.startswith("."))
            ]
        for path in found:
            if not rest:
                if os.path.lexists(path) and not os.path.isdir(path):
                    yield path
            elif os.path.isdir(path) and (path == named or not self._is_left_out(path)):
                yield from self._match(path, rest)

    def _folders(self, folder: str, *, hidden: bool = True) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
        """Yield a folder and those below it, each once: the real ones first, then those behind links."""
        seen: set[tuple[int, int]] = set()
        waiting, linked = deque([folder]), deque[str]()
        while waiting or linked:
            each = waiting.popleft() if waiting else linked.popleft()
            try:
                state = os.stat(each)
            except OSError:  # a link that leads nowhere
                continue
            if (state.st_dev, state.st_ino) in seen or self._is_left_out(each):
                continue
            seen.add((state.st_dev, state.st_ino))
            entries = self._entries(each)
            yield each, entries
            for entry in entries:
                if _is_folder(entry) and (hidden or not entry.name.startswith(".")):
                    (linked if entry.is_symlink() else waiting).append(entry.path)

    def _is_left_out(self, folder: str) -> bool:
        """Say whether a folder is the run's own, or holds results of another run or a report."""
        if folder == self._out:
            return True
        kinds = (layout.RUN, layout.FILES, layout.COLUMNS), _REPORT
        if not any(all(os.path.exists(os.path.join(folder, name)) for name in kind) for kind in kinds):
            return False
        self.left_out.add(folder)
        return True

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """Return what is in a folder, in one order; note it where it cannot be read."""
        try:
            with os.scandir(folder) as found:
                return sorted(found, key=lambda entry: os.fsencode(entry.name))
        except FileNotFoundError:  # it went meanwhile
            return []
        except OSError:
            self.unreadable.add(folder)
            return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


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
