"""What the linked page and the widget of a notebook show alike of an analysis."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.column_table import FIELDS
from motifgpu.core.namespace import to_numpy
from motifgpu.figures.drawing import display_range, per_label

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_LARGEST_SIDE = 1024  # px of the micrograph's picture, about what a screen shows
_QUALITY = 72
RING = 0.33  # of the distance to the next column, so that rings stay apart
_COMMON = 0.2  # share of the columns from which on a motif's rings are faint
_CROWDED = 2500  # columns from which on faint rings are drawn, lest they bury the atoms
_FAINT = 0.4
_MOST_UNDRAWN = 400_000  # columns of which a page knows besides those drawn: 13 MB


def about(analysis: Analysis, rows: np.ndarray) -> dict[str, Any]:
    """Return what the scripts need to know beside the columns `rows`, in what JSON can hold."""
    motifs, source = analysis.motifs, analysis.micrograph.source
    stem = re.sub(r"[^\w.-]+", "_", Path(source).stem).strip("_.") or "micrograph"
    return {
        "source": source,
        "stem": stem,
        "width": analysis.micrograph.shape[1],
        "side": analysis.patch_size.pixels,
        "motifs": max(len(motifs.counts), len(motifs.names)),
        "names": [[label, name] for label, name in enumerate(motifs.names) if name],
        "complete": len(rows) == len(analysis.points),
        "shell": analysis.shells.radii[:2].tolist(),
        "common": _COMMON,
        "fields": [field.name for field in FIELDS],
        "nm": bool(analysis.micrograph.pixel_size_nm),
        "rings": [_FAINT if len(rows) > _CROWDED else 1.0, 1.0],
    }


def undrawn(analysis: Analysis, rows: np.ndarray) -> str:
    """Return the columns that are not among the drawn `rows`, for ``undrawn.js``.

    Returns
    -------
    str
        In base64, six float32 of each: row and col px, x and y in the layout, motif, confidence. Empty where
        all are drawn, or there are too many for a page.
    """
    left = np.ones(len(analysis.points), bool)
    left[rows] = False
    if left.sum() > _MOST_UNDRAWN:
        return ""
    motifs = analysis.motifs
    parts = analysis.points, analysis.layout, motifs.labels[:, None], motifs.confidence[:, None]
    values = np.concatenate([to_numpy(part)[left] for part in parts], axis=1).astype("<f4")
    return base64.b64encode(values.tobytes()).decode()


def micrograph_picture(image: Any) -> str:
    """Return a micrograph as a data URI: grey, 8 bit, no side above 1,024 px, JPEG.

    Parameters
    ----------
    image : (H, W) array

    Returns
    -------
    str
    """
    from PIL import Image

    picture = to_numpy(image)
    low, high = display_range(picture)
    grey = np.clip((picture - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    drawn = Image.fromarray(grey)
    drawn.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE), Image.Resampling.BOX)
    data = io.BytesIO()
    drawn.save(data, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def spacing(analysis: Analysis) -> float:
    """Return the usual distance from a column to the next, px."""
    points = to_numpy(analysis.points)
    apart = np.median(cKDTree(points).query(points, 2)[0][:, 1]) if len(points) > 1 else 0.0
    return float(apart) or analysis.patch_size.pixels / 2


def typical_columns(analysis: Analysis) -> np.ndarray:
    """Return 1 for the column that is most like its motif, of each: (m,) uint8."""
    moments, labels = to_numpy(analysis.moments), to_numpy(analysis.motifs.labels)
    found = np.zeros(len(labels), np.uint8)
    for label, rows in per_label(labels):
        if label >= 0:
            apart = moments[rows] - moments[rows].mean(axis=0)
            found[rows[(apart * apart).sum(axis=1).argmin()]] = 1
    return found
