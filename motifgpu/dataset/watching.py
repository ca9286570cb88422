"""`watch`: micrographs analysed as a microscope writes them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from motifgpu.dataset.inputs import expand
from motifgpu.dataset.job import SECONDS, load_dictionary, make_job, make_options
from motifgpu.dataset.results import Run
from motifgpu.dataset.session import Progress, open_session
from motifgpu.dataset.tasks import facts_of_state
from motifgpu.dictionary import MotifDictionary


class _Seen(NamedTuple):
    """A file when it was last examined.

    Attributes
    ----------
    state : dict
        Size, times and inode.
    since : float
        When it was first seen so.
    done : bool
        Whether it was returned so.
    """

    state: dict[str, Any]
    since: float
    done: bool


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
    motifs = load_dictionary(dictionary, chosen)
    job = make_job(root, chosen, signal, seconds, motifs)
    with open_session(job, workers=workers, progress=progress, dictionary=motifs, may_go=True) as session:
        seen: dict[str, _Seen] = {}
        with suppress(KeyboardInterrupt):
            while not (stop and stop()):
                given = expand(paths, root, there=False)
                session.leave_out(given.left_out)
                ready = _ready(given.files, seen, settle)
                if ready:
                    for path in session.work(ready):
                        del seen[path]  # its folder was removed; it may come back
                    session.finish()
                    if updated:
                        updated(Run(root))
                time.sleep(every)
        session.finish()
    return Run(root)


def _ready(files: Iterable[str], seen: dict[str, _Seen], settle: float) -> list[str]:
    """Return the files that have not changed for a while and were not returned as they are."""
    now, ready = time.monotonic(), []
    for path in files:
        try:
            found = os.stat(path)
        except OSError:
            continue
        state = facts_of_state(found)
        before = seen.get(path)
        since, done = (before.since, before.done) if before and before.state == state else (now, False)
        # What was written long ago, by the file's own clock, need not be waited for.
        quiet = max(now - since, min(time.time() - found.st_mtime, settle) if before is None else 0.0)
        if not done and quiet >= settle:
            ready.append(path)
            done = True
        seen[path] = _Seen(state, since, done)
    return ready
