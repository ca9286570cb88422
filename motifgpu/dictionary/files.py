"""Dictionaries as files: arrays of numbers in one .npz archive, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.core import packing
from motifgpu.core.errors import StageError
from motifgpu.core.files import replacing
from motifgpu.core.npy import opened_own, read_member
from motifgpu.dictionary.chapter import Chapter
from motifgpu.dictionary.environments import Environments
from motifgpu.dictionary.patterns import Patterns
from motifgpu.dictionary.schema import apart, joined
from motifgpu.motifs.identity import IdentityModel
from motifgpu.motifs.mixture import Mixture
from motifgpu.motifs.sublattices import Split

SCHEMA = 1
_ABOUT = "about"
_ENVIRONMENTS = "surroundings"  # what schema 1 calls them; names of arrays are part of the digest
_TYPES = Chapter, Environments, IdentityModel, Mixture, Patterns, Split
# What the readers of a damaged archive raise.
_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    zipfile.BadZipFile,
    zlib.error,
)


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of named arrays as 64 hexadecimal digits."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def pack(chapters: Sequence[Chapter], environments: Environments) -> dict[str, np.ndarray]:
    """Return the contents of a dictionary as named arrays."""
    arrays: dict[str, np.ndarray] = {}
    for where, record in {_ENVIRONMENTS: environments, **_numbered(chapters)}.items():
        arrays |= packing.pack(record, _TYPES, stage="dictionary", where=where, plain=True)[1]
    return joined(arrays)


def unpack(arrays: Mapping[str, np.ndarray]) -> tuple[tuple[Chapter, ...], Environments]:
    """Return the contents of which `arrays` were made."""
    fields = apart(arrays)

    def record(kind: type, where: str) -> Any:
        return packing.unpack(packing.outline(kind, fields, where), _TYPES, fields.__getitem__)

    chapters = _numbered([name for name in fields if name.endswith(".first")])
    return tuple(record(Chapter, where) for where in chapters), record(Environments, _ENVIRONMENTS)


def _numbered(chapters: Sequence[Any]) -> dict[str, Any]:
    return {f"chapter{i}": chapter for i, chapter in enumerate(chapters)}


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Path:
    """Write arrays and what is to be said about them; a file that was there stays until the new one is whole.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    text = json.dumps({**about, "schema": SCHEMA}, sort_keys=True, allow_nan=False).encode()
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **{_ABOUT: np.frombuffer(text, np.uint8), **arrays})
    return Path(path)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    StageError
        If it is no dictionary, damaged, or of another schema.
    """
    try:
        with open(path, "rb") as file, opened_own(file) as archive:
            members = archive.infolist()
            arrays = {
                member.filename.removesuffix(".npy"): read_member(archive, member) for member in members
            }
        about = json.loads(arrays.pop(_ABOUT).tobytes())
        schema = about["schema"]
    except FileNotFoundError:
        raise
    except _DAMAGED as error:
        problem = f"{os.fspath(path)} is no motif dictionary or is damaged ({type(error).__name__}: {error})"
        raise StageError("dictionary", problem, "give a file that MotifDictionary.save wrote") from error
    if schema != SCHEMA:
        raise StageError(
            "dictionary",
            f"{os.fspath(path)} has schema {schema!r} and this version reads schema {SCHEMA}",
            "read it with the version of motifgpu that wrote it, or learn it again",
        )
    return arrays, about
