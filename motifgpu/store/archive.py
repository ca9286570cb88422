"""A whole analysis in one file.

The file is a zip archive: ``analysis.json`` says what there is, and every array is a ``.npy`` member named by
where it belongs, ``columns.points.npy`` say, so that ``numpy.load(path)["columns.points"]`` gets one array
without this package. Nothing is pickled, and only the types listed here are ever made.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from motifgpu.core import device, namespace
from motifgpu.core.errors import StageError
from motifgpu.core.files import replacing

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

SCHEMA = 1
_CONTENTS = "analysis.json"
_TYPES = {
    "graph.affinity": ("AffinityGraph",),
    "analysis": ("Analysis",),
    "motifs.averages": ("ClassAverages",),
    "structure.cells": ("Cells",),
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


def field_names(kind: type) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass or named tuple."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.init)
    names: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    return names


class _Encoder:
    """Turns objects into what JSON holds, and collects their arrays on the host.

    JSON's arrays are tuples; what JSON has no form for is an object with one key that says what it is.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._known: dict[int, tuple[str, Any]] = {}  # keeps what it has seen, so that no id is used again

    def encode(self, value: Any, where: str) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value), where)}
        if array_api_compat.is_array_api_obj(value):
            return {"array": self._array(value, where)}
        name = type(value).__name__
        if stored_types().get(name) is type(value):
            fields = field_names(type(value))
            held = {f: self.encode(getattr(value, f), f"{where}.{f}".lstrip(".")) for f in fields}
            return {"type": name, "fields": held}
        if isinstance(value, Mapping):
            pairs = [
                [self.encode(key, f"{where}.{key}.key"), self.encode(item, f"{where}.{key}")]
                for key, item in value.items()
            ]
            return {"dict": pairs}
        if type(value) in (tuple, list):
            items = [self.encode(item, f"{where}.{k}") for k, item in enumerate(value)]
            return items if isinstance(value, tuple) else {"list": items}
        raise StageError(
            "archive", f"{where} is a {type(value).__name__}", "keep numbers, text and arrays there"
        )

    def _array(self, value: Any, where: str) -> str:
        """Keep an array once, however often it occurs, and return its name."""
        if id(value) not in self._known:
            host = namespace.to_numpy(value)
            if host.dtype.hasobject:
                raise StageError("archive", f"{where} is an array of objects", "keep numbers there")
            self._known[id(value)] = where, value
            self.arrays[where] = host
        return self._known[id(value)][0]


class _Decoder:
    """Makes the objects again."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._known: dict[str, np.ndarray] = {}

    def decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(map(self.decode, value))
        if not isinstance(value, dict):
            return value
        if "array" in value:
            return self._array(value["array"])
        if "scalar" in value:
            return self._array(value["scalar"])[()]
        if "list" in value:
            return [self.decode(item) for item in value["list"]]
        if "dict" in value:
            return {self.decode(key): self.decode(item) for key, item in value["dict"]}
        kind = stored_types()[value["type"]]
        return kind(**{name: self.decode(held) for name, held in value["fields"].items()})

    def _array(self, name: str) -> np.ndarray:
        if name not in self._known:
            data = io.BytesIO(self._archive.read(f"{name}.npy"))
            self._known[name] = np.lib.format.read_array(data, allow_pickle=False)
        return self._known[name]


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
    encoder = _Encoder()
    content = {
        "format": "motifgpu analysis",
        "schema": SCHEMA,
        "written_by": device.versions().motifgpu,
        "analysis": encoder.encode(analysis, ""),
    }
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # A fixed date, the oldest that zip knows, so that equal contents are equal files.
        archive.writestr(zipfile.ZipInfo(_CONTENTS), json.dumps(content, separators=(",", ":")))
        for name, array in encoder.arrays.items():
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
            with zipfile.ZipFile(file) as archive:
                content = json.loads(archive.read(_CONTENTS))
                schema, writer = content["schema"], content["written_by"]
                if schema == SCHEMA:
                    return _checked(_Decoder(archive).decode(content["analysis"]))
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
    raise StageError("archive", f"{path} has schema {schema!r} and this version reads {SCHEMA}", remedy)


def _checked(found: Any) -> Analysis:
    """Refuse a file in which something else was saved."""
    from motifgpu.analysis import Analysis

    if not isinstance(found, Analysis):
        raise TypeError(f"it holds a {type(found).__name__}")
    return found
