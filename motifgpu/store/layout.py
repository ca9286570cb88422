"""Where everything is in the folder of a run, and of which schema it is.

::

    out.motif/
      run.json                 parameters, versions, state, counts
      quarantine.jsonl         one line per file or image that could not be analysed, and why
      columns/<id>.parquet     one row per atom column of one micrograph
      moments.zarr/<id>        moments of the columns that have a patch, (m, n_moments) float32
      details/<id>.json        hierarchy, class averages and thumbnail of one micrograph
      files/<key>.json         what became of one input file; written last, so it says that all else is there
      dictionary.npz           the motifs that all micrographs share, where they do
      micrographs.parquet      one row per micrograph      counts.parquet   one per micrograph and motif
      motifs.parquet           one row per motif
      hierarchy.json           all micrographs' motif-cells, merged by hash (and hierarchy.graphml)
      occurrences.parquet      one row per place where a motif-cell occurs
      report.html              thumbnails and figures inside

The first half is written during the run, every file under the key of what it was made from; the second
half is put together from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from motifgpu.core.errors import StageError
from motifgpu.core.files import write_text

SCHEMA = 2
STAGE = "store"
RUN, QUARANTINE = "run.json", "quarantine.jsonl"
COLUMNS, MOMENTS, DETAILS, FILES = "columns", "moments.zarr", "details", "files"
MICROGRAPHS, COUNTS, MOTIFS = "micrographs.parquet", "counts.parquet", "motifs.parquet"
HIERARCHY, OCCURRENCES, REPORT = "hierarchy.json", "occurrences.parquet", "report.html"
DICTIONARY = "dictionary.npz"
LOCKS, PAGES = ".locks", "pages"
ON_TOP = (RUN, QUARANTINE, MICROGRAPHS, COUNTS, MOTIFS, HIERARCHY, OCCURRENCES, REPORT, DICTIONARY)


def write_json(path: Path, value: Any) -> Path:
    """Write JSON, whole or not at all, the same text for the same value."""
    return write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that `write_json` wrote.

    Raises
    ------
    StageError
        If the file is missing or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StageError(
            STAGE, f"there is no {path}", "give the folder that motifgpu run wrote, or run it first"
        ) from error
    except ValueError as error:
        raise StageError(
            STAGE, f"{path} is damaged ({error})", "delete that file and run the same command again"
        ) from error
    if not isinstance(value, dict):
        raise StageError(STAGE, f"{path} holds no object", "delete that file and run the same command again")
    return value


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
    for name in (COLUMNS, MOMENTS, DETAILS, FILES):
        (root / name).mkdir(parents=True, exist_ok=True)
    group = root / MOMENTS / "zarr.json"
    if not group.exists():
        about = {
            "schema": SCHEMA,
            "about": "an array a micrograph: Zernike moments of its columns that have a patch, in the order "
            "j = (p(p+2)+q)/2; row r is the column whose moments_row is r",
        }
        write_json(group, {"zarr_format": 3, "node_type": "group", "attributes": about})
