from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.format_samples import MICROSCOPE, PLAIN
from support.mutations import mutations

from motifgpu import Micrograph, MicrographReadError
from motifgpu.io.formats import guard
from motifgpu.io.micrograph import read_all, signals

LIMIT_S = 20.0


def _sample(name: str, folder: Path) -> bytes:
    if name in MICROSCOPE:
        pytest.importorskip("rsciio")
        pytest.importorskip("h5py")
    path = folder / name
    {**PLAIN, **MICROSCOPE}[name](path)
    return path.read_bytes()


def _check(path: Path, reader: Callable[[Path], list[Micrograph]], damage: str) -> bool:
    """Read a damaged file, and say whether it still held an image."""
    found, failure = [], None
    try:
        found = reader(path)
    except MicrographReadError as error:
        failure = error
    if failure is not None:
        assert failure.path == str(path)
        # A positive exit status is an exception that was not turned into this one.
        assert not re.search(r"exit status \d", failure.why), f"{damage}: {failure.why}"
        return False
    assert found, damage
    for micrograph in found:
        assert micrograph.image.ndim == 2, damage
        assert micrograph.image.size > 0, damage
        assert micrograph.image.dtype == np.float32, damage
        size = micrograph.pixel_size_nm
        assert size is None or 1e-4 <= size <= 1e6, damage
    return True


def _throw(name: str, folder: Path, count: int) -> tuple[int, int]:
    good = _sample(name, folder)
    path = folder / f"damaged{Path(name).suffix}"
    kept = 0
    # The same damage for the same sample, whatever else is tested.
    for damage, content in mutations(good, count, zlib.crc32(name.encode())):
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kept += _check(path, lambda path: read_all(path, time_limit_s=LIMIT_S), damage)
    return kept, count


@pytest.fixture(autouse=True, scope="module")
def _end_processes() -> Iterator[None]:
    yield
    guard.close()


@pytest.mark.parametrize("name", [*PLAIN, *MICROSCOPE])
def test_damaged_files_give_a_micrograph_or_one_kind_of_error(tmp_path: Path, name: str) -> None:
    kept, thrown = _throw(name, tmp_path, 20)
    assert kept < thrown


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PLAIN, *MICROSCOPE])
def test_many_more_damaged_files(tmp_path: Path, name: str) -> None:
    kept, thrown = _throw(name, tmp_path, 400)
    assert 0 < kept < thrown


@pytest.mark.parametrize("name", [*PLAIN, *MICROSCOPE])
@pytest.mark.parametrize("other", [".npy", ".npz", ".tif", ".png", ".jpg"])
def test_a_file_under_the_wrong_suffix(tmp_path: Path, name: str, other: str) -> None:
    good = _sample(name, tmp_path)
    path = tmp_path / f"wrong{other}"
    path.write_bytes(good)
    if not _check(path, read_all, other):
        with pytest.raises(MicrographReadError):
            signals(path)


# Reads the files it is given after a hook that notes everything a reader of images has no business doing.
_WATCHED = """
import json, os, sys
from pathlib import Path
from motifgpu import MicrographReadError
from motifgpu.io.micrograph import read_all

for path in sys.argv[2:4]:  # what is imported meanwhile is not the files' doing
    read_all(path, time_limit_s=None)
noted = []
events = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove", "os.rename", "subprocess.Popen",
          "pickle.find_class", "socket.connect", "shutil.rmtree")
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def watch(event, arguments):
    if event == "pickle.find_class" and arguments[0].startswith(("rsciio.", "dask.", "numpy")):
        return  # Dask copies its own tasks so
    if event in events or (event == "open" and isinstance(arguments[2], int) and arguments[2] & writing):
        noted.append((event, repr(arguments)))

sys.addaudithook(watch)
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_all(path, time_limit_s=None)
    except MicrographReadError:
        pass
print(json.dumps(noted[:20]))
"""


@pytest.mark.slow
def test_reading_runs_and_writes_nothing(tmp_path: Path) -> None:
    pytest.importorskip("rsciio")
    files = tmp_path / "files"
    files.mkdir()
    for name in (*PLAIN, *MICROSCOPE):
        good = _sample(name, files)
        # HDF5 can crash on damage, which its tests above meet in a process of their own.
        damages = 0 if name.endswith((".emd", ".hspy", ".nxs")) else 6
        for index, (_, content) in enumerate(mutations(good, damages, 1)):
            (files / f"{index}-{name}").write_bytes(content)

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.system, (f"touch {tmp_path / 'exploded'}",))

    np.save(files / "bomb.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez(files / "bomb.npz", image=np.array([Bomb()], dtype=object))
    import_first = [files / "one.dm3", files / "two.hspy"]
    watched = subprocess.run(
        [sys.executable, "-c", _WATCHED, files, *import_first], capture_output=True, text=True, check=True
    )
    assert json.loads(watched.stdout) == []
    assert not (tmp_path / "exploded").exists()
