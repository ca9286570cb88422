"""What a run knows of its files from their records: what is done, what changed, what is left over."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motifgpu.dataset.tasks import DONE, KNOWN, QUARANTINED, UNREAD, Summary, unread_key
from motifgpu.store import layout
from motifgpu.store.read import read_records


@dataclass(frozen=True)
class _Entry:
    """The record of a file in short."""

    key: str
    status: str
    bytes: int | None
    mtime_ns: int | None


def complaints(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of the quarantine list that a record gives."""
    path = record["path"]
    if record["status"] != DONE:
        return [{"path": path, "title": None, "reason": record["reason"], "status": record["status"]}]
    return [{"path": path, **image, "status": QUARANTINED} for image in record["failed"]]


class Records:
    """The records of a run in progress.

    Parameters
    ----------
    root : Path
        Folder of the run.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_path: dict[str, _Entry] = {}
        self._paths: dict[str, set[str]] = {}  # of this run's files, by key
        self._named: dict[str, str] = {}  # paths that records say, by key
        self.quarantine: set[str] = set()  # paths that are in it, wholly or in part
        for record in read_records(root):
            path = self._named[record["key"]] = record["path"]
            self._by_path[path] = _Entry(
                record["key"], record["status"], record.get("bytes"), record.get("mtime_ns")
            )
            if complaints(record):
                self.quarantine.add(path)

    def settled(self, path: str, retry: bool) -> bool:
        """Say whether a file needs no work: it has a record and is as it was then."""
        entry = self._by_path.get(path)
        if entry is None or entry.status == UNREAD or (retry and path in self.quarantine):
            return False
        try:
            now = os.stat(path)
        except OSError:
            return False
        if (now.st_size, now.st_mtime_ns) != (entry.bytes, entry.mtime_ns):
            return False
        self._paths.setdefault(entry.key, set()).add(path)
        return True

    def forget(self, path: str) -> None:
        """Remove the record of a file that is to be tried again."""
        entry = self._by_path.get(path)
        if entry is not None and entry.status != UNREAD:
            remove_results(self._root, entry.key)

    def take(self, summary: Summary) -> None:
        """Note what became of a file, and remove what an older content of it had given."""
        path, status = summary["path"], summary["status"]
        key = summary["key"] or unread_key(path)
        before = self._by_path.get(path)
        bad = status != DONE or bool(summary["failed"])
        if status == KNOWN:
            record = layout.read_json(self._root / layout.FILES / f"{key}.json")
            status, bad = record["status"], bool(complaints(record))
            self._named[key] = record["path"]
        else:
            self._named[key] = path
        if before is not None and before.key != key and status != UNREAD:
            others = {p for p, entry in self._by_path.items() if entry.key == before.key} - {path}
            if not others:
                remove_results(self._root, before.key)
        facts = summary["facts"]
        self._by_path[path] = _Entry(key, status, facts.get("bytes"), facts.get("mtime_ns"))
        if status != UNREAD:
            self._paths.setdefault(key, set()).add(path)
        (self.quarantine.add if bad else self.quarantine.discard)(path)

    def name_by_first_path(self) -> bool:
        """Let the record of a content that several files have, or that moved, say the first path in order.

        Returns
        -------
        bool
            Whether a record was changed.
        """
        changed = False
        for key, paths in self._paths.items():
            first = min(paths)
            if len(paths) == 1 and self._named[key] == first:
                continue
            file = self._root / layout.FILES / f"{key}.json"
            record = layout.read_json(file)
            if record["path"] != first:
                with contextlib.suppress(FileNotFoundError):
                    layout.write_json(file, {**record, "path": first, "mtime_ns": os.stat(first).st_mtime_ns})
                    changed = True
            self._named[key] = first
        return changed


def remove_results(root: Path, key: str) -> None:
    """Remove what a file gave: first its record, so that nothing half is ever taken for whole."""
    (root / layout.FILES / f"{key}.json").unlink(missing_ok=True)
    for folder in (layout.COLUMNS, layout.DETAILS):
        for path in (root / folder).glob(f"{key}-*"):
            path.unlink(missing_ok=True)
    for path in (root / layout.MOMENTS).glob(f"{key}-*"):
        shutil.rmtree(path, ignore_errors=True)


def sweep(root: Path) -> None:
    """Remove what killed processes left: temporary files, and results without a record.

    Only while no other process works in the folder, and after `motifgpu.store.within.check_links`.
    """
    keys = {path.stem for path in (root / layout.FILES).glob("*.json")}
    for folder in (layout.FILES, layout.COLUMNS, layout.DETAILS, layout.MOMENTS):
        for path in sorted((root / folder).iterdir()):
            temporary = path.name.startswith(".") and path.name.endswith(".part")
            key = path.name.partition(".")[0].rpartition("-")[0]
            orphan = folder != layout.FILES and path.name != "zarr.json" and key not in keys
            if path.is_dir() and (temporary or orphan):
                shutil.rmtree(path)
            elif temporary or orphan:
                path.unlink()
    for path in root.glob(".*.part"):
        path.unlink()
