"""The folder of a run, read: its tables, moments, hierarchy, quarantine list and records."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.core.shown import notebook_table
from motifgpu.store import layout, tables
from motifgpu.store.arrays import read_array
from motifgpu.store.within import check_links, check_plain, check_record, is_name
from motifgpu.structure.hierarchy.export import from_json

if TYPE_CHECKING:
    import pyarrow as pa

    from motifgpu.structure.hierarchy import Hierarchy

_MOST = 12  # micrographs that a notebook lists


class RunFolder:
    """What a run left in its folder.

    Tables are Arrow tables: ``.to_pandas()`` or ``polars.from_arrow`` turns them into others, and the Parquet
    files in the folder can be read by anything that reads Parquet. Units are in the metadata of the columns.

    Parameters
    ----------
    path : path-like
        Folder of the run.

    Raises
    ------
    StageError
        If the folder holds no run, one of another schema, or links in place of files.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        check_links(self.path)
        self.about: dict[str, Any] = layout.read_json(self.path / layout.RUN)
        layout.check_schema(self.about.get("schema"), self.path / layout.RUN, self.about.get("written_by"))

    def __repr__(self) -> str:
        found = self.about["found"]
        return (
            f"<Run at {self.path}: {self.about['state']}, {found.get('micrographs', 0):,} micrographs, "
            f"{found.get('columns', 0):,} columns, {found.get('quarantined', 0):,} quarantined>"
        )

    def _repr_html_(self) -> str:
        names = ["title", "columns", "motifs", "explained"]
        rows = self.micrographs.slice(0, _MOST).select(names).to_pylist()
        return notebook_table(repr(self).strip("<>"), names, [row.values() for row in rows])

    @property
    def micrographs(self) -> pa.Table:
        """One row per micrograph, in the order of their paths."""
        return self._table(layout.MICROGRAPHS, tables.MICROGRAPHS)

    @property
    def counts(self) -> pa.Table:
        """One row per micrograph and motif, with density and its 95 % interval."""
        return self._table(layout.COUNTS, tables.COUNTS)

    @property
    def motifs(self) -> pa.Table:
        """One row per motif, with its count, density and mean patch."""
        return self._table(layout.MOTIFS, tables.MOTIFS)

    @property
    def occurrences(self) -> pa.Table:
        """One row per place where a motif-cell occurs."""
        return self._table(layout.OCCURRENCES, tables.OCCURRENCES)

    def columns(self, micrograph: str | None = None) -> pa.Table:
        """Return one row per atom column.

        Parameters
        ----------
        micrograph : str, optional
            Name of one micrograph; all of them by default.

        Raises
        ------
        StageError
            If there is none of this name.

        Examples
        --------
        A table with one row per atom column:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> import numpy as np
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "scan.npy", made.image)
        ...     run = motifgpu.run(folder, Path(folder) / "out", workers=1, structure=False)
        ...     micrograph = run.micrographs["micrograph"][0].as_py()
        ...     columns = run.columns(micrograph)
        ...     found = run.micrographs["columns"][0].as_py()
        >>> columns.column_names[:5]
        ['micrograph', 'row_px', 'col_px', 'prominence', 'occupied']
        >>> columns.num_rows == found
        True
        """
        if micrograph is None:
            return self._table(layout.COLUMNS, tables.COLUMNS)
        self._known(micrograph)
        return self._table(f"{layout.COLUMNS}/{micrograph}.parquet", tables.COLUMNS)

    def moments(self, micrograph: str) -> np.ndarray:
        """Return the moments (m, n_moments) float32 of one micrograph, mapped from the disk.

        Row r belongs to the column whose ``moments_row`` is r. The whole hierarchy of arrays opens with
        ``zarr.open(run.path / "moments.zarr")``.

        Raises
        ------
        StageError
            If there is none of this name.

        Examples
        --------
        The moments of the columns that have a patch:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> import numpy as np
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "scan.npy", made.image)
        ...     run = motifgpu.run(folder, Path(folder) / "out", workers=1, structure=False)
        ...     micrograph = run.micrographs["micrograph"][0].as_py()
        ...     moments = np.array(run.moments(micrograph))
        ...     points = run.micrographs["points"][0].as_py()
        >>> moments.shape == (points, 66)
        True
        """
        self._known(micrograph)
        folder = self.path / layout.MOMENTS / micrograph
        for path in (folder / "zarr.json", folder / "c", folder / "c" / "0", folder / "c" / "0" / "0"):
            check_plain(path)
        return read_array(folder)

    @cached_property
    def hierarchy(self) -> Hierarchy | None:
        """All micrographs' motif-cells merged; None where no micrograph has a lattice."""
        path = self.path / layout.HIERARCHY
        return from_json(path.read_text(encoding="utf-8")) if path.exists() else None

    @property
    def quarantine(self) -> list[dict[str, Any]]:
        """The files and images that could not be analysed: path, title, reason and status."""
        path = self.path / layout.QUARANTINE
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def thumbnail(self, micrograph: str) -> bytes:
        """Return a small picture of a micrograph as PNG."""
        self._known(micrograph)
        return base64.b64decode(read_details(self.path, micrograph)["thumbnail"])

    def record(self, micrograph: str) -> dict[str, Any]:
        """Return the record of the file that a micrograph is of.

        Raises
        ------
        StageError
            If there is no micrograph of this name.
        """
        key, _, place = micrograph.rpartition("-")
        file = self.path / layout.FILES / f"{key}.json"
        if not (is_name(key) and place.isdecimal() and file.exists()):
            raise self._unknown(micrograph)
        record = layout.read_json(file)
        check_record(record, file)
        return record

    def _table(self, name: str, schema: pa.Schema) -> pa.Table:
        return tables.read_table(self.path / name, schema)

    def _known(self, micrograph: str) -> None:
        if not (is_name(micrograph) and (self.path / layout.DETAILS / f"{micrograph}.json").exists()):
            raise self._unknown(micrograph)

    def _unknown(self, micrograph: str) -> StageError:
        return StageError(
            layout.STAGE,
            f"{self.path} has no micrograph {micrograph!r}",
            "choose a name from the column micrograph of micrographs.parquet",
        )


def read_details(root: Path, micrograph: str) -> dict[str, Any]:
    """Read hierarchy, class averages and thumbnail of one micrograph.

    Raises
    ------
    StageError
        If they are missing, damaged or of another schema.
    """
    path = root / layout.DETAILS / f"{micrograph}.json"
    found = layout.read_json(path)
    layout.check_schema(found.get("schema"), path, "that wrote run.json")
    return found


def read_records(root: Path) -> Iterator[dict[str, Any]]:
    """Read the records of the files of a run, in the order of their keys.

    Raises
    ------
    StageError
        If one is damaged, of another schema, or names files that are not its own.
    """
    for path in sorted((root / layout.FILES).glob("*.json")):
        if not path.name.startswith("."):
            record = layout.read_json(path)
            layout.check_schema(record.get("schema"), path, "that wrote run.json")
            check_record(record, path)
            yield record
