"""One run at a time in a folder: locks that the system takes back however their process ends."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from motifgpu.core.errors import StageError
from motifgpu.store.layout import LOCKS

_WHOLE = "run"  # the lock of the whole folder

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[str], shared: bool) -> None:
        if not shared:  # Windows has no shared kind; shards have locks of their own
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file: IO[str], shared: bool) -> None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


@contextmanager
def locked(out: Path, shard: tuple[int, int] | None = None) -> Iterator[None]:
    """Keep others from running in a folder meanwhile: all others, or for a shard all but other shards.

    A process that is killed leaves nothing behind that has to be cleared: the lock is the system's, and the
    file only says whose it is.

    Parameters
    ----------
    out : Path
        Folder of the run, which exists.
    shard : (int, int), optional
        i and n.

    Raises
    ------
    StageError
        If another process runs there.
    OSError
        If the folder cannot be written.
    """
    folder = out / LOCKS
    folder.mkdir(exist_ok=True)
    with ExitStack() as held:
        _lock(held.enter_context(_opened(folder / _WHOLE, "a+")), out, shared=shard is not None)
        if shard is not None:
            name = f"shard-{shard[0]}-of-{shard[1]}"
            _lock(held.enter_context(_opened(folder / name, "a+")), out, shared=False)
        yield


@contextmanager
def kept_still(folder: Path) -> Iterator[None]:
    """Keep others from working in a folder that is only read, and may be read-only.

    Raises
    ------
    StageError
        If another process works there.
    """
    with ExitStack() as held:
        try:
            file = held.enter_context(_opened(folder / LOCKS / _WHOLE, "r"))
        except OSError:  # nobody has worked there, or nobody can
            yield
            return
        try:
            _take(file, shared=False)
        except (BlockingIOError, PermissionError) as error:
            raise _busy(file, folder) from error
        except OSError:  # NFS locks no file for itself that is open for reading alone
            pass
        yield


def _opened(path: Path, mode: str) -> IO[str]:
    return open(path, mode, encoding="utf-8", errors="replace")


def _lock(file: IO[str], out: Path, *, shared: bool) -> None:
    try:
        _take(file, shared)
    except (BlockingIOError, PermissionError) as error:
        raise _busy(file, out) from error
    except OSError as error:  # a file system without locks
        raise StageError(
            "run",
            f"{file.name} cannot be locked ({error.strerror})",
            "put the folder on a file system with locks (for Lustre, one mounted with -o flock)",
        ) from error
    if not shared:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()


def _busy(file: IO[str], out: Path) -> StageError:
    file.seek(0)
    holder = file.read().strip() or "another process"
    return StageError(
        "run", f"{holder} is working in {out}", "wait until it is done, or choose another folder"
    )
