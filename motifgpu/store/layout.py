"""Where everything is in the folder of a run, of which schema it is, and how its JSON is kept from damage.

::

    out.motif/
      run.json                 parameters, versions, state, counts, checksums of the tables
      run.copy.json            the same again
      quarantine.jsonl         one line per file or image that could not be analysed, and why
      files/<id>.json          one input file: its path, its content's hash, and the key of its results
      results/<key>.json       what one content gave, and the checksums of the following
      columns/<key>-0-<id>.parquet  one row per atom column of one micrograph, under the name of its file
      moments.zarr/<key>-0     moments of the columns that have a patch, (m, n_moments) float32
      details/<key>-0.json     hierarchy, class averages and thumbnail of one micrograph
      shards/<i>-of-<n>.json   a shard, the files it saw, and whether it is done
      dictionary.npz           the motifs that all micrographs share, where they do
      micrographs.parquet      one row per micrograph      counts.parquet   one per micrograph and motif
      motifs.parquet           one row per motif
      hierarchy.json           all micrographs' motif-cells, merged by hash (and hierarchy.graphml)
      occurrences.parquet      one row per place where a motif-cell occurs
      report.html              thumbnails and figures inside

Entries are files: two names of one content have an entry each in ``files`` and share what is under the key of
their content. A result counts when its record in ``results`` is there and every checksum in it holds.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motifgpu.core.errors import StageError
from motifgpu.core.files import write_text

SCHEMA = 3
OLDER = (1, 2)  # that `motifgpu.dataset.migration` makes the present one of
STAGE = "store"
RUN, RUN_COPY, QUARANTINE = "run.json", "run.copy.json", "quarantine.jsonl"
FILES, RESULTS, SHARDS = "files", "results", "shards"
COLUMNS, MOMENTS, DETAILS = "columns", "moments.zarr", "details"
MICROGRAPHS, COUNTS, MOTIFS = "micrographs.parquet", "counts.parquet", "motifs.parquet"
HIERARCHY, OCCURRENCES, REPORT = "hierarchy.json", "occurrences.parquet", "report.html"
DICTIONARY, CONFIG = "dictionary.npz", "config.toml"
SEALED = (CONFIG, REPORT)  # which end in a checksum of their own
LOCKS, PAGES, FIGURES = ".locks", "pages", "figures"
ARCHIVE, DECISIONS = "analysis.zip", "decisions.toml"  # beside the report of one micrograph
ON_TOP = (RUN, RUN_COPY, QUARANTINE, MICROGRAPHS, COUNTS, MOTIFS, HIERARCHY, OCCURRENCES, REPORT, DICTIONARY)
_SUM = "checksum"
AGAIN = "run the same command again, or motifgpu check --repair"
_KEY = re.compile(r"[0-9a-f]{20}")
_MICROGRAPH = re.compile(r"[0-9a-f]{20}-[0-9]{1,9}")


class RunDamagedError(StageError):
    """Neither run.json nor its copy can be read in a folder that holds a run."""


def checksum(data: bytes | memoryview) -> str:
    """Return the SHA-256 of bytes in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def short_digest(data: bytes) -> str:
    """Return a name of 20 hexadecimal digits for bytes."""
    return checksum(data)[:20]


def is_key(text: object) -> bool:
    """Say whether a text has the form of a key, and so names no other place than its own."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def is_micrograph_key(text: object) -> bool:
    """Say whether a text has the form of the key of a micrograph: that of its content and its place."""
    return isinstance(text, str) and _MICROGRAPH.fullmatch(text) is not None


def result_key(path: str, sha256: str, parameters: Mapping[str, Any], version: str) -> str:
    """Return the key of the results of a file: of its content and format, the parameters and the version."""
    made_of = [version, dict(parameters), sha256, Path(path).suffix.lower()]
    return short_digest(json.dumps(made_of, sort_keys=True).encode())


def plain_json(value: Mapping[str, Any]) -> str:
    """Return a JSON object as text, the same for the same value."""
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def write_json(path: Path, value: Mapping[str, Any]) -> Path:
    """Write a JSON object with its checksum, whole or not at all, the same text for the same value."""
    return write_text(path, plain_json({**value, _SUM: checksum(plain_json(value).encode())}))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that `write_json` wrote.

    Raises
    ------
    StageError
        If the file is missing, or is not as it was written.
    """
    try:
        _check_file(path)
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StageError(STAGE, f"there is no {path}", AGAIN) from error
    except (OSError, ValueError, RecursionError) as error:
        raise StageError(STAGE, f"{path} is damaged ({error})", AGAIN) from error
    if not isinstance(value, dict):
        raise StageError(STAGE, f"{path} is damaged (it holds no object)", AGAIN)
    found = value.pop(_SUM, None)
    # What an older version wrote has no checksum; `migration` gives it one.
    older = found is None and value.get("schema") in OLDER
    if not older and found != checksum(plain_json(value).encode()):
        raise StageError(STAGE, f"{path} is damaged (its checksum does not hold)", AGAIN)
    return value


