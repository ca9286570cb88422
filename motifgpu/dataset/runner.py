"""`run`: thousands of micrographs, killed and resumed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.core.errors import StageError
from motifgpu.core.files import shown_path
from motifgpu.dataset.inputs import expand, share
from motifgpu.dataset.job import SECONDS, Job, check_motifs, load_dictionary, make_job, make_options
from motifgpu.dataset.pooled import MICROGRAPHS, learn_from_run, sampled
from motifgpu.dataset.results import Run
from motifgpu.dataset.session import Progress, open_session
from motifgpu.dataset.shards import Shard, shard_of
from motifgpu.dictionary import MotifDictionary
from motifgpu.store import layout

if TYPE_CHECKING:
    from distributed import Client

_SAMPLE = "sample.motif"  # folder, in that of the run, of the run that a dictionary is learned from


def run(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    client: Client | None = None,
    shard: tuple[int, int] | None = None,
    dictionary: str | os.PathLike[str] | MotifDictionary | None = None,
    pooled: bool = False,
    workers: int | None = None,
    retry: bool = False,
    verify: bool = False,
    signal: str | None = None,
    seconds: float = SECONDS,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Analyse many micrographs and keep what was found in one folder.

    A file that cannot be analysed is put on the quarantine list and does not stop the run. Every file is a
    row of the tables; its results are stored under a key of its content, the parameters and the version,
    which files of equal content share. A run that ended early, in any way, therefore continues with what is
    missing when it is called again. Everything in the folder has a checksum: calling a run again reads it
    and makes again what is damaged.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files; folders, in which files of known formats are found at any depth; patterns such as
        ``"scans/**/*.dm4"``.
    out : path-like
        Folder of the run, made if missing. A folder that holds a run with the same parameters is added to.
    client : distributed.Client, optional
        Workers of a Dask cluster that see the same files under the same paths, best of one thread each;
        processes of this machine by default.
    shard : (int, int), optional
        (i, n): analyse every n-th file from the i-th on, counted from 1. Several shards may run in one folder
        at once; `motifgpu.merge` makes the tables when all are done.
    dictionary : path-like or MotifDictionary, optional
        Label all micrographs with its motifs, so that they mean the same in all of them and in other runs. By
        default every micrograph has motifs of its own.
    pooled : bool
        Learn such a dictionary first, from 64 micrographs evenly spaced in the sorted list of files, and save
        it in the folder as ``dictionary.npz``.
    workers : int, optional
        Processes of this machine; 1 works in this process. By default as many as there are processors, or as
        GPUs where those compute; each then has a GPU of its own.
    retry : bool
        Try again the files that are in quarantine.
    verify : bool
        Read all files again to see whether their content changed. Otherwise that is seen from size, times and
        inode.
    signal : str, optional
        Which image, where a file holds several; all of them by default.
    seconds : float
        Longest time that reading a file may take.
    progress : callable, optional
        Called as ``progress(text, fraction)``.
    **options
        Those of `motifgpu.analyze`.

    Returns
    -------
    Run

    Raises
    ------
    StageError
        If a path means no file, an option is none, the folder holds a run with other parameters, another
        process works in it, the input folder was removed, or results cannot be written. What was finished
        before is kept.
    OSError
        If the folder cannot be made or written.
    RunInterrupted
        After Ctrl-C; the same call continues the run.

    Examples
    --------
    Two micrographs, and a file that is not a micrograph:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for seed in (0, 1):
    ...         made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0, seed=seed)
    ...         np.save(Path(folder) / f"scan{seed}.npy", made.image)
    ...     _ = (Path(folder) / "notes.npy").write_text("no image")
    ...     run = motifgpu.run(folder, Path(folder) / "out", workers=1, structure=False)
    ...     run.micrographs["title"].to_pylist()
    ...     run.micrographs["motifs"].to_pylist()
    ...     [Path(entry["path"]).name for entry in run.quarantine]
    ['scan0', 'scan1']
    [2, 2]
    ['notes.npy']
    """
    root = Path(out)
    given = expand(paths, root)
    files = share(given.files, shard)
    chosen = make_options(options)
    for folder in given.left_out:
        if progress:
            progress(f"{shown_path(folder)} is left out: it holds results of motifgpu", 0.0)
    if pooled:
        _check_pooled(root, dictionary, shard)
        check_motifs(chosen)
        dictionary = own = root / layout.DICTIONARY
        if not _is_dictionary(own):
            sample = root / _SAMPLE
            job = make_job(sample, replace(chosen, structure=False), signal, seconds)
            part = sampled(given.files, MICROGRAPHS, chosen.seed)
            _analyze(part, job, client=client, workers=workers, progress=_of_sample(progress))
            learn_from_run(Run(sample), chosen.seed).save(own)
    motifs = load_dictionary(dictionary, chosen)
    job = make_job(root, chosen, signal, seconds, motifs)
    _analyze(
        files,
        job,
        client=client,
        workers=workers,
        progress=progress,
        shard=None if shard is None else shard_of(shard, given.files),
        retry=retry,
        verify=verify,
        left_out=given.left_out,
        dictionary=motifs,
    )
    return Run(root)


def _analyze(
    files: Sequence[str],
    job: Job,
    *,
    client: Client | None,
    workers: int | None,
    progress: Progress | None,
    shard: Shard | None = None,
    retry: bool = False,
    verify: bool = False,
    left_out: Sequence[str] = (),
    dictionary: MotifDictionary | None = None,
) -> None:
    """Work in the folder of a job until all files are done."""
    with open_session(
        job, client=client, workers=workers, shard=shard, progress=progress, dictionary=dictionary
    ) as session:
        session.leave_out(left_out)
        session.work(files, retry=retry, verify=verify)
        if shard is None:
            session.finish()
        else:
            session.leave(shard)


def _is_dictionary(path: Path) -> bool:
    """Say whether a dictionary is there and not damaged, so that it need not be learned again."""
    try:
        MotifDictionary.load(path)
    except (FileNotFoundError, StageError):
        return False
    return True


def _of_sample(progress: Progress | None) -> Progress | None:
    """Return a callable that says of what the progress is."""
    if progress is None:
        return None
    return lambda text, fraction: progress(f"sample for the dictionary: {text}", fraction)


def _check_pooled(root: Path, dictionary: object, shard: tuple[int, int] | None) -> None:
    if dictionary is not None:
        raise StageError("run", "pooled is True and there is a dictionary", "leave one of them out")
    if shard is not None and not _is_dictionary(root / layout.DICTIONARY):
        raise StageError(
            "run",
            f"shards cannot learn a dictionary together, and {root / layout.DICTIONARY} is not there",
            "learn one first with motifgpu dictionary learn, and give it to all shards",
        )
