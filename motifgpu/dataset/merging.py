"""Putting together what shards or several runs have found."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from motifgpu.core.files import replacing
from motifgpu.dataset import manifest
from motifgpu.dataset.lock import locked
from motifgpu.dataset.records import stored, sweep
from motifgpu.dataset.results import Run
from motifgpu.store import layout
from motifgpu.store.assemble import assemble


def merge_into(sources: list[Path], out: Path) -> Run:
    """Copy the results of `sources` into `out` where they are not there yet, and make its tables."""
    runs = [Run(source) for source in sources]
    for one in runs[1:]:
        manifest.check_same(sources[0], runs[0].about, one.about["parameters"])
    out.mkdir(parents=True, exist_ok=True)
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
        about = {**runs[0].about, **(Run(out).about if (out / layout.RUN).exists() else {})}
        layout.write_json(out / layout.RUN, about | {"state": "running"})
        quarantined = manifest.write_quarantine(out)
        found = assemble(out, stored(out), manifest.shared_motifs(out)) | {"quarantined": quarantined}
        layout.write_json(out / layout.RUN, about | {"state": "complete", "found": found})
    return Run(out)


def _copy(source: Path, out: Path) -> None:
    """Copy results, each file's record last."""
    for record in stored(source):
        if (out / layout.FILES / f"{record['key']}.json").exists():
            continue
        for image in record["micrographs"]:
            name = image["micrograph"]
            for part in (f"{layout.COLUMNS}/{name}.parquet", f"{layout.DETAILS}/{name}.json"):
                _copy_file(source / part, out / part)
            if not (out / layout.MOMENTS / name).exists():
                temporary = out / layout.MOMENTS / f".{name}.part"
                shutil.copytree(source / layout.MOMENTS / name, temporary, dirs_exist_ok=True)
                temporary.rename(out / layout.MOMENTS / name)
        part = f"{layout.FILES}/{record['key']}.json"
        _copy_file(source / part, out / part)


def _copy_file(source: Path, target: Path) -> None:
    with open(source, "rb") as found, replacing(target) as file:
        shutil.copyfileobj(found, file)
