from __future__ import annotations

import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support import file_writers as writers

from motifgpu import MicrographReadError, StageError, read
from motifgpu.io.formats import guard
from motifgpu.io.formats.guard import read_guarded

PICTURE = np.random.default_rng(0).random((40, 50)).astype(np.float32)


@pytest.fixture(autouse=True)
def _start_with_one_process_at_most() -> None:
    while len(guard._idle) > 1:
        guard._idle.pop().end()


@pytest.fixture(autouse=True, scope="module")
def _start_and_end_without_processes() -> Iterator[None]:
    guard.close()
    yield
    guard.close()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.npz"
    np.savez(path, image=PICTURE, pixel_size_nm=0.02)
    return path


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Return a DM3 file with an array of 2**31 - 1 empty structures, which its reader makes one by one."""
    pytest.importorskip("rsciio")
    path = tmp_path / "endless.dm3"
    array = struct.pack(">6i", 5, 20, 15, 0, 0, 2**31 - 1)
    tag = struct.pack(">bh", 21, 1) + b"a" + b"%%%%" + array
    path.write_bytes(struct.pack(">3i", 3, 64, 1) + b"\1\0" + struct.pack(">i", 1) + tag)
    return path


def test_micrographs_come_through_whole(good: Path, tmp_path: Path) -> None:
    (found,) = read_guarded(good)
    np.testing.assert_array_equal(found.image, PICTURE)
    assert (found.pixel_size_nm, found.title, found.source) == (0.02, "image", str(good))
    stack = np.stack([PICTURE, -PICTURE, np.full_like(PICTURE, np.nan)])
    np.save(tmp_path / "stack.npy", stack)
    found_all = read_guarded(tmp_path / "stack.npy")
    np.testing.assert_array_equal([micrograph.image for micrograph in found_all], stack)
    (chosen,) = read_guarded(tmp_path / "stack.npy", "1")
    np.testing.assert_array_equal(chosen.image, -PICTURE)
    assert len(guard._idle) == 1


def test_errors_come_through(good: Path, tmp_path: Path) -> None:
    with pytest.raises(MicrographReadError, match="has no image 'eels'; there is: 'image'") as caught:
        read_guarded(good, "eels")
    assert caught.value.path == str(good)
    with pytest.raises(MicrographReadError, match="no such file"):
        read_guarded(tmp_path / "missing.npy")
    with pytest.raises(StageError, match="time limit is 0 s"):
        read_guarded(good, seconds=0)
    with pytest.raises(StageError, match="time limit is nan s"):
        read_guarded(good, seconds=float("nan"))


def test_a_hang_ends_at_its_time_limit(good: Path, endless: Path) -> None:
    read_guarded(good)  # so that the time is not that of starting
    begun = time.monotonic()
    with pytest.raises(MicrographReadError, match=r"took more than 0\.6 s; the file is damaged or too large"):
        read(endless, time_limit_s=0.6)
    assert 0.6 <= time.monotonic() - begun < 10
    assert not guard._idle
    assert read_guarded(good)[0].pixel_size_nm == 0.02


def test_starting_and_imports_do_not_count(tmp_path: Path) -> None:
    pytest.importorskip("rsciio")
    writers.write_dm(tmp_path / "a.dm3", {"ADF": PICTURE})
    guard.close()
    begun = time.monotonic()
    read_guarded(tmp_path / "a.dm3")
    with_imports = time.monotonic() - begun
    guard.close()
    (found,) = read_guarded(tmp_path / "a.dm3", seconds=with_imports / 2)
    np.testing.assert_array_equal(found.image, PICTURE)


def test_memory_is_limited(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resource")
    large = tmp_path / "large.npz"
    np.savez_compressed(large, image=np.zeros((4096, 4096), np.uint8))  # 64 MiB as float32
    read_guarded(good)  # so that all is imported
    monkeypatch.setattr(guard, "MEMORY", 40 * 2**20)
    with pytest.raises(MicrographReadError, match="needs more than the 41 MiB that it may use"):
        read_guarded(large)
    assert read_guarded(good)[0].shape == PICTURE.shape
    monkeypatch.undo()
    assert read_guarded(large)[0].shape == (4096, 4096)


def test_a_process_that_died_is_replaced(good: Path) -> None:
    read_guarded(good)
    (process,) = guard._idle
    process._process.kill()
    process._process.wait()
    np.testing.assert_array_equal(read_guarded(good)[0].image, PICTURE)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a command that ends at once")
def test_a_process_that_cannot_live(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard.close()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MicrographReadError, match=r"its reader died \(exit status 1\)"):
        read_guarded(good)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(MicrographReadError, match="no process to read it in could be started"):
        read_guarded(good)
    assert not guard._idle


def test_threads_use_processes_of_their_own(tmp_path: Path) -> None:
    for index in range(12):
        np.save(tmp_path / f"{index}.npy", np.full((9, 9), index))
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda index: read_guarded(tmp_path / f"{index}.npy"), range(12)))
    assert [micrograph.image[0, 0] for (micrograph,) in found] == list(range(12))
    assert 1 <= len(guard._idle) <= 3


def test_an_interrupt_does_not_mix_answers(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_guarded(good)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(guard, "_pixels", interrupted)
        with pytest.raises(KeyboardInterrupt):
            read_guarded(good)
    assert not guard._idle
    np.testing.assert_array_equal(read_guarded(good)[0].image, PICTURE)


def _read_in_child(path: Path) -> float:
    return float(read_guarded(path)[0].image.sum())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_reads_for_itself(good: Path) -> None:
    read_guarded(good)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_read_in_child, (good,)) == pytest.approx(float(PICTURE.sum()))
    np.testing.assert_array_equal(read_guarded(good)[0].image, PICTURE)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for the process in /proc")
def test_processes_end_with_their_parent(good: Path) -> None:
    script = (
        "import sys, time\nfrom motifgpu.io.formats import guard\nguard.read_guarded(sys.argv[1])\n"
        "print(guard._idle[0]._process.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(good)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert Path(f"/proc/{worker}").exists()
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _runs(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