def write_run(root: Path, about: Mapping[str, Any]) -> None:
    """Write run.json, twice, so that damage to one of them loses nothing.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    for name in (RUN_COPY, RUN):
        write_json(root / name, about)


def read_run(root: Path) -> dict[str, Any]:
    """Read run.json, or its copy where that is damaged.

    Raises
    ------
    StageError
        If the folder holds no run, both are damaged, or they are of a schema that cannot be read.
    """
    for name in (RUN, RUN_COPY):
        with contextlib.suppress(StageError):
            about = read_json(root / name)
            if about.get("schema") in (SCHEMA, *OLDER):
                return about
    if not holds_run(root):
        raise StageError(
            STAGE, f"there is no {root / RUN}", "give the folder that motifgpu run wrote, or run it first"
        )
    try:
        about = json.loads((root / RUN).read_bytes())
        schema, writer = about["schema"], about["written_by"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        pass  # it is damaged
    else:
        if schema not in (SCHEMA, *OLDER):
            check_schema(schema, root / RUN, writer)
    raise RunDamagedError(
        STAGE,
        f"{root / RUN} and its copy are damaged or missing",
        "run the same command again, which makes them anew from what is there",
    )


def holds_run(root: Path) -> bool:
    """Say whether a folder is that of a run, whatever is damaged in it."""
    return any((root / name).exists() for name in (RUN, RUN_COPY)) or all(
        (root / name).is_dir() for name in (FILES, COLUMNS, MOMENTS)
    )


def check_schema(found: Any, path: Path, written_by: Any) -> None:
    """Refuse what was written in another schema, in words.

    Raises
    ------
    StageError
        If `found` is not this version's schema.
    """
    if found == SCHEMA:
        return
    newer = isinstance(found, int) and found > SCHEMA
    raise StageError(
        STAGE,
        f"{path} has schema {found!r} and this version of motifgpu reads {SCHEMA}",
        f"open it with motifgpu {written_by}" + (" or later" if newer else ", or run into a new folder"),
    )


def make_folders(root: Path) -> None:
    """Make the folders of a run, and the root of the Zarr hierarchy.

    Raises
    ------
    OSError
        If the folder cannot be made or written.
    """
    for name in (FILES, RESULTS, COLUMNS, MOMENTS, DETAILS):
        (root / name).mkdir(parents=True, exist_ok=True)
    group = root / MOMENTS / "zarr.json"
    if damage(root, {f"{MOMENTS}/zarr.json": checksum(group_text())}):
        write_text(group, group_text().decode())


def group_text() -> bytes:
    """Return what stands in the root of the Zarr hierarchy of the moments."""
    attributes = {
        "schema": SCHEMA,
        "about": "an array a micrograph: Zernike moments of its columns that have a patch, in the order "
        "j = (p(p+2)+q)/2; row r is the column whose moments_row is r",
    }
    return plain_json({"zarr_format": 3, "node_type": "group", "attributes": attributes}).encode()


def damage(root: Path, checksums: Mapping[str, str]) -> list[str]:
    """Return what is wrong with files of a run, a sentence each; none where all checksums hold.

    Parameters
    ----------
    root : Path
        Folder of the run.
    checksums : mapping
        SHA-256 of each file, by its path in the folder.
    """
    found = []
    for name, expected in checksums.items():
        try:
            now = file_checksum(root / name)
        except OSError as error:
            found.append(f"{name} cannot be read ({error.strerror})" if os.path.lexists(root / name)
                         else f"{name} is missing")  # fmt: skip
            continue
        if now != expected:
            found.append(f"{name} is damaged (its checksum does not hold)")
    return found


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises
    ------
    OSError
        If it cannot be read, or is no file.
    """
    _check_file(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(path: Path) -> None:
    """Refuse a link, which leads out of the folder, and a pipe or a device, which never end."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "it is a link or a device", str(path))


def read_checked(path: Path, expected: str | None) -> bytes:
    """Read a file of a run and hold it against its checksum.

    Raises
    ------
    StageError
        If it is missing, or not as it was written.
    """
    try:
        _check_file(path)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise StageError(STAGE, f"there is no {path}", AGAIN) from error
    except OSError as error:
        raise StageError(STAGE, f"{path} is damaged ({error})", AGAIN) from error
    if expected is None or checksum(data) != expected:
        raise StageError(STAGE, f"{path} is damaged (its checksum does not hold)", AGAIN)
    return data
