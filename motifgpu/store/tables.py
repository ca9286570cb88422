"""The tables of a run in Arrow: columns with their units, and how they are written."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from motifgpu import column_table
from motifgpu.core.device import versions
from motifgpu.core.errors import StageError
from motifgpu.core.files import replacing
from motifgpu.io.formats.pages import EXPANDED_ALWAYS, EXPANDED_TIMES
from motifgpu.store.layout import SCHEMA, STAGE, check_schema, checksum

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_KEY = b"motifgpu"
# Rows of a row group of the tables over micrographs, and of one whose rows hold pictures.
_ROWS, _PICTURES = 20_000, 256


def _schema(*fields: pa.Field | tuple[str, pa.DataType, str, str]) -> pa.Schema:
    """Return a schema of fields, or of (name, type, unit, meaning)."""
    about = {"schema": SCHEMA, "written_by": versions().motifgpu}
    return pa.schema(
        [one if isinstance(one, pa.Field) else column_table.field(*one) for one in fields],
        metadata={_KEY: json.dumps(about, sort_keys=True)},
    )


_WIDEST = 8  # bytes of a value that is no text
_TEXT, _REAL, _FINE = pa.string(), pa.float32(), pa.float64()
_WHOLE, _LONG = pa.int32(), pa.int64()
# Fields that tables of this schema have not always had; `with_nm` fills them in.
_LATER = ("row_nm", "col_nm")
_DENSITY = (
    ("per_nm2", _FINE, "1/nm2", "columns per area; null without a pixel size"),
    ("per_nm2_low", _FINE, "1/nm2", "lower end of its 95 % interval (exact Poisson)"),
    ("per_nm2_high", _FINE, "1/nm2", "upper end"),
)

COLUMNS = _schema(
    ("micrograph", _TEXT, "", "as in micrographs.parquet"),
    ("key", _TEXT, "", "as in micrographs.parquet"),
    *column_table.FIELDS,
)
MICROGRAPHS = _schema(
    ("micrograph", _TEXT, "", "name in all tables: path of the file, with the title where it has several"),
    ("key", _TEXT, "", "of its columns, moments and details: of content, parameters and version"),
    ("source", _TEXT, "", "path of the file; bytes that are no UTF-8 as \\xb5"),
    ("title", _TEXT, "", "what the file calls the image, or the file's name"),
    ("sha256", _TEXT, "", "of the file's content"),
    (
        "modified",
        pa.timestamp("us", "UTC"),
        "",
        "when the file was last written; null after the year 9999",
    ),
    ("height_px", _LONG, "px", "rows"),
    ("width_px", _LONG, "px", "columns of pixels"),
    ("pixel_size_nm", _FINE, "nm", "null where not known"),
    ("columns", _LONG, "", "atom columns and empty sites found"),
    ("points", _LONG, "", "those with a patch, whole or cut, which have a motif"),
    ("empty_sites", _LONG, "", "lattice sites where no atom is seen"),
    ("patch_size_px", _FINE, "px", "side of a patch"),
    ("patch_confidence", _FINE, "", "0 to 1"),
    ("motifs", _LONG, "", "how many motifs occur"),
    ("domains", _LONG, "", "how many domains occur"),
    ("environments", _LONG, "", "how many environments occur"),
    ("unassigned", _LONG, "", "points without a motif"),
    ("explained", _FINE, "", "mean confidence over all points, 0 for those without a motif"),
    ("area_nm2", _FINE, "nm2", "area of the pixels that are data; null without a pixel size"),
    ("lattice", pa.bool_(), "", "whether the columns form one"),
    ("warnings", _TEXT, "", "what a reader of the results should know"),
)
COUNTS = _schema(
    ("micrograph", _TEXT, "", "as in micrographs.parquet"),
    ("key", _TEXT, "", "as in micrographs.parquet"),
    ("motif", _WHOLE, "", "-1 unassigned or not in the dictionary"),
    ("count", _LONG, "", "columns"),
    ("fraction", _FINE, "", "of the micrograph's points"),
    *_DENSITY,
    ("confidence", _FINE, "", "mean over the columns; null where there are none"),
)
OCCURRENCES = _schema(
    ("micrograph", _TEXT, "", "as in micrographs.parquet"),
    ("key", _TEXT, "", "as in micrographs.parquet"),
    ("motif_cell", _TEXT, "", "key of the motif-cell, as in hierarchy.json"),
    ("level", _LONG, "", "number of its cells"),
    ("orientation", _LONG, "", "which of its orientations"),
    ("row_px", _FINE, "px", "mean of the centres of its cells"),
    ("col_px", _FINE, "px", "mean of the centres of its cells"),
)
MOTIFS = _schema(
    ("micrograph", _TEXT, "", "whose motif it is; null for motifs of a dictionary, which all share"),
    ("key", _TEXT, "", "as in micrographs.parquet; null for motifs of a dictionary"),
    ("motif", _WHOLE, "", "-1 unassigned or not in the dictionary"),
    ("name", _TEXT, "", "in the dictionary"),
    ("count", _LONG, "", "columns"),
    ("micrographs", _LONG, "", "in how many micrographs it occurs"),
    ("fraction", _FINE, "", "of all points"),
    *_DENSITY,
    ("confidence", _FINE, "", "mean over the columns; null where there are none"),
    ("average_side", _WHOLE, "samples", "side of the mean patch"),
    ("average", pa.list_(_REAL), "of the detector", "mean patch, row by row"),
)


def columns_table(name: str, key: str, analysis: Analysis) -> pa.Table:
    """Return the columns of one micrograph: those of `Analysis.table`, and whose they are."""
    table = column_table.column_table(analysis)
    said = [pa.array([text] * len(table), _TEXT) for text in (name, key)]
    return pa.table([*said, *table.columns], schema=COLUMNS)


def with_nm(table: pa.Table, pixel_size_nm: float | None) -> pa.Table:
    """Return a table of columns with their places in nm, for one that an older version wrote without."""
    points = np.column_stack([table["row_px"], table["col_px"]])
    for name, values in column_table.in_nm(points, pixel_size_nm).items():
        table = table.set_column(COLUMNS.get_field_index(name), COLUMNS.field(name), values)
    return table


def write_table(path: Path, table: pa.Table) -> str:
    """Write a table as Parquet, whole or not at all, and return the SHA-256 of the file.

    The same table gives the same bytes.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    data = io.BytesIO()
    pq.write_table(table, data, compression="zstd")
    with replacing(path) as file:
        file.write(data.getbuffer())
    return checksum(data.getbuffer())


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Write rows as they come, in row groups, so that no table has to fit into memory."""
    with replacing(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        left = iter(rows)
        most = _PICTURES if "average" in schema.names else _ROWS
        while group := list(islice(left, most)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def table_of(data: bytes, schema: pa.Schema, name: str | Path) -> pa.Table:
    """Return the table that bytes of Parquet hold, after a check of the schema it was written in.

    Raises
    ------
    StageError
        If they are no such table, or one of another schema.
    """
    try:
        texts = [field.name for field in schema if field.type == _TEXT]
        found = pq.ParquetFile(io.BytesIO(data), read_dictionary=texts)
        about = json.loads((found.schema_arrow.metadata or {}).get(_KEY, b"{}"))
        check_schema(about.get("schema"), Path(name), about.get("written_by"))
        groups = [found.metadata.row_group(number) for number in range(found.num_row_groups)]
        values = sum(group.column(k).num_values for group in groups for k in range(group.num_columns))
        _check_expansion(_WIDEST * values, len(data))
        packed = found.read(columns=schema.names)
        _check_expansion(sum(_text_bytes(packed[name]) for name in texts), len(data))
        for field in schema:
            if field.name in _LATER and field.name not in packed.column_names:
                packed = packed.append_column(field, pa.nulls(len(packed), field.type))
        return packed.select(schema.names).cast(schema)
    except StageError:
        raise
    except Exception as error:  # Arrow and JSON fail in many ways, and all mean the same
        raise StageError(
            STAGE, f"{name} is damaged ({error})", "delete it and run the same command again"
        ) from error


def _check_expansion(announced: int, stored: int) -> None:
    """Refuse a table that would expand further than any of ours, before memory is taken for it."""
    most = max(EXPANDED_ALWAYS, EXPANDED_TIMES * stored)
    if announced > most:
        raise ValueError(f"its {stored} bytes would expand to {announced}, and no more than {most} are read")


def _text_bytes(column: pa.ChunkedArray) -> int:
    """Return how many bytes of text a column has, whose equal texts are stored once."""
    total = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
        total += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    return total
