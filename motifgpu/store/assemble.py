"""The tables over all micrographs, put together from the records of the files."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from motifgpu.core.files import shown_path, write_text
from motifgpu.store import layout, tables
from motifgpu.store.entries import Entry, micrograph_name, read_result, title_of
from motifgpu.store.read import read_details
from motifgpu.store.write import unpacked
from motifgpu.structure.hierarchy import Hierarchy
from motifgpu.structure.hierarchy.export import from_json, to_graphml, to_json
from motifgpu.structure.hierarchy.merge import merge_hierarchies

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_AT_ONCE = 64  # hierarchies merged in one step
OWN_MOTIFS = (
    "every micrograph has its own motifs, numbered by size, so motif-cells of different micrographs are the"
    " same only where these numbers mean the same; run with a dictionary to have motifs that all share"
)


def poisson_interval(count: int, area: float, level: float = 0.95) -> tuple[float, float]:
    """Return the exact (Garwood) confidence interval of a density from a count.

    Parameters
    ----------
    count : int
    area : float
        Above 0.
    level : float

    Returns
    -------
    low, high : float

    References
    ----------
    Garwood, Biometrika 28, 437 (1936).
    """
    tail = (1 - level) / 2
    low = special.gammaincinv(count, tail) if count else 0.0
    return float(low) / area, float(special.gammainccinv(count + 1, tail)) / area


def density(count: int, area: float | None) -> dict[str, float | None]:
    """Return the density of a count with its interval, None without an area."""
    if not area:
        return {"per_nm2": None, "per_nm2_low": None, "per_nm2_high": None}
    low, high = poisson_interval(count, area)
    return {"per_nm2": count / area, "per_nm2_low": low, "per_nm2_high": high}


def assemble(
    root: Path, entries: Iterable[Entry], names: Sequence[str] | None
) -> tuple[dict[str, int], dict[str, str]]:
    """Write the tables over micrographs, counts and motifs, and the merged hierarchy.

    Parameters
    ----------
    root : Path
        Folder of the run.
    entries : iterable of Entry
        Of the files that are done, whose results are whole.
    names : sequence of str or None
        Of the motifs of the dictionary; None where every micrograph has its own.

    Returns
    -------
    found : dict
        Numbers of ``micrographs``, ``columns`` and ``points``.
    checksums : dict
        SHA-256 of each table, by its name.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    rows = [row for entry in sorted(entries, key=_order) for row in _rows(root, entry)]
    tables.write_rows(root / layout.MICROGRAPHS, rows, tables.MICROGRAPHS)
    tables.write_rows(root / layout.COUNTS, _counts(rows, names), tables.COUNTS)
    motifs = _own_motifs(root, rows) if names is None else _shared_motifs(root, rows, names)
    tables.write_rows(root / layout.MOTIFS, motifs, tables.MOTIFS)
    hierarchies = _write_hierarchies(root, [row for row in rows if row["lattice"]], names is None)
    found = {
        "micrographs": len(rows),
        "columns": sum(row["columns"] for row in rows),
        "points": sum(row["points"] for row in rows),
    }
    written = [layout.MICROGRAPHS, layout.COUNTS, layout.MOTIFS, layout.OCCURRENCES, *hierarchies]
    return found, {name: layout.file_checksum(root / name) for name in written}


def _order(entry: Entry) -> bytes:
    return os.fsencode(entry.path)


def _rows(root: Path, entry: Entry) -> Iterator[dict[str, Any]]:
    result = read_result(root, entry.key)
    alone = len(result.images) + len(result.failed) == 1
    for image in result.images:
        numbers = [(label, count) for label, count, _ in image["motifs"]]
        title = title_of(image, entry.path)
        yield {
            **{name: image[name] for name in tables.MICROGRAPHS.names if name in image},
            "micrograph": micrograph_name(entry.path, title, alone),
            "source": shown_path(entry.path),
            "title": title,
            "sha256": entry.facts["sha256"],
            "modified": _time(entry.facts["mtime_ns"]),
            "motifs": sum(label >= 0 and count > 0 for label, count in numbers),
            "unassigned": sum(count for label, count in numbers if label < 0),
            "warnings": "; ".join(image["warnings"]),
            "kinds": image["motifs"],
            "result": result,
        }


