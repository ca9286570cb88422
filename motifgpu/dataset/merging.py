"""`merge`: what shards or several runs have found, put together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from motifgpu.core.errors import StageError
from motifgpu.core.files import hidden_beside, replacing
from motifgpu.dataset import manifest
from motifgpu.dataset.lock import locked
from motifgpu.dataset.records import sweep
from motifgpu.dataset.results import Run
from motifgpu.store import layout
from motifgpu.store.read import read_records
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
        If a folder holds no run, parameters differ, or another process works in one of them.
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
    for one in runs[1:]:
        manifest.check_same(sources[0], runs[0].about, one.about["parameters"])
    out.mkdir(parents=True, exist_ok=True)
    check_links(out)
    with ExitStack() as held:
        for folder in {path.resolve(): path for path in [*sources, out]}.values():
            held.enter_context(locked(folder))
        if (out / layout.RUN).exists():
            manifest.check_same(out, Run(out).about, runs[0].about["parameters"])
            sweep(out)
        layout.make_folders(out)
        for source in sources:
            if source.resolve() != out.resolve():
                _copy(source, out)
        if not (out / layout.DICTIONARY).exists() and (sources[0] / layout.DICTIONARY).exists():
            _copy_file(sources[0] / layout.DICTIONARY, out / layout.DICTIONARY)
        about = runs[0].about
        if (out / layout.RUN).exists():
            about = about | Run(out).about
        layout.write_json(out / layout.RUN, about | {"state": "running"})
        found = {**manifest.make_tables(out), "quarantined": manifest.write_quarantine(out)}
        layout.write_json(out / layout.RUN, about | {"state": "complete", "found": found})
    return Run(out)


def _copy(source: Path, out: Path) -> None:
    """Copy results, each file's record last."""
    for record in read_records(source):
        if (out / layout.FILES / f"{record['key']}.json").exists():
            continue
        for image in record["micrographs"]:
            name = image["micrograph"]
            for part in (f"{layout.COLUMNS}/{name}.parquet", f"{layout.DETAILS}/{name}.json"):
                _copy_file(source / part, out / part)
            if not (out / layout.MOMENTS / name).exists():
                temporary = hidden_beside(out / layout.MOMENTS / name)
                shutil.copytree(source / layout.MOMENTS / name, temporary, symlinks=True)
                temporary.rename(out / layout.MOMENTS / name)
        part = f"{layout.FILES}/{record['key']}.json"
        _copy_file(source / part, out / part)


def _copy_file(source: Path, target: Path) -> None:
    with open(source, "rb") as found, replacing(target) as file:
        shutil.copyfileobj(found, file)
