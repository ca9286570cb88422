"""Writing what was found in one file: its micrographs, then the record that says that all is there."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.core.files import write_text
from motifgpu.core.namespace import to_numpy
from motifgpu.store import layout
from motifgpu.store.arrays import write_array
from motifgpu.store.tables import columns_table, write_table
from motifgpu.structure.hierarchy.export import to_json

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_THUMBNAIL = 160  # px, the longer side


def save_micrograph(root: Path, name: str, analysis: Analysis) -> dict[str, Any]:
    """Write all that is kept of one micrograph.

    Parameters
    ----------
    root : Path
        Folder of the run.
    name : str
        Name of the micrograph in the tables.
    analysis : Analysis

    Returns
    -------
    dict
        The summary that goes into the record of its file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    patch = {"patch_size_px": analysis.patch_size.pixels, "order": analysis.parameters["order"]}
    write_array(root / layout.MOMENTS / name, to_numpy(analysis.moments), patch)
    write_table(root / layout.COLUMNS / f"{name}.parquet", columns_table(name, analysis))
    averages = to_numpy(analysis.averages.patches)
    details = {
        "schema": layout.SCHEMA,
        "hierarchy": None if analysis.hierarchy is None else to_json(analysis.hierarchy),
        "average_side": averages.shape[1] if averages.ndim == 3 else 0,
        "averages": _packed(averages),
        "thumbnail": base64.b64encode(thumbnail(to_numpy(analysis.micrograph.image))).decode(),
    }
    write_text(root / layout.DETAILS / f"{name}.json", json.dumps(details))
    return _summary(name, analysis)


def _summary(name: str, analysis: Analysis) -> dict[str, Any]:
    labels = to_numpy(analysis.motifs.labels)
    confidence = to_numpy(analysis.motifs.confidence).astype(np.float64)
    environments = to_numpy(analysis.motifs.environments)
    height, width = analysis.micrograph.shape
    present = [-1, *range(len(analysis.motifs.counts))] if (labels < 0).any() else None
    return {
        "micrograph": name,
        "title": analysis.micrograph.title,
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
        "timings_s": dict(analysis.timings),
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


def save_record(root: Path, key: str, record: dict[str, Any]) -> None:
    """Write the record of a file, which says that everything else of it is there.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    layout.write_json(root / layout.FILES / f"{key}.json", {"schema": layout.SCHEMA, "key": key, **record})
