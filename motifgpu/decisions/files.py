"""Decisions as a file that a person can read: TOML, in the order in which they were made."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from motifgpu.core.errors import StageError
from motifgpu.core.files import write_text
from motifgpu.core.toml import to_toml
from motifgpu.decisions.decision import DIVIDERS, KINDS, STAGE, Decision, checked_name

FORMAT, SCHEMA = "motifgpu decisions", 1
_HEAD = """\
# What was decided about the motifs of a micrograph, in this order. Places are (row, col) in pixels:
# `at` has a typical column of each of the `motifs`, by which they are found again.
"""
_MOST_BYTES, _FARTHEST = 64 << 20, 1e9  # of a file, and px
# Fewest and most motifs of each kind of decision, and whether it lists columns.
_SHAPES: dict[str, tuple[int, float, bool]] = {
    "rename": (1, math.inf, False),
    "merge": (2, math.inf, False),
    "split": (1, 1, False),
    "assign": (0, 1, True),
    "add": (0, 0, True),
    "remove": (0, 0, True),
}


def write_decisions(path: str | os.PathLike[str], decisions: Iterable[Decision]) -> Path:
    """Write decisions to a file, whole or not at all.

    Parameters
    ----------
    path : path-like
        Replaced if it is there.
    decisions : iterable of Decision
        In their order, such as ``analysis.decisions``.

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If it cannot be written.

    Examples
    --------
    Keep what was decided, to carry it out on another analysis of the same micrograph:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(96, 96), lattice_constant=16.0)
    >>> analysis = motifgpu.analyze(made.image, structure=False)
    >>> named = analysis.rename({0: "Mo", 1: "Se2"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = motifgpu.write_decisions(Path(folder) / "decisions.toml", named.decisions)
    ...     again = analysis.apply(motifgpu.read_decisions(path))
    >>> again.motifs.names
    ('Mo', 'Se2')
    """
    parts = [_HEAD, to_toml({"format": FORMAT, "schema": SCHEMA})]
    for decision in decisions:
        held = {field.name: getattr(decision, field.name) for field in fields(decision)}
        # What could not be carried out belongs to an analysis, not to what was decided.
        kept = {name: value for name, value in held.items() if value not in ((), "", None)}
        kept.pop("misfit", None)
        parts.append(f"\n[[decision]]\n{to_toml(kept)}")
    return write_text(path, "".join(parts))


def read_decisions(path: str | os.PathLike[str]) -> tuple[Decision, ...]:
    """Read decisions from a file.

    Parameters
    ----------
    path : path-like
        As `write_decisions`, the report or a person wrote it.

    Returns
    -------
    tuple of Decision

    Raises
    ------
    OSError
        If there is no such file or it may not be read.
    StageError
        If it is no such file, or a decision is not complete; the message says which and what is wrong.

    Examples
    --------
    A file that was written by hand:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> text = '''
    ... [[decision]]
    ... do = "rename"
    ... motifs = [2]
    ... names = ["V_Se"]
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = (Path(folder) / "decisions.toml").write_text(text)
    ...     [decision] = motifgpu.read_decisions(Path(folder) / "decisions.toml")
    >>> print(decision)
    motif 2 is called V_Se
    """
    path = Path(path)
    if path.stat().st_size > _MOST_BYTES:
        raise StageError(STAGE, f"{path} has {path.stat().st_size:,} bytes", "give a file of decisions")
    return from_toml(path.read_bytes(), str(path))


def from_toml(data: bytes, path: str) -> tuple[Decision, ...]:
    """Return the decisions that the content of a file means; see `read_decisions`."""
    try:
        content = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # no TOML, no text, a number of too many digits
        raise StageError(STAGE, f"{path} is not TOML: {error}", "save the decisions again") from error
    schema = content.pop("schema", SCHEMA)
    if content.pop("format", FORMAT) != FORMAT or schema != SCHEMA or set(content) - {"decision"}:
        raise StageError(
            STAGE,
            f"{path} has entries that are no decisions, or schema {schema!r} and this version reads {SCHEMA}",
            "give a file that the report or write_decisions made",
        )
    entries = content.get("decision", [])
    if not isinstance(entries, list):
        raise StageError(STAGE, f"{path}: decision is no list", "begin each with [[decision]]")
    return tuple(_decision(entry, f"{path}: decision {k}") for k, entry in enumerate(entries, 1))


def _decision(entry: Any, where: str) -> Decision:
    def refuse(problem: str, remedy: str) -> StageError:
        return StageError(STAGE, f"{where}: {problem}", remedy)

    known = [field.name for field in fields(Decision) if field.name != "misfit"]
    if not isinstance(entry, dict):
        raise refuse(f"it is {entry!r}"[:200], "begin each decision with [[decision]]")
    if strange := sorted(set(entry) - set(known)):
        raise refuse(f"it has {', '.join(strange)}"[:200], f"give {', '.join(known)}")
    do = entry.get("do")
    if do not in KINDS:
        raise refuse(f"do is {do!r}", f"choose one of {', '.join(KINDS)}")
    motifs = _numbers(entry.get("motifs", []))
    at, columns = _places(entry.get("at", [])), _places(entry.get("columns", []))
    if motifs is None or at is None or columns is None:
        raise refuse(
            "motifs, at or columns are not numbers", "give whole numbers, and places as [row, col] in px"
        )
    names, by, parts = entry.get("names", []), entry.get("by", ""), entry.get("parts")
    if not isinstance(names, list):
        raise refuse(f"names are {names!r}", "give a list of texts")
    try:
        called = tuple(checked_name(name) for name in names)
    except StageError as error:
        raise refuse(error.problem, error.remedy) from error
    fewest, most, listed = _SHAPES[do]
    if do == "split":
        if by not in DIVIDERS:
            raise refuse(f"by is {by!r}", f"choose one of {', '.join(DIVIDERS)}")
        listed = by == "columns"
    if not fewest <= len(motifs) <= most or (at and len(at) != len(motifs)):
        raise refuse(f"there are {len(motifs)} motifs and {len(at)} places of them", "give a place for each")
    if bool(columns) != listed:
        raise refuse(
            f"there are {len(columns)} columns", f"give {'at least one' if listed else 'none'} to {do}"
        )
    if do == "rename" and len(called) != len(motifs):
        raise refuse(f"there are {len(called)} names for {len(motifs)} motifs", "give a name for each")
    if do in ("merge", "assign") and len(called) + len(motifs) * (do == "assign") > 1:
        raise refuse("it has several names, or a name and a motif", "give one of them")
    if parts is not None and (type(parts) is not int or parts < 2):
        raise refuse(f"parts is {parts!r}", "give a whole number of at least 2")
    return Decision(do, motifs, at, columns, called, by, parts)


def _numbers(values: Any) -> tuple[int, ...] | None:
    """Return numbers of motifs, None where they are something else."""
    fine = isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 31 for value in values)
    return tuple(values) if fine else None


def _places(values: Any) -> tuple[tuple[float, float], ...] | None:
    """Return places, to a hundredth of a pixel, None where they are something else."""
    if not isinstance(values, list):
        return None
    for value in values:
        if not isinstance(value, list) or len(value) != 2:
            return None
        if any(type(x) not in (int, float) or not -_FARTHEST < x < _FARTHEST for x in value):
            return None
    return tuple((round(float(row), 2), round(float(col), 2)) for row, col in values)
