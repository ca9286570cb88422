"""Writing what was found in one micrograph."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from motifgpu.core.files import write_text
from motifgpu.core.namespace import to_numpy
from motifgpu.store import layout
from motifgpu.store.arrays import write_array
from motifgpu.store.entries import (
    Result,
    columns_place,
    details_place,
    kept_title,
    micrograph_name,
    moments_places,
    title_of,
)
from motifgpu.store.tables import COLUMNS, columns_table, table_of, write_table
from motifgpu.structure.hierarchy.export import to_json

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_THUMBNAIL = 160  # px, the longer side


def save_micrograph(root: Path, key: str, path: str, analysis: Analysis, alone: bool) -> Saved:
    """Write all that is kept of one micrograph.

    Parameters
    ----------
    root : Path
        Folder of the run.
    key : str
        Of the micrograph.
    path : str
        Its file.
    analysis : Analysis
    alone : bool
        Whether it is the only image in its file.

    Returns
    -------
    Saved

    Raises
    ------
    OSError
        If it cannot be written.
    """
    patch = {"patch_size_px": analysis.patch_size.pixels, "order": analysis.parameters["order"]}
    moments = write_array(root / layout.MOMENTS / key, to_numpy(analysis.moments), patch)
    title = kept_title(analysis.micrograph.title)
    name = micrograph_name(path, title_of(title, path), alone)
    columns = write_table(root / columns_place(key, path), columns_table(name, key, analysis))
    averages = to_numpy(analysis.averages.patches)
    details = {
        "schema": layout.SCHEMA,
        "hierarchy": None if analysis.hierarchy is None else to_json(analysis.hierarchy),
        "average_side": averages.shape[1] if averages.ndim == 3 else 0,
        "averages": _packed(averages),
        "thumbnail": base64.b64encode(thumbnail(to_numpy(analysis.micrograph.image))).decode(),
    }
    text = json.dumps(details)
    write_text(root / details_place(key), text)
    return Saved(
        {"key": key, **title, **_summary(analysis)},
        {
            **dict(zip(moments_places(key), moments, strict=True)),
            details_place(key): layout.checksum(text.encode()),
        },
        {columns_place(key, path): columns},
    )


class Saved(NamedTuple):
    """What was written of one micrograph.

    Attributes
    ----------
    summary : dict
        For the record of its content.
    checksums, columns : dict
        As in `motifgpu.store.entries.Result`.
    """

    summary: dict[str, Any]
    checksums: dict[str, str]
    columns: dict[str, str]


def copy_columns(root: Path, result: Result, path: str) -> dict[str, str]:
    """Write the columns of a content again under the name of another file that has it; return checksums.

    Raises
    ------
    StageError
        If those that are there are damaged.
    OSError
        If it cannot be written.
    """
    alone = len(result.images) + len(result.failed) == 1
    made = {}
    for image in result.images:
        source = columns_place(image["key"], result.path)
        table = table_of(layout.read_checked(root / source, result.columns.get(source)), COLUMNS, source)
        name = micrograph_name(path, title_of(image, path), alone)
        names = pa.array([name] * len(table), pa.string())
        place = columns_place(image["key"], path)
        made[place] = write_table(root / place, table.set_column(0, COLUMNS.field(0), names))
    return made


def _summary(analysis: Analysis) -> dict[str, Any]:
    labels = to_numpy(analysis.motifs.labels)
    confidence = to_numpy(analysis.motifs.confidence).astype(np.float64)
    environments = to_numpy(analysis.motifs.environments)
    height, width = analysis.micrograph.shape
    present = [-1, *range(len(analysis.motifs.counts))] if (labels < 0).any() else None
    return {
        "height_px": height,
        "width_px": width,
        "pixel_size_nm": analysis.micrograph.pixel_size_nm,
        "columns": len(analysis.columns),
        "points": len(labels),
        "empty_sites": int(to_numpy(analysis.columns.empty).sum()),
        "patch_size_px": float(analysis.patch_size.pixels),
        "patch_confidence": float(analysis.patch_size.confidence),
        "domains": int(to_numpy(analysis.motifs.domains).max(initial=-1)) + 1,
        "environments": len(set(environments[environments >= 0].tolist())),
        "explained": float(np.where(labels >= 0, confidence, 0.0).mean()),
        "area_nm2": analysis.area_nm2,
        "lattice": analysis.hierarchy is not None,
        "warnings": analysis.warnings,
        "motifs": [
            [label, int(member.sum()), float(confidence[member].mean()) if member.any() else None]
            for label in (present or range(len(analysis.motifs.counts)))
            for member in [labels == label]
        ],
    }


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def unpacked(text: str, side: int) -> np.ndarray:
    """Return class averages (c, side, side) float32 from what `save_micrograph` made of them."""
    return (
        np.frombuffer(base64.b64decode(text), "<f4").reshape(-1, side, side) if side else np.zeros((0, 0, 0))
    )


def thumbnail(image: np.ndarray) -> bytes:
    """Return a small picture of a micrograph as PNG, its grey values from the 0.5 to the 99.5 percentile."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image, np.float32))
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    small = np.asarray(picture)
    low, high = np.percentile(small, [0.5, 99.5])
    grey = np.clip((small - low) * (255 / max(float(high - low), 1e-30)), 0, 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(grey).save(data, "png", compress_level=1)
    return data.getvalue()