def _time(mtime_ns: int) -> datetime.datetime | None:
    """Return a time, None where the calendar has no such year."""
    try:
        return _EPOCH + datetime.timedelta(microseconds=mtime_ns // 1000)
    except OverflowError:
        return None


def _counts(rows: Iterable[dict[str, Any]], names: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    for row in rows:
        held = {label: (count, confidence) for label, count, confidence in row["kinds"]}
        for label in sorted(held) if names is None else range(-1, len(names)):
            count, confidence = held.get(label, (0, None))
            yield {
                "micrograph": row["micrograph"],
                "key": row["key"],
                "motif": label,
                "count": count,
                "fraction": count / max(row["points"], 1),
                "confidence": confidence,
                **density(count, row["area_nm2"]),
            }


def _own_motifs(root: Path, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        found = read_details(root, row["key"], row["result"])
        averages = unpacked(found["averages"], found["average_side"])
        for label, count, confidence in row["kinds"]:
            yield {
                "micrograph": row["micrograph"],
                "key": row["key"],
                "motif": label,
                "name": None,
                "count": count,
                "micrographs": 1,
                "fraction": count / max(row["points"], 1),
                **density(count, row["area_nm2"]),
                "confidence": confidence,
                "average_side": found["average_side"] if label >= 0 else None,
                "average": averages[label].ravel() if label >= 0 else None,
            }


def _shared_motifs(root: Path, rows: list[dict[str, Any]], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the motifs of the dictionary with their mean patches, over micrographs of the commonest size."""
    n_motifs = len(names)
    areas = [row["area_nm2"] for row in rows]
    area = sum(areas) if rows and None not in areas else None
    total = sum(row["points"] for row in rows)
    sides = [read_details(root, row["key"], row["result"])["average_side"] for row in rows]
    side = max(sorted(set(sides)), key=sides.count, default=0)
    sums, members = np.zeros((n_motifs, side, side)), np.zeros(n_motifs)
    counts, seen = np.zeros(n_motifs + 1, np.int64), np.zeros(n_motifs + 1, np.int64)
    certain = np.zeros(n_motifs + 1)
    for row, own in zip(rows, sides, strict=True):
        found = read_details(root, row["key"], row["result"])
        averages = unpacked(found["averages"], own)
        for label, count, confidence in row["kinds"]:
            counts[label] += count
            seen[label] += count > 0
            certain[label] += count * (confidence or 0.0)
            if label >= 0 and own == side and averages[label].any():
                sums[label] += count * averages[label].astype(np.float64)
                members[label] += count
    for label in range(-1, n_motifs):
        known = label >= 0 and members[label] > 0
        yield {
            "micrograph": None,
            "key": None,
            "motif": label,
            "name": names[label] if label >= 0 else None,
            "count": int(counts[label]),
            "micrographs": int(seen[label]),
            "fraction": counts[label] / max(total, 1),
            **density(int(counts[label]), area),
            "confidence": certain[label] / counts[label] if counts[label] else None,
            "average_side": side if known else None,
            "average": (sums[label] / members[label]).ravel() if known else None,
        }


def _write_hierarchies(root: Path, rows: Sequence[dict[str, Any]], own_motifs: bool) -> list[str]:
    """Merge the hierarchies by hash; those of lattices that cannot be compared get files of their own.

    Returns the names of the files.
    """
    merged: dict[tuple[Any, ...], Hierarchy] = {}
    waiting: dict[tuple[Any, ...], list[Hierarchy]] = {}
    members: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        # What is said of a micrograph stands in its row of the table, and would be one of thousands here.
        text = read_details(root, row["key"], row["result"])["hierarchy"]
        one = replace(from_json(text), warnings=())
        kind = (*one.context, one.linking)
        members.setdefault(kind, []).append(row)
        waiting.setdefault(kind, []).append(one)
        if len(waiting[kind]) == _AT_ONCE:
            merged[kind] = merge_hierarchies([*_held(merged, kind), *waiting.pop(kind)])
    for kind, rest in waiting.items():
        merged[kind] = merge_hierarchies([*_held(merged, kind), *rest])
    order = sorted(merged, key=lambda kind: (-len(members[kind]), str(kind)))
    for path in [*root.glob("hierarchy*.json"), *root.glob("hierarchy*.graphml")]:
        path.unlink()
    written = []
    for number, kind in enumerate(order, 1):
        one = merged[kind]
        if own_motifs and one.micrographs > 1:
            one = replace(one, warnings=(*one.warnings, OWN_MOTIFS))
        suffix = f"-{number}" if number > 1 else ""
        for ending, text in ((".json", to_json(one)), (".graphml", to_graphml(one))):
            written.append(write_text(root / f"hierarchy{suffix}{ending}", text).name)
    occurrences = (row for kind in order for row in _occurrences(merged[kind], members[kind]))
    tables.write_rows(root / layout.OCCURRENCES, occurrences, tables.OCCURRENCES)
    return written


def _held(merged: Mapping[tuple[Any, ...], Hierarchy], kind: tuple[Any, ...]) -> list[Hierarchy]:
    return [merged[kind]] if kind in merged else []


def _occurrences(hierarchy: Hierarchy, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    found = hierarchy.occurrences
    for node, orientation, micrograph, (row, col) in zip(
        found.node.tolist(),
        found.orientation.tolist(),
        found.micrograph.tolist(),
        found.positions.tolist(),
        strict=True,
    ):
        cell = hierarchy.nodes[node]
        yield {
            "micrograph": rows[micrograph]["micrograph"],
            "key": rows[micrograph]["key"],
            "motif_cell": cell.key,
            "level": cell.level,
            "orientation": orientation,
            "row_px": row,
            "col_px": col,
        }
