"""`check`: whether everything in the folder of a run is as it was written, and made again where it is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from motifgpu.core.errors import StageError
from motifgpu.core.files import shown_path
from motifgpu.dataset.job import job_of
from motifgpu.dataset.migration import migrate
from motifgpu.dataset.records import Records
from motifgpu.dataset.session import Progress, open_session
from motifgpu.store import layout
from motifgpu.store.entries import DONE, entry_name, read_entries, read_result, read_results, result_damage
from motifgpu.store.lock import kept_still
from motifgpu.store.sealed import seal_damage
from motifgpu.store.within import check_links


@dataclass(frozen=True)
class Check:
    """What `check` found.

    Attributes
    ----------
    damage : tuple of str
        What is missing or not as it was written, a sentence each.
    repaired : tuple of str
        What of it was made again.
    """

    damage: tuple[str, ...]
    repaired: tuple[str, ...] = ()

    @property
    def lost(self) -> tuple[str, ...]:
        """What of the damage is still there."""
        return tuple(one for one in self.damage if one not in self.repaired)


def check(
    out: str | os.PathLike[str],
    *,
    repair: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Check:
    """Read everything in the folder of a run and hold it against its checksums.

    Parameters
    ----------
    out : path-like
        Folder of the run. Without `repair` nothing is written there.
    repair : bool
        Make again what is damaged or missing. Results are made from the input files, where they are still
        there with the same content; tables from the results.
    workers, progress
        As in `motifgpu.run`.

    Returns
    -------
    Check

    Raises
    ------
    StageError
        If the folder holds no run, another process works there, or what is damaged can only be made again by
        the command that began the run; the message says so.
    OSError
        If the folder cannot be read, or written where it is repaired.

    Examples
    --------
    A file of the run is lost, and made again from the micrograph:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "scan.npy", made.image)
    ...     run = motifgpu.run(folder, Path(folder) / "out", workers=1, structure=False)
    ...     next((run.path / "details").iterdir()).unlink()
    ...     found = motifgpu.check(run.path)
    ...     mended = motifgpu.check(run.path, repair=True, workers=1)
    ...     again = motifgpu.check(run.path)
    >>> len(found.damage), len(mended.lost), len(again.damage)
    (1, 0, 0)
    """
    root = Path(out)
    check_links(root)
    if repair:
        migrate(root)
    with kept_still(root):
        before = tuple(_damage(root))
    if not (repair and before):
        return Check(before)
    about = layout.read_run(root)
    records = Records(root)
    with open_session(job_of(root, about), workers=workers, progress=progress) as session:
        session.work([entry.path for entry, _ in records.damaged() if os.path.exists(entry.path)])
        if about["state"] == "complete":
            session.finish()
        else:
            session.stop(about["state"])
    if (root / layout.REPORT).exists() and seal_damage(root / layout.REPORT):
        from motifgpu.dataset.results import Run

        Run(root).report()
    after = set(_damage(root))
    return Check(before, tuple(one for one in before if one not in after))


def _damage(root: Path) -> Iterator[str]:
    """Yield what is wrong in the folder of a run, a sentence each."""
    about = layout.read_run(root)
    if about["schema"] in layout.OLDER:
        raise StageError(
            "check", f"{root} is of an older version, which kept no checksums", "open it, or give --repair"
        )
    for name in (layout.RUN, layout.RUN_COPY):
        there = None
        with suppress(StageError):
            there = layout.read_json(root / name)
        if there != about:
            yield f"{name} is damaged or missing"
    yield from layout.damage(root, about["tables"])
    yield from layout.damage(root, {f"{layout.MOMENTS}/zarr.json": layout.checksum(layout.group_text())})
    for name in layout.SEALED:
        if (root / name).exists() and (wrong := seal_damage(root / name)):
            yield f"{name} {wrong}"
    entries, damaged = read_entries(root)
    yield from (f"{layout.FILES}/{path.name} is damaged" for path in damaged)
    paths, keys = ({getattr(entry, name) for entry in entries} for name in ("path", "key"))
    for result in read_results(root):
        if result.path not in paths:
            yield f"{layout.FILES}/{entry_name(result.path)}.json is missing ({shown_path(result.path)})"
    for path in sorted((root / layout.RESULTS).glob("*.json")):
        if path.stem not in keys:
            yield from result_damage(root, path.stem)
    recorded = 0
    for entry in entries:
        with suppress(StageError):
            recorded += len(read_result(root, entry.key).images) if entry.status == DONE else 0
    if (missing := about["found"].get("micrographs", 0) - recorded) > 0:
        yield f"the records of {missing:,} micrographs are damaged or missing"
    records = Records(root, whole=False)
    for entry in entries:
        yield from (f"{wrong} ({shown_path(entry.path)})" for wrong in records.damage(entry))
