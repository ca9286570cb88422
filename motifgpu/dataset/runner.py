"""`run`: thousands of micrographs, killed and resumed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.core.errors import StageError
from motifgpu.dataset.inputs import expand, share
from motifgpu.dataset.job import SECONDS, Job, make_options
from motifgpu.dataset.pooled import learned
from motifgpu.dataset.results import Run
from motifgpu.dataset.session import Progress, opened
from motifgpu.dictionary import MotifDictionary
from motifgpu.options import Options
from motifgpu.store import layout

if TYPE_CHECKING:
    from distributed import Client


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
    signal: str | None = None,
    seconds: float = SECONDS,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Analyse many micrographs and keep what was found in one folder.

    A file that cannot be analysed is put on the quarantine list and does not stop the run. Results are stored
    under a key of the content of the file, the parameters and the version. A run that ended early, in any
    way, therefore continues with what is missing when it is called again, and calling it again when all is
    done takes little time.

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
    everything = expand(paths, root)
    files = share(everything, shard)
    chosen = make_options(options)
    if pooled:
        _check_pooled(root, dictionary, shard)

        def tell(text: str, fraction: float) -> None:
            if progress:
                progress(f"sample for the dictionary: {text}", fraction)

        def sample(part: list[str], folder: Path) -> Run:
            return run(
                part,
                folder,
                client=client,
                workers=workers,
                signal=signal,
                seconds=seconds,
                progress=tell,
                **{**options, "structure": False},
            )

        dictionary = learned(everything, root, sample, chosen.seed)
    motifs = _loaded(dictionary, chosen)
    job = Job(str(root.absolute()), chosen, signal, seconds, motifs.digest if motifs else None)
    with opened(
        job, client=client, workers=workers, shard=shard, progress=progress, dictionary=motifs
    ) as campaign:
        campaign.work(files, retry)
        if shard is None:
            campaign.finish()
        else:
            campaign.leave()
    return Run(root)


def _check_pooled(root: Path, dictionary: object, shard: tuple[int, int] | None) -> None:
    if dictionary is not None:
        raise StageError("run", "pooled is True and there is a dictionary", "leave one of them out")
    if shard is not None and not (root / layout.DICTIONARY).exists():
        raise StageError(
            "run",
            f"shards cannot learn a dictionary together, and {root / layout.DICTIONARY} is not there",
            "learn one first with motifgpu dictionary learn, and give it to all shards",
        )


def _loaded(
    dictionary: str | os.PathLike[str] | MotifDictionary | None, options: Options
) -> MotifDictionary | None:
    if dictionary is not None and options.n_motifs is not None:
        raise StageError(
            "run", f"n_motifs is {options.n_motifs}", "leave it out: the dictionary has its own motifs"
        )
    if dictionary is None or isinstance(dictionary, MotifDictionary):
        return dictionary
    return MotifDictionary.load(dictionary)


def watch(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    settle: float = 5.0,
    every: float = 1.0,
    stop: Callable[[], bool] | None = None,
    updated: Callable[[Run], None] | None = None,
    dictionary: str | os.PathLike[str] | MotifDictionary | None = None,
    workers: int | None = None,
    signal: str | None = None,
    seconds: float = SECONDS,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Analyse the files that a microscope writes as they appear, until Ctrl-C.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Folders or patterns, which need not match a file yet.
    out : path-like
        Folder of the run.
    settle : float
        Seconds for which a file must not have changed, so that files being written are not read.
    every : float
        Seconds between two searches for files.
    stop : callable, optional
        Ends the watch when it returns True.
    updated : callable, optional
        Called with the run whenever micrographs were added and its tables are made, for instance to renew a
        report.
    dictionary, workers, signal, seconds, progress, **options
        As in `run`.

    Returns
    -------
    Run

    Raises
    ------
    StageError, OSError
        As in `run`, but files and folders need not exist yet.

    Examples
    --------
    Analyse the files of a folder as they appear, until something was analysed:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
    >>> runs = []
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "scan.npy", made.image)
    ...     run = motifgpu.watch(
    ...         folder,
    ...         Path(folder) / "out",
    ...         settle=0.0,
    ...         every=0.01,
    ...         updated=runs.append,
    ...         stop=lambda: len(runs) > 0,
    ...         workers=1,
    ...         structure=False,
    ...     )
    ...     run.micrographs["title"].to_pylist()
    ['scan']
    """
    root = Path(out)
    chosen = make_options(options)
    motifs = _loaded(dictionary, chosen)
    digest = motifs.digest if motifs else None
    job = Job(str(root.absolute()), chosen, signal, seconds, digest)
    with opened(
        job, client=None, workers=workers, shard=None, progress=progress, dictionary=motifs
    ) as campaign:
        seen: dict[str, tuple[tuple[int, int], float, bool]] = {}  # state of a file, since when, and if done
        with suppress(KeyboardInterrupt):
            while not (stop and stop()):
                ready = _ready(expand(paths, root, there=False), seen, settle)
                if ready:
                    campaign.work(ready)
                    campaign.finish()
                    if updated:
                        updated(Run(root))
                time.sleep(every)
        campaign.finish()
    return Run(root)


def _ready(
    files: Iterable[str], seen: dict[str, tuple[tuple[int, int], float, bool]], settle: float
) -> list[str]:
    """Return the files that have not changed for a while and were not returned as they are."""
    now, ready = time.monotonic(), []
    for path in files:
        try:
            found = os.stat(path)
        except OSError:
            continue
        state = (found.st_size, found.st_mtime_ns)
        before, since, done = seen.get(path, (None, now, False))
        if before != state:
            since, done = now, False
        # What was written long ago, by the file's own clock, need not be waited for.
        quiet = max(now - since, min(time.time() - found.st_mtime, settle) if before is None else 0.0)
        if not done and quiet >= settle:
            ready.append(path)
            done = True
        seen[path] = state, since, done
    return ready


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
    from motifgpu.dataset.merging import merge_into

    sources = [Path(stores)] if isinstance(stores, (str, os.PathLike)) else [Path(store) for store in stores]
    if not sources:
        raise StageError("merge", "there are no runs", "give at least one folder")
    if out is None and len(sources) > 1:
        raise StageError("merge", f"there are {len(sources)} runs and no folder", "say where they go")
    return merge_into(sources, sources[0] if out is None else Path(out))
