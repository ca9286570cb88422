"""`merge`: what shards or several runs have found, put together."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from motifgpu.core.errors import StageError
from motifgpu.core.files import hidden_beside, replacing
from motifgpu.dataset import manifest
from motifgpu.dataset.records import Records, clear_leftovers
from motifgpu.dataset.results import Run
from motifgpu.dataset.shards import check_shards, forget_shards, has_shards
from motifgpu.dataset.tasks import facts_of_state
from motifgpu.store import layout
from motifgpu.store.arrays import put_in_place
from motifgpu.store.entries import (
    UNREAD,
    Entry,
    columns_place,
    details_place,
    entry_name,
    is_whole,
    moments_places,
    read_entries,
    read_entry,
    read_result,
    read_results,
    write_entry,
    write_result,
)
from motifgpu.store.lock import kept_still, locked
from motifgpu.store.within import check_links


def merge(
    stores: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
) -> Run:
    """Make the tables of a run from the results of its shards, or of several runs.

    Parameters
    ----------
    stores : path-like or iterable of path-like
        Folder of a run, or several with the same parameters.
    out : path-like, optional
        Folder of the merged run; required for several, may be one of them.

    Returns
    -------
    Run

    Raises
    ------
    StageError
        If a folder holds no run or one that is not complete, a shard is missing, parameters or versions
        differ, or another process works in one of them.
    OSError
        If the folder cannot be written.

    Examples
    --------
    Two shards of a run, which may be two jobs of a cluster, and then their tables:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for seed in (0, 1):
    ...         made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0, seed=seed)
    ...         np.save(Path(folder) / f"scan{seed}.npy", made.image)
    ...     out = Path(folder) / "out"
    ...     for shard in ((1, 2), (2, 2)):
    ...         _ = motifgpu.run(folder, out, shard=shard, workers=1, structure=False)
    ...     motifgpu.merge(out).micrographs.num_rows
    2
    """
    sources = [Path(stores)] if isinstance(stores, (str, os.PathLike)) else [Path(store) for store in stores]
    if not sources:
        raise StageError("merge", "there are no runs", "give at least one folder")
    if out is None and len(sources) > 1:
        raise StageError(
            "merge", f"there are {len(sources)} runs and no folder", "give the folder to write to"
        )
    return _merge_into(sources, sources[0] if out is None else Path(out))


def _merge_into(sources: list[Path], out: Path) -> Run:
    """Copy the results of `sources` into `out` where they are not there yet, and make its tables."""
    runs = [Run(source) for source in sources]
    for one in runs:
        manifest.check_same(one.path, one.about, runs[0].about["parameters"])
    out.mkdir(parents=True, exist_ok=True)
    check_links(out)
    if (before := _about_of(out)) is not None:
        manifest.check_same(out, before, runs[0].about["parameters"])
    others = {path.resolve(): path for path in sources if path.resolve() != out.resolve()}
    with ExitStack() as held:
        held.enter_context(locked(out))
        for folder in others.values():
            held.enter_context(kept_still(folder))
        if before is not None:
            clear_leftovers(out)
        for one in runs:
            _check_done(one)
        check_shards(sources)
        about = _about([*(one.about for one in runs), *filter(None, [before])])
        layout.make_folders(out)
        layout.write_run(out, about)
        for folder in others.values():
            _copy(folder, out)
        for one in runs if about["parameters"]["dictionary"] else ():
            expected = {layout.DICTIONARY: one.about["tables"].get(layout.DICTIONARY, "")}
            if layout.damage(out, expected) and not layout.damage(one.path, expected):
                _copy_file(one.path / layout.DICTIONARY, out / layout.DICTIONARY)
            about["tables"] |= expected
        layout.write_run(out, about)
        records = Records(out)
        records.tidy()
        records.damaged()
        manifest.make_tables(out, records)
        manifest.end(out, "complete", about["last_call"], records)
        forget_shards(out)
    return Run(out)


def _check_done(run: Run) -> None:
    """Refuse a run that was not done, of which nobody knows what is missing, or whose run.json changed."""
    layout.read_json(run.path / layout.RUN)  # the copy would say what it was, and here that decides
    if run.about["state"] not in ("complete", "sharded", "merging") and not has_shards(run.path):
        raise StageError(
            "merge",
            f"{run.path} is not complete: it was {run.about['state']} when it ended",
            "run the same command again first",
        )


def _about_of(out: Path) -> dict[str, Any] | None:
    """Return what run.json says where the merged run goes, None where nothing can be read of one."""
    try:
        return Run(out).about if layout.holds_run(out) else None
    except layout.RunDamagedError:
        return None


def _about(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is said of a merged run, the same for any order of the runs."""
    return {
        **{name: told[0][name] for name in ("schema", "written_by", "parameters")},
        "versions": min((about["versions"] for about in told), key=json.dumps),
        "host": min(about["host"] for about in told),
        "begun": min(about["begun"] for about in told),
        "found": {},
        "tables": {},
        "last_call": {"files": 0, "points": 0, "seconds": 0.0, "peak_bytes": 0},  # that a merge analyses
        "state": "merging",
    }


def _copy(source: Path, out: Path) -> None:
    """Copy results that are whole, the record of each content and of each file last."""
    entries, _ = read_entries(source)
    known = {entry.path: entry for entry in entries}
    for result in read_results(source):
        if result.path not in known:  # whose record is damaged
            known[result.path] = result.entry()
    for entry in known.values():
        there = _there(out, entry.path)
        if there is not None and _rank(there) >= _rank(entry):
            continue
        if entry.key:
            _copy_result(source, out, entry)
        write_entry(out, entry)


def _there(out: Path, path: str) -> Entry | None:
    try:
        return read_entry(out / layout.FILES / f"{entry_name(path)}.json")
    except StageError:
        return None


def _rank(entry: Entry) -> tuple[Any, ...]:
    """Order the records of one file in several runs; that of what it is now, or was last, is the greatest."""
    facts = entry.facts
    try:
        state = facts_of_state(os.stat(entry.path))
        current = all(facts.get(name) == value for name, value in state.items())
    except OSError:
        current = False
    order = [facts.get(name) or 0 for name in ("mtime_ns", "ctime_ns", "inode")]
    return entry.status != UNREAD, current, *order, facts.get("sha256") or "", entry.key, entry.reason


def _copy_result(source: Path, out: Path, entry: Entry) -> None:
    """Copy what a file gave; of what is damaged there nothing, so that `Records` says that it is missing."""
    if not is_whole(source, entry.key) or layout.damage(source, entry.columns):
        return
    found = read_result(source, entry.key)
    keys = [image["key"] for image in found.images]
    places = [columns_place(key, path) for key in keys for path in {entry.path, found.path}]
    if is_whole(out, entry.key):
        keys = []  # of which the columns under the name of this file are missing at most
    for place in [*places, *map(details_place, keys)]:
        _copy_file(source / place, out / place)
    for key in keys:
        temporary = hidden_beside(out / layout.MOMENTS / key)
        for place in moments_places(key):
            copied = temporary / Path(place).relative_to(f"{layout.MOMENTS}/{key}")
            copied.parent.mkdir(parents=True, exist_ok=True)
            _copy_file(source / place, copied)
        put_in_place(temporary, out / layout.MOMENTS / key)
    if not is_whole(out, entry.key):
        write_result(out, found)


def _copy_file(source: Path, target: Path) -> None:
    with open(source, "rb") as found, replacing(target) as file:
        shutil.copyfileobj(found, file)
