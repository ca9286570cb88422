"""The columns of an analysis as an Arrow table, the same in memory, in CSV and in Parquet.

Units and meanings are in the metadata of the table's fields.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from motifgpu.core.namespace import to_numpy
from motifgpu.core.text import as_text
from motifgpu.motifs.numbering import names_by_label

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_TEXT, _REAL, _WHOLE, _TRUTH = pa.string(), pa.float32(), pa.int32(), pa.bool_()


def field(name: str, kind: pa.DataType, unit: str, about: str) -> pa.Field:
    """Return the field of a table, with its unit and what it is."""
    return pa.field(name, kind, metadata={"unit": unit, "about": about})


# Of an atom column, in every table.
FIELDS = tuple(
    field(*about)
    for about in (
        ("row_px", _REAL, "px", "centre of the column; pixel centres are whole numbers, row 0 is at the top"),
        ("col_px", _REAL, "px", "centre of the column"),
        ("row_nm", _REAL, "nm", "the same, times the pixel size; null where that is not known"),
        ("col_nm", _REAL, "nm", "the same"),
        ("prominence", _REAL, "of the detector", "height of the column above its surroundings"),
        ("occupied", _TRUTH, "", "false for a lattice site where no atom is seen or noise hides it"),
        ("probability", _REAL, "", "0 to 1, that a column stands there"),
        ("moments_row", _WHOLE, "", "row of its moments; null where too little of a patch is seen"),
        (
            "motif",
            _WHOLE,
            "",
            "identity and, where there are several, domain; -1 unassigned or not in the dictionary",
        ),
        ("name", _TEXT, "", "of the motif, where a dictionary or a person named it; null without"),
        ("identity", _WHOLE, "", "what stands in the column; -1 unassigned"),
        ("domain", _WHOLE, "", "grain, side of a twin, stacking or phase; -1 at a boundary"),
        ("environment", _WHOLE, "", "finer partition of motifs, column with surroundings; -1 unassigned"),
        ("confidence", _REAL, "", "0 to 1, of the motif"),
        ("identity_confidence", _REAL, "", "0 to 1"),
        ("domain_confidence", _REAL, "", "0 to 1, also that a column is at a boundary"),
        ("environment_confidence", _REAL, "", "0 to 1"),
        ("layout_x", _REAL, "", "force-relaxed position"),
        ("layout_y", _REAL, "", "force-relaxed position"),
        (
            "whole",
            _TRUTH,
            "",
            "false where the frame, or what is no data, cuts the patch; null without one",
        ),
    )
)


def column_table(analysis: Analysis) -> pa.Table:
    """Return the columns of an analysis, one row per column; see `motifgpu.Analysis.table`."""
    mask, columns, motifs = to_numpy(analysis.mask), analysis.columns, analysis.motifs
    points, layout = to_numpy(columns.points), to_numpy(analysis.layout)
    names = pa.array([name or None for name in names_by_label(motifs.names, len(motifs.counts))], _TEXT)
    known = np.flatnonzero(mask)
    row = np.zeros(len(mask), np.int64)
    row[known] = np.arange(len(known))

    def spread(values: Any) -> pa.Array:
        """Return values of the columns with a patch as values of all columns, null elsewhere."""
        return pa.array(to_numpy(values)).take(pa.array(row, mask=~mask))

    values = {
        "row_px": points[:, 0],
        "col_px": points[:, 1],
        "prominence": to_numpy(columns.prominence),
        "occupied": to_numpy(columns.occupied),
        "probability": to_numpy(columns.probability),
        "moments_row": pa.array(row, mask=~mask),
        "motif": spread(motifs.labels),
        "name": names.take(spread(to_numpy(motifs.labels) % len(names))),
        "identity": spread(motifs.identities),
        "domain": spread(motifs.domains),
        "environment": spread(motifs.environments),
        "confidence": spread(motifs.confidence),
        "identity_confidence": spread(motifs.identity_confidence),
        "domain_confidence": spread(motifs.domain_confidence),
        "environment_confidence": spread(motifs.environment_confidence),
        "layout_x": spread(layout[:, 0]),
        "layout_y": spread(layout[:, 1]),
        "whole": spread(analysis.whole),
        **in_nm(points, analysis.micrograph.pixel_size_nm),
    }
    schema = pa.schema(FIELDS)
    return pa.table([pa.array(values[f.name]).cast(f.type) for f in schema], schema=schema)


def in_nm(points: np.ndarray, pixel_size_nm: float | None) -> dict[str, pa.Array]:
    """Return where columns (n, 2) are in nm, null without a pixel size, by the names of the fields."""
    names = "row_nm", "col_nm"
    if not pixel_size_nm:
        return {name: pa.nulls(len(points), _REAL) for name in names}
    scaled = points.astype(np.float64) * pixel_size_nm
    return {name: pa.array(values.astype(np.float32)) for name, values in zip(names, scaled.T, strict=True)}


def inert(table: pa.Table) -> pa.Table:
    """Return a table whose texts are such as no spreadsheet computes, by `motifgpu.core.text.as_text`."""
    for place, name in enumerate(table.column_names):
        if table.schema.field(name).type == _TEXT:
            texts = [text and as_text(text) for text in table[name].to_pylist()]
            table = table.set_column(place, table.schema.field(name), pa.array(texts, _TEXT))
    return table


def as_csv(table: pa.Table) -> bytes:
    """Return a table as CSV, `inert`, texts in quotes and nothing where a value is null."""
    text = io.BytesIO()
    csv.write_csv(inert(table), text)
    return text.getvalue()
