"""Opening files in napari: analyses, runs, and the microscopes' files that napari does not read itself."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motifgpu.napari_plugin.layers import LayerData, analysis_layers, image_layer

# TIFF, PNG, npy and the like are read by napari, and what is an MRC file is most often a volume.
MICROSCOPES = (".dm3", ".dm4", ".emd", ".ser", ".hspy", ".nxs")

Reader = Callable[[Any], list[LayerData]]


def get_reader(path: str | list[str]) -> Reader | None:
    """Return what opens a path, None where it is not ours.

    Parameters
    ----------
    path : str or list of str
        A list is a stack that somebody wants; we make none of several files.

    Returns
    -------
    callable or None
        Called with the same path it returns the data of layers.
    """
    if not isinstance(path, (str, os.PathLike)):
        return None
    where = Path(path)
    if where.is_dir():
        return _read_run if (where / "run.json").is_file() else None
    if where.suffix.lower() in MICROSCOPES:
        return _read_micrographs
    return _read_analysis if _is_analysis(where) else None


def _is_analysis(path: Path) -> bool:
    """Say whether a file is a zip archive with the table of contents that `Analysis.save` writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "analysis.json" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _read_analysis(path: Any) -> list[LayerData]:
    from motifgpu.analysis import Analysis

    return analysis_layers(Analysis.load(path))


def _read_run(path: Any) -> list[LayerData]:
    from motifgpu.dataset.results import Run
    from motifgpu.napari_plugin.stack import run_layers

    return run_layers(Run(path))


def _read_micrographs(path: Any) -> list[LayerData]:
    """Read every image in a file as a layer of its own."""
    from motifgpu.io.micrograph import read_all

    return [image_layer(found) for found in read_all(path)]
