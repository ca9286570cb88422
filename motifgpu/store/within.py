"""What keeps all that is read, written and removed for a run within its folder, whoever made the folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from motifgpu.core.errors import StageError
from motifgpu.store import layout

_FOLDERS = (
    *(layout.COLUMNS, layout.MOMENTS, layout.DETAILS, layout.FILES, layout.RESULTS),
    *(layout.SHARDS, layout.LOCKS),
)


def check_links(root: Path) -> None:
    """Refuse a folder of a run in which a link or a device stands where a file or a folder should.

    What is written or removed through a link would be so elsewhere, and a device may never end. The folder
    itself may be reached by links. Nothing there is no fault.

    Raises
    ------
    StageError
        It names the link.
    OSError
        If a folder cannot be listed.
    """
    for name in (*layout.ON_TOP, *_FOLDERS, layout.PAGES):
        check_plain(root / name)
    for name in _FOLDERS:
        if (root / name).is_dir():
            _check_entries(root / name)
    for folder, _, _ in os.walk(root / layout.PAGES):
        _check_entries(Path(folder))


def check_plain(path: Path) -> None:
    """Refuse a link or a device in place of a file or a folder of a run, if anything is there.

    Raises
    ------
    StageError
        It names the link.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise _leads_out(path)


def _check_entries(folder: Path) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                raise _leads_out(Path(entry.path))


def _leads_out(path: Path) -> StageError:
    return StageError(
        layout.STAGE,
        f"{path} is a link or a device and no file or folder of a run",
        "put what it leads to in its place, or choose another folder",
    )
