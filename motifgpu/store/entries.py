"""The records of a run: an entry for each input file, and for each content what it gave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from motifgpu.core.errors import StageError
from motifgpu.core.files import readable, shown_path
from motifgpu.store import layout

# What became of a file: done, quarantined for what it holds, unread because it could not be opened or changed
# meanwhile (which a rerun tries again), or lost: its results are damaged and nobody has the file any more.
DONE, QUARANTINED, UNREAD, LOST = "done", "quarantined", "unread", "lost"
# Stands for the stem of a file in titles and reasons: files of equal content have names of their own.
OF_FILE = "\ufffc"


@dataclass(frozen=True)
class Entry:
    """One input file.

    Attributes
    ----------
    path : str
        Absolute; bytes that are no UTF-8 as `os.fsdecode` gives them.
    status : {"done", "quarantined", "unread"}
    reason : str
        Why it is not done; of a file that is done, why it could not be read again since.
    key : str
        Of its results; empty for a file that is unread.
    facts : dict
        ``sha256`` of the content, and ``bytes``, ``mtime_ns``, ``ctime_ns`` and ``inode`` of the file when it
        was read.
    columns : dict
        SHA-256 of its tables of columns, by their place in the folder of the run.
    """

    path: str
    status: str
    reason: str = ""
    key: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What one content gave.

    Attributes
    ----------
    key : str
    path : str
        One of the files that have the content.
    status : {"done", "quarantined"}
    reason : str
        Why nothing in it could be analysed.
    facts : dict
        As those of the file's entry.
    images : tuple of dict
        The summary of each micrograph, in the order of the file.
    failed : tuple of dict
        What `kept_title` says, and ``reason``, of each image that could not be analysed.
    checksums : dict
        SHA-256 of the moments and details, by their place in the folder of the run.
    columns : dict
        The same of the tables of columns of `path`.
    """

    key: str
    path: str
    status: str
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    images: tuple[dict[str, Any], ...] = ()
    failed: tuple[dict[str, Any], ...] = ()
    checksums: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)

    def entry(self) -> Entry:
        """Return the entry of `path`."""
        return Entry(self.path, self.status, self.reason, self.key, self.facts, self.columns)

    def moved(self, entry: Entry) -> Result:
        """Return the same with another file that has the content."""
        return replace(self, path=entry.path, facts=entry.facts, columns=entry.columns)


def entry_name(path: str) -> str:
    """Return the name of the record of a file, which depends on its path alone."""
    return layout.short_digest(os.fsencode(path))


def write_entry(root: Path, entry: Entry) -> None:
    """Write the record of a file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    _write(root / layout.FILES / f"{entry_name(entry.path)}.json", entry)


def write_result(root: Path, result: Result) -> None:
    """Write the record of a content, which says that everything else of it is there.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    _write(root / layout.RESULTS / f"{result.key}.json", result)


def _write(path: Path, record: Entry | Result) -> None:
    layout.write_json(path, {"schema": layout.SCHEMA, **asdict(record)})


def read_entry(path: Path) -> Entry:
    """Read the record of a file.

    Raises
    ------
    StageError
        If it is missing, damaged, of another schema or not what its name says.
    """
    try:
        entry = Entry(**_values(path))
    except TypeError as error:
        raise _strange(path) from error
    if entry_name(entry.path) != path.stem or not (layout.is_key(entry.key) or entry.key == ""):
        raise _strange(path)
    return entry


def read_result(root: Path, key: str) -> Result:
    """Read the record of a content.

    Raises
    ------
    StageError
        If it is missing, damaged, of another schema or not what its name says.
    """
    path = root / layout.RESULTS / f"{key}.json"
    try:
        found = Result(**_values(path))
    except TypeError as error:
        raise _strange(path) from error
    own = [layout.is_key(key), found.key == key]
    keys = [image["key"] for image in found.images]
    own += [layout.is_micrograph_key(one) and one.startswith(f"{key}-") for one in keys]
    if not all(own):
        raise _strange(path)
    return replace(found, images=tuple(found.images), failed=tuple(found.failed))


