"""The folder of a run, read: its tables, moments, hierarchy, quarantine list and records."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from motifgpu.core.errors import StageError
from motifgpu.core.files import real_path, shown_path
from motifgpu.core.shown import notebook_table
from motifgpu.core.text import counted
from motifgpu.store import layout, tables
from motifgpu.store.arrays import read_array
from motifgpu.store.entries import (
    DONE,
    Entry,
    Result,
    columns_place,
    details_place,
    entry_name,
    micrograph_name,
    moments_places,
    read_entries,
    read_entry,
    read_result,
    title_of,
)
from motifgpu.store.within import check_links
from motifgpu.structure.hierarchy.export import from_json

if TYPE_CHECKING:
    from motifgpu.structure.hierarchy import Hierarchy

_MOST = 12  # micrographs that a notebook lists
_NAMED = 5  # micrographs of one name that a message lists


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
        self.about: dict[str, Any] = layout.read_run(self.path)
        layout.check_schema(self.about["schema"], self.path / layout.RUN, self.about.get("written_by"))

    def __repr__(self) -> str:
        found = self.about["found"]
        return (
            f"<Run at {self.path}: {self.about['state']}, "
            f"{counted(found.get('micrographs', 0), 'micrograph')}, "
            f"{counted(found.get('columns', 0), 'column')}, {found.get('quarantined', 0):,} quarantined>"
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
            One micrograph: its name or key, or as much of the end of its path, ``"scan.tif"`` say, as tells
            it from the others; all of them by default.

        Raises
        ------
        StageError
            If there is none of this name, there are several, or what is on the disk is damaged.

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
        ['micrograph', 'key', 'row_px', 'col_px', 'row_nm']
        >>> columns.num_rows == found
        True
        """
        if micrograph is not None:
            return self._columns(self.find(micrograph))
        parts = [self._columns(row) for row in self._rows]
        return pa.concat_tables(parts) if parts else tables.COLUMNS.empty_table()

    def moments(self, micrograph: str) -> np.ndarray:
        """Return the moments (m, n_moments) float32 of one micrograph, mapped from the disk.

        Row r belongs to the column whose ``moments_row`` is r. The whole hierarchy of arrays opens with
        ``zarr.open(run.path / "moments.zarr")``, by the keys of the micrographs.

        Parameters
        ----------
        micrograph : str
            As for `columns`.

        Raises
        ------
        StageError
            As of `columns`.

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
        key = self.find(micrograph).key
        checksums = self._result(key).checksums
        about, data = (checksums.get(place, "") for place in moments_places(key))
        return read_array(self.path / layout.MOMENTS / key, about, data)

    @cached_property
    def hierarchy(self) -> Hierarchy | None:
        """All micrographs' motif-cells merged; None where no micrograph has a lattice."""
        if layout.HIERARCHY not in self._sums and not (self.path / layout.HIERARCHY).exists():
            return None
        return from_json(self._bytes(layout.HIERARCHY).decode())

    @property
    def quarantine(self) -> list[dict[str, Any]]:
        """The files and images that could not be analysed: path, title, reason and status."""
        if layout.QUARANTINE not in self._sums:
            return []
        return [json.loads(line) for line in self._bytes(layout.QUARANTINE).decode().splitlines()]

    def thumbnail(self, micrograph: str) -> bytes:
        """Return a small picture of a micrograph, named as for `columns`, as PNG."""
        result = self._result(key := self.find(micrograph).key)
        return base64.b64decode(read_details(self.path, key, result)["thumbnail"])

    def find(self, name: str) -> Known:
        """Return which micrograph a name means.

        Parameters
        ----------
        name : str
            What it is called in the tables; its key; its path, or as much of the end of it as tells it from
            the others; or its title.

        Raises
        ------
        StageError
            If there is none, or there are several.
        """
        if name in self._by_name:
            return self._by_name[name]
        shown = {name, shown_path(name)}
        whole = shown | {shown_path(os.path.abspath(name))}
        ends = tuple(os.sep + one for one in shown)
        tests: list[Callable[[Known], bool]] = [
            lambda row: row.key in shown,
            lambda row: row.source in whole,
            lambda row: row.name.endswith(ends) or row.source.endswith(ends),
            lambda row: row.title in shown,
        ]
        for test in tests:
            found = [row for row in self._rows if test(row)]
            if len({row.name for row in found}) == 1 or (found and test is tests[0]):
                return found[0]
            if found:
                raise StageError(
                    layout.STAGE,
                    f"{len(found)} micrographs of {self.path} are called {shown_path(name)!r}: "
                    + ", ".join(row.name for row in found[:_NAMED]),
                    "give more of the path, or the name in the column micrograph of micrographs.parquet",
                )
        near = [Path(row.name).name for row in self._rows if name.casefold() in row.name.casefold()]
        meant = f"{', '.join(near[:_NAMED])}, say, or another" if near else "a"
        raise StageError(
            layout.STAGE,
            f"{self.path} has no micrograph {shown_path(name)!r}",
            f"choose {meant} name from the column micrograph of micrographs.parquet",
        )

    @property
    def _sums(self) -> dict[str, str]:
        """Checksums of the tables, by their names, now: another call may have added to the run."""
        sums: dict[str, str] = layout.read_run(self.path)["tables"]
        return sums

    @cached_property
    def _rows(self) -> list[Known]:
        """All micrographs: those in the table of them where there is one, else those that are done."""
        if layout.MICROGRAPHS in self._sums:
            named = self.micrographs.select(["micrograph", "key", "source", "title"]).to_pylist()
            known = [Known(*row.values()) for row in named]
            if not all(layout.is_micrograph_key(row.key) for row in known):
                raise StageError(
                    layout.STAGE,
                    f"{self.path / layout.MICROGRAPHS} names files that are not its own",
                    "trust nothing in this folder",
                )
            return known
        entries, _ = read_entries(self.path)
        return [known for entry in entries if entry.status == DONE for known in self._of(entry)]

    def _of(self, entry: Entry) -> Iterator[Known]:
        result = self._result(entry.key)
        alone = len(result.images) + len(result.failed) == 1
        for image in result.images:
            title = title_of(image, entry.path)
            name = micrograph_name(entry.path, title, alone)
            yield Known(name, image["key"], shown_path(entry.path), title)

    @cached_property
    def _by_name(self) -> dict[str, Known]:
        return {row.name: row for row in self._rows}

    def _result(self, key: str) -> Result:
        """Return the record of the content that a micrograph is of."""
        return read_result(self.path, key.rpartition("-")[0])

    def _columns(self, row: Known) -> pa.Table:
        path = real_path(row.source)
        entry = read_entry(self.path / layout.FILES / f"{entry_name(path)}.json")
        place = columns_place(row.key, path)
        data = layout.read_checked(self.path / place, entry.columns.get(place))
        table = tables.table_of(data, tables.COLUMNS, self.path / place)
        if table["row_nm"].null_count:  # no pixel size, or a run from before there was the field
            [image] = (one for one in self._result(row.key).images if one["key"] == row.key)
            table = tables.with_nm(table, image["pixel_size_nm"])
        return table

    def _table(self, name: str, schema: pa.Schema) -> pa.Table:
        return tables.table_of(self._bytes(name), schema, self.path / name)

    def _bytes(self, name: str) -> bytes:
        return layout.read_checked(self.path / name, self._sums.get(name))


class Known(NamedTuple):
    """A micrograph of a run.

    Attributes
    ----------
    name : str
        In the tables.
    key : str
        Of its moments and details.
    source, title : str
        As in ``micrographs.parquet``.
    """

    name: str
    key: str
    source: str
    title: str


def read_details(root: Path, key: str, result: Result) -> dict[str, Any]:
    """Read hierarchy, class averages and thumbnail of one micrograph.

    Parameters
    ----------
    root : Path
        Folder of the run.
    key : str
        Of the micrograph.
    result : Result
        Of its content.

    Raises
    ------
    StageError
        If they are missing, damaged or of another schema.
    """
    place = details_place(key)
    found: dict[str, Any] = json.loads(layout.read_checked(root / place, result.checksums.get(place)))
    layout.check_schema(found.get("schema"), root / place, "that wrote run.json")
    return found
