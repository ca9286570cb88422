"""What a run knows of its files from their records: what is done, changed, damaged or left over."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from motifgpu.core.errors import StageError
from motifgpu.core.files import shown_path
from motifgpu.dataset.tasks import facts_of_state
from motifgpu.store import layout
from motifgpu.store.entries import (
    DONE,
    LOST,
    UNREAD,
    Entry,
    complaints,
    entry_name,
    read_entries,
    read_entry,
    read_result,
    read_results,
    result_damage,
    write_entry,
    write_result,
)

# The names of results: their key, and for columns the name of the entry.
_RESULT = re.compile(r"([0-9a-f]{20})(?:-[0-9]+)?(?:-([0-9a-f]{20}))?(?:\.json|\.parquet)?")


class Records:
    """The records of a run in progress.

    Parameters
    ----------
    root : Path
        Folder of the run.
    whole : bool
        Whether no other process works in the folder, as one does beside a shard.
    """

    def __init__(self, root: Path, whole: bool = True) -> None:
        self._root = root
        self._damage: dict[str, list[str]] = {}  # of what was examined: results by key, columns by path
        self._taken: set[str] = set()  # paths of files that this run did
        self._owners: dict[str, str] = {}  # the file that the record of a content says, by key
        self.changed = False  # whether the tables have to be made again
        self._entries = {entry.path: entry for entry in read_entries(root)[0]}
        if whole:
            self._restore()
        self.quarantine = {path for path, entry in self._entries.items() if self._is_bad(entry)}

    def _restore(self) -> None:
        """Make the entries again of contents whose file has none, or a damaged one."""
        for result in read_results(self._root):
            if result.path not in self._entries:
                self._keep(result.entry())

    def _is_bad(self, entry: Entry) -> bool:
        if entry.status != DONE or entry.reason:
            return True
        try:
            return bool(read_result(self._root, entry.key).failed)
        except StageError:
            return False  # it is done again, or lost

    def settled(self, path: str, *, retry: bool = False, verify: bool = False) -> bool:
        """Say whether a file needs no work: it is as it was when it was read, and its results are whole.

        Parameters
        ----------
        path : str
        retry : bool
            Whether one in quarantine needs work.
        verify : bool
            Whether every file has to be read again to say so.
        """
        entry = self._entries.get(path)
        if verify or entry is None or entry.status == UNREAD or (retry and path in self.quarantine):
            return False
        if entry.status == DONE and entry.reason:  # it could not be read the last time
            return False
        return not self.outdated(path) and not self.damage(entry)

    def outdated(self, path: str) -> bool:
        """Say whether a file is not as it was when it was read, or is gone."""
        try:
            now = facts_of_state(os.stat(path))
        except OSError:
            return True
        facts = self._entries[path].facts
        return any(facts.get(name) != now[name] for name in now)

    def replaced(self, path: str) -> bool:
        """Say whether there is another file under a path since it was read."""
        return os.path.exists(path) and bool(self._entries[path].facts) and self.outdated(path)

    def damage(self, entry: Entry) -> list[str]:
        """Return what is wrong with the results of a file, a sentence each."""
        if entry.status == UNREAD:
            return []
        if entry.key not in self._damage:
            self._damage[entry.key] = result_damage(self._root, entry.key)
        if entry.path not in self._damage:
            self._damage[entry.path] = layout.damage(self._root, entry.columns)
        return self._damage[entry.key] + self._damage[entry.path]

    def damaged(self) -> list[tuple[Entry, list[str]]]:
        """Return all files whose results are damaged, and in what."""
        found = [(entry, self.damage(entry)) for entry in self._entries.values()]
        return [(entry, wrong) for entry, wrong in found if wrong]

    def forget(self, path: str) -> None:
        """Remove the record of the content of a file in quarantine, which is to be done again.

        That of a content which this file may not have any more stays if another one has it.
        """
        if path not in self.quarantine or not (entry := self._entries[path]).key:
            return
        sharers = sum(other.key == entry.key for other in self._entries.values())
        if sharers == 1 or not self.outdated(path):
            (self._root / layout.RESULTS / f"{entry.key}.json").unlink(missing_ok=True)
            self._damage.pop(entry.key, None)

    def take(self, path: str) -> None:
        """Note what became of a file, from its record."""
        entry = read_entry(self._root / layout.FILES / f"{entry_name(path)}.json")
        for examined in (entry.key, path):
            self._damage.pop(examined, None)
        self._owners.pop(entry.key, None)
        self.changed |= self._entries.get(path) != entry
        self._entries[path] = entry
        self._taken.add(path)
        (self.quarantine.add if self._is_bad(entry) else self.quarantine.discard)(path)

    def tidy(self) -> None:
        """Settle which files there are, and remove what belongs to none; no other process may work here.

        A file that is gone keeps its entry, unless one that is there has the same content: it was renamed, or
        was one of several copies. One that could not be analysed and was removed has nothing to keep,
        nor has a folder that can be searched by now.
        """
        for entry in [one for one in self._entries.values() if one.status != DONE]:
            folder = os.path.dirname(entry.path)  # if that is gone, perhaps a disk is not there today
            gone = os.path.isdir(folder) and not os.path.lexists(entry.path)
            if entry.path not in self._taken and (gone or os.path.isdir(entry.path)):
                self._drop(entry)
        by_key: dict[str, list[Entry]] = {}
        for entry in self._entries.values():
            if entry.key:
                by_key.setdefault(entry.key, []).append(entry)
        for key, entries in by_key.items():
            there = [entry for entry in entries if os.path.lexists(entry.path)] or entries
            first = min(there, key=lambda entry: os.fsencode(entry.path))
            self._own(key, first)
            for entry in entries:
                if entry not in there:
                    self._drop(entry)
        sweep(self._root, self._entries.values())

    def _own(self, key: str, first: Entry) -> None:
        """Let the record of a content say the first of the files that have it."""
        if self._owners.get(key) == first.path:
            return
        self._owners[key] = first.path
        try:
            result = read_result(self._root, key)
        except StageError:
            return
        if result != (moved := result.moved(first)):
            write_result(self._root, moved)

    def _keep(self, entry: Entry) -> None:
        write_entry(self._root, entry)
        self._entries[entry.path] = entry
        self.changed = True

    def _drop(self, entry: Entry) -> None:
        (self._root / layout.FILES / f"{entry_name(entry.path)}.json").unlink(missing_ok=True)
        del self._entries[entry.path]
        self.quarantine.discard(entry.path)
        self.changed = True

    def whole(self) -> list[Entry]:
        """Return the entries of the files that are done and whose results are whole."""
        return [entry for entry in self._entries.values() if entry.status == DONE and not self.damage(entry)]

    def complaints(self) -> list[dict[str, Any]]:
        """Return the quarantine list: a line a file or image, by path.

        Of damage it says what `settled` and `damaged` have come upon, and reads nothing to find more.
        """
        lines = [line for entry in self._entries.values() for line in self._complaints(entry)]
        lines += [
            {
                "path": f"{layout.FILES}/{path.name}",
                "title": None,
                "reason": "this record is damaged, and which file it was of is not known",
                "status": LOST,
            }
            for path in read_entries(self._root)[1]
        ]
        return sorted(lines, key=lambda line: (line["path"], line["title"] or ""))

    def _complaints(self, entry: Entry) -> Iterator[dict[str, Any]]:
        if wrong := self._damage.get(entry.key, []) + self._damage.get(entry.path, []):
            there = os.path.lexists(entry.path)
            remedy = "run over it again" if there else "the file is gone, so they cannot be made again"
            reason = f"its results are damaged ({'; '.join(wrong)}): {remedy}"
            yield {"path": shown_path(entry.path), "title": None, "reason": reason, "status": LOST}
            return
        if entry.path in self.quarantine:
            result = None
            with suppress(StageError):
                result = read_result(self._root, entry.key) if entry.status == DONE else None
            yield from complaints(entry, result)


def clear_leftovers(root: Path) -> None:
    """Remove temporary files of killed processes, and records of an older schema that have newer ones.

    Only while no other process works in the folder, and after `motifgpu.store.within.check_links`.
    """
    for folder in (layout.FILES, layout.RESULTS, layout.COLUMNS, layout.DETAILS, layout.MOMENTS):
        for path in sorted((root / folder).rglob(".*.part")):
            _remove(path)
    for path in root.glob(".*.part"):
        _remove(path)
    for path in read_entries(root)[1]:
        with suppress(StageError):
            if layout.read_json(path).get("schema") in layout.OLDER:
                path.unlink()


def sweep(root: Path, entries: Iterable[Entry]) -> None:
    """Remove results that belong to no entry, while no other process works in the folder."""
    own = {(entry.key, entry_name(entry.path)) for entry in entries}
    keys = {key for key, _ in own}
    for folder in (layout.RESULTS, layout.COLUMNS, layout.DETAILS, layout.MOMENTS):
        for path in sorted((root / folder).iterdir()):
            found = _RESULT.fullmatch(path.name)  # what is called otherwise is not ours
            if found and (found[1] not in keys or (found[2] and (found[1], found[2]) not in own)):
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