def _values(path: Path) -> dict[str, Any]:
    value = layout.read_json(path)
    layout.check_schema(value.pop("schema", None), path, "that wrote run.json")
    return value


def _strange(path: Path) -> StageError:
    return StageError(layout.STAGE, f"{path} is damaged (it is not what its name says)", "remove it")


def read_entries(root: Path) -> tuple[list[Entry], list[Path]]:
    """Return the records of all files, in the order of their paths, and those records that are damaged."""
    found, damaged = [], []
    for path in sorted((root / layout.FILES).glob("*.json")):
        if not path.name.startswith("."):
            try:
                found.append(read_entry(path))
            except StageError:
                damaged.append(path)
    return sorted(found, key=lambda entry: os.fsencode(entry.path)), damaged


def read_results(root: Path) -> Iterator[Result]:
    """Read the records of all contents that are not damaged, in the order of their keys."""
    for path in sorted((root / layout.RESULTS).glob("*.json")):
        if layout.is_key(path.stem):
            try:
                yield read_result(root, path.stem)
            except StageError:
                continue


def result_damage(root: Path, key: str) -> list[str]:
    """Return what is wrong with the results under a key, a sentence each; none where all is as written."""
    name = f"{layout.RESULTS}/{key}.json"
    try:
        found = read_result(root, key)
    except StageError:
        there = os.path.lexists(root / name)
        return [f"{name} is " + ("damaged (its checksum does not hold)" if there else "missing")]
    return layout.damage(root, found.checksums)


def is_whole(root: Path, key: str) -> bool:
    """Say whether the results under a key are there and as written, with the columns of one file."""
    try:
        found = read_result(root, key)
    except StageError:
        return False
    return not layout.damage(root, found.checksums | found.columns)


def columns_place(key: str, path: str) -> str:
    """Return the place of the columns of a micrograph under the name of one of its files."""
    return f"{layout.COLUMNS}/{key}-{entry_name(path)}.parquet"


def moments_places(key: str) -> tuple[str, str]:
    """Return the places of the two files of the moments of a micrograph."""
    return f"{layout.MOMENTS}/{key}/zarr.json", f"{layout.MOMENTS}/{key}/c/0/0"


def details_place(key: str) -> str:
    """Return the place of the details of a micrograph."""
    return f"{layout.DETAILS}/{key}.json"


def kept_title(title: str) -> dict[str, Any]:
    """Return what is kept of a title, in which `OF_FILE` stands for the name of the file."""
    return {"title": title.removeprefix(OF_FILE), "named": title.startswith(OF_FILE)}


def title_of(image: dict[str, Any], path: str) -> str:
    """Return what an image is called in a file of this path."""
    title: str = image["title"]
    return readable(Path(path).stem) + title if image["named"] else title


def micrograph_name(path: str, title: str, alone: bool) -> str:
    """Return what a micrograph is called in the tables: the path of its file, with its title if several."""
    return shown_path(path) if alone else f"{shown_path(path)} [{title}]"


def complaints(entry: Entry, result: Result | None) -> list[dict[str, Any]]:
    """Return the lines of the quarantine list that a file gives.

    Parameters
    ----------
    entry : Entry
    result : Result or None
        Of its content, needed where the entry is done.
    """
    path = shown_path(entry.path)
    status = UNREAD if entry.status == DONE else entry.status
    stem = readable(Path(entry.path).stem)
    reason = entry.reason.replace(OF_FILE, stem)
    own = [{"path": path, "title": None, "reason": reason, "status": status}] if reason else []
    if entry.status != DONE or result is None:
        return own
    return own + [
        {
            "path": path,
            "title": title_of(image, entry.path),
            "reason": image["reason"].replace(OF_FILE, stem),
            "status": QUARANTINED,
        }
        for image in result.failed
    ]
