"""A whole analysis in one file.

The file is a zip archive: ``analysis.json`` holds the outline of `motifgpu.core.packing`, and every array is
a ``.npy`` member named by where it belongs, ``columns.points.npy`` say, so that
``numpy.load(path)["columns.points"]`` gets one array without this package. Nothing is pickled, and only the
types listed here are ever made.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.core import device
from motifgpu.core.errors import StageError
from motifgpu.core.files import replacing
from motifgpu.core.npy import opened_own, read_member
from motifgpu.core.packing import pack, unpack

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

SCHEMA = 3
_READ = (2, SCHEMA)  # schema 2 had no names of motifs and no decisions
_CONTENTS = "analysis.json"
_TYPES = {
    "graph.affinity": ("AffinityGraph",),
    "analysis": ("Analysis",),
    "motifs.averages": ("ClassAverages",),
    "structure.cells": ("Cells",),
    "decisions.decision": ("Decision",),
    "columns.find": ("Columns",),
    "structure.hierarchy.build": ("Hierarchy", "Occurrences"),
    "structure.hierarchy.motif_cell": ("Context", "MotifCell"),
    "structure.lattice.drift": ("DriftMap",),
    "structure.lattice.fit": ("Lattice",),
    "io.micrograph": ("Micrograph",),
    "motifs.find": ("Motifs",),
    "columns.patch_size": ("PatchSize",),
    "motifs.shells": ("NeighborShells",),
    "structure.voronoi": ("VoronoiTiling",),
}


@functools.cache
def stored_types() -> dict[str, type]:
    """Return the types that a file may hold, by name."""
    return {
        name: getattr(importlib.import_module(f"motifgpu.{module}"), name)
        for module, names in _TYPES.items()
        for name in names
    }


def save(analysis: Analysis, path: str | os.PathLike[str]) -> Path:
    """Write an analysis into one file, whole or not at all.

    Parameters
    ----------
    analysis : Analysis
        From any backend; arrays are copied to the host.
    path : path-like
        Replaced if it is there; any suffix.

    Returns
    -------
    Path
        The file. Equal analyses, times included, give equal files.

    Raises
    ------
    StageError
        If a field holds what the format has no form for, such as an object among the parameters.
    OSError
        If the folder cannot be written or the disk is full; a file that was there before is untouched.
    """
    outline, arrays = pack(analysis, stored_types().values(), stage="archive")
    content = {
        "format": "motifgpu analysis",
        "schema": SCHEMA,
        "written_by": device.versions().motifgpu,
        "analysis": outline,
    }
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # A fixed date, the oldest that zip knows, so that equal contents are equal files.
        archive.writestr(zipfile.ZipInfo(_CONTENTS), json.dumps(content, separators=(",", ":")))
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return Path(path)


def load(path: str | os.PathLike[str]) -> Analysis:
    """Read an analysis that `save` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Analysis
        With all arrays on the host and everything that derives from it to the bit as it was: summary, table,
        figures.

    Raises
    ------
    StageError
        If the file is no saved analysis, is damaged, or is of another schema.
    OSError
        If there is no such file or it may not be read.
    """
    path = Path(path)
    with open(path, "rb") as file:
        try:
            with opened_own(file) as archive:
                content = json.loads(archive.read(_CONTENTS))
                schema, writer = content["schema"], content["written_by"]
                if schema in _READ:
                    arrays = functools.cache(functools.partial(_array, archive))
                    return _checked(unpack(content["analysis"], stored_types().values(), arrays))
        except Exception as error:  # zip, JSON and npy each fail in many ways, and all mean the same
            why = f"{type(error).__name__}: {error}"
            raise StageError(
                "archive",
                f"{path} is damaged or no saved analysis ({why})",
                "give a file that Analysis.save wrote, or analyse the micrograph again",
            ) from error
    if not isinstance(schema, int) or schema > SCHEMA:
        remedy = f"load it with motifgpu {writer} or later"
    else:
        remedy = f"load it with motifgpu {writer}, or analyse the micrograph again"
    raise StageError(
        "archive", f"{path} has schema {schema!r} and this version reads {_READ[0]} to {SCHEMA}", remedy
    )


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    return read_member(archive, archive.getinfo(f"{name}.npy"))


def _checked(found: Any) -> Analysis:
    """Refuse a file in which something else was saved."""
    from motifgpu.analysis import Analysis

    if not isinstance(found, Analysis):
        raise TypeError(f"it holds a {type(found).__name__}")
    return found
