"""A run in the forms of other programs: AnnData, HyperSpy, one table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.column_table import inert
from motifgpu.core.errors import StageError
from motifgpu.core.files import replacing
from motifgpu.core.namespace import to_numpy
from motifgpu.store.read import RunFolder
from motifgpu.store.tables import COLUMNS

if TYPE_CHECKING:
    import anndata


def _missing(package: str, extra: str, error: ImportError) -> StageError:
    return StageError(
        "export", f"{package} cannot be imported ({error})", f"install it: pip install 'motifgpu[{extra}]'"
    )


def to_anndata(run: RunFolder) -> anndata.AnnData:
    """Return all columns that have a patch, with their moments, as annotated data.

    Parameters
    ----------
    run : RunFolder

    Returns
    -------
    anndata.AnnData
        ``X``: moments (N, n_moments) float32, of the orders that all micrographs have. ``obs``: the other
        columns of the table, motif, name and environment as categories. ``obsm["spatial"]``: (col, row) px, x
        and y as plotting wants them; ``obsm["X_layout"]``: the layout. ``uns["motifgpu"]``: parameters and
        versions as JSON.

    Raises
    ------
    StageError
        If anndata is not installed.
    """
    try:
        import anndata
    except ImportError as error:
        raise _missing("anndata", "anndata", error) from error
    import json

    import pandas as pd

    parts, moments = [], []
    for name in run.micrographs["micrograph"].to_pylist():
        frame = run.columns(name).to_pandas()
        parts.append(frame[frame.moments_row.notna()].sort_values("moments_row"))
        moments.append(run.moments(name))
    # Coarsely sampled patches have moments of lower orders alone, which are the first ones of the others.
    width = min((values.shape[1] for values in moments), default=0)
    moments = [values[:, :width] for values in moments]
    table = pd.concat(parts, ignore_index=True) if parts else run.columns().to_pandas()
    obs = table.drop(columns=["row_px", "col_px", "layout_x", "layout_y"])
    obs.index = obs.index.astype(str)
    for name in ("micrograph", "name", "motif", "environment"):
        text = name in ("micrograph", "name")
        values = obs[name].fillna("") if text else obs[name].fillna(-1).astype("int32")
        obs[name] = pd.Categorical(values)
    return anndata.AnnData(
        X=np.concatenate(moments) if moments else np.zeros((0, width), np.float32),
        obs=obs,
        obsm={
            "spatial": table[["col_px", "row_px"]].to_numpy(np.float32),
            "X_layout": table[["layout_x", "layout_y"]].to_numpy(np.float32),
        },
        uns={"motifgpu": json.dumps({k: run.about[k] for k in ("parameters", "versions", "schema")})},
    )


def to_hyperspy(run: RunFolder, micrograph: str | None = None) -> Any:
    """Return class averages, or one micrograph with its columns, as a HyperSpy signal.

    Parameters
    ----------
    run : RunFolder
    micrograph : str, optional
        Name of a micrograph, which is read again from its file.

    Returns
    -------
    hyperspy.api.signals.Signal2D
        With `micrograph` its image with a scale and permanent markers, one colour per motif; without it the
        mean patches, one motif per navigation step, whose motifs, counts and micrographs are in
        ``metadata.motifgpu``.

    Raises
    ------
    StageError
        If HyperSpy is not installed, there is no micrograph of this name, or no motif has an average.
    MicrographReadError
        If its file is missing or has changed.
    """
    try:
        import hyperspy.api as hs
    except ImportError as error:
        raise _missing("hyperspy", "hyperspy", error) from error
    return _averages(run, hs) if micrograph is None else _marked(run, micrograph, hs)


def _averages(run: RunFolder, hs: Any) -> Any:
    rows = [row for row in run.motifs.to_pylist() if row["average"] is not None]
    if not rows:
        raise StageError("export", f"{run.path} has no motif with an average", "run on more micrographs")
    side = Counter(row["average_side"] for row in rows).most_common(1)[0][0]  # a stack has one size
    rows = [row for row in rows if row["average_side"] == side]
    stack = np.array([row["average"] for row in rows], np.float32).reshape(-1, side, side)
    found = hs.signals.Signal2D(stack)
    found.axes_manager[0].name = "motif"
    found.metadata.General.title = "Class averages"
    found.metadata.add_dictionary(
        {
            "motifgpu": {
                "motifs": [row["motif"] for row in rows],
                "counts": [row["count"] for row in rows],
                "micrographs": [row["micrograph"] or "all" for row in rows],
            }
        }
    )
    return found


def _marked(run: RunFolder, micrograph: str, hs: Any) -> Any:
    from motifgpu.dataset.reanalyze import reread
    from motifgpu.hyperspy_signal import motif_markers

    source = reread(run, micrograph)
    found = hs.signals.Signal2D(to_numpy(source.image))
    found.metadata.General.title = source.title
    scale = source.pixel_size_nm or 1.0
    for axis, name in zip(found.axes_manager.signal_axes, ("x", "y"), strict=True):
        axis.name, axis.scale, axis.units = name, scale, "nm" if source.pixel_size_nm else "px"
    found.add_marker(motif_markers(run.columns(micrograph), scale), permanent=True, plot_marker=False)
    return found


def export(run: RunFolder, path: Path) -> Path:
    """Write a run in the format of the path's ending.

    Parameters
    ----------
    run : RunFolder
    path : Path
        ``.parquet`` or ``.csv``: all columns, with the micrograph's file beside each, in the latter by
        `motifgpu.core.text.as_text`; ``.h5ad``: `to_anndata`; ``.hspy``: the class averages.

    Returns
    -------
    Path

    Raises
    ------
    StageError
        If the ending is none of these, or a package is missing.
    OSError
        If it cannot be written.
    """
    path = Path(path)
    if path.suffix == ".h5ad":
        to_anndata(run).write_h5ad(path)
    elif path.suffix == ".hspy":
        to_hyperspy(run).save(path, overwrite=True)
    elif path.suffix in (".parquet", ".csv"):
        _export_columns(run, path)
    else:
        raise StageError(
            "export", f"{path.name} ends in {path.suffix!r}", "choose .parquet, .csv, .h5ad or .hspy"
        )
    return path


def _export_columns(run: RunFolder, path: Path) -> None:
    """Write all columns, micrograph by micrograph, in the order of their paths."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    names = run.micrographs.select(["micrograph", "source", "title"]).to_pylist()
    schema = COLUMNS.append(pa.field("source", pa.string())).append(pa.field("title", pa.string()))
    as_csv = path.suffix == ".csv"
    write = csv.CSVWriter if as_csv else parquet.ParquetWriter
    with replacing(path) as file, write(file, schema) as writer:
        for row in names:
            table = run.columns(row["micrograph"])
            for name in ("source", "title"):
                table = table.append_column(name, pa.array([row[name]] * len(table), pa.string()))
            writer.write_table((inert(table) if as_csv else table).cast(schema))
