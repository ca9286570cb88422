from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from support.datasets import write_scan

from motifgpu import dataset
from motifgpu.dataset import tasks


def test_watching_takes_what_appears_and_waits_for_what_grows(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "o"
    made = write_scan(tmp_path / "made.npz", 1).read_bytes()
    states: list[int] = []
    stop = threading.Event()

    def microscope() -> None:
        folder.mkdir()
        (folder / "first.npz").write_bytes(made)
        with open(folder / "second.npz", "wb") as file:
            second = write_scan(tmp_path / "second.npz", 2).read_bytes()
            for k in range(6):  # longer than what is waited for
                file.write(second[k * len(second) // 6 : (k + 1) * len(second) // 6])
                file.flush()
                time.sleep(0.2)
        for _ in range(600):
            if states and states[-1] == 2:
                break
            time.sleep(0.05)
        stop.set()

    thread = threading.Thread(target=microscope)
    thread.start()
    run = dataset.watch(
        folder,
        out,
        settle=0.6,
        every=0.05,
        stop=stop.is_set,
        updated=lambda found: states.append(len(found.micrographs)),
        workers=1,
    )
    thread.join()
    assert states[-1] == 2
    assert run.quarantine == []


def test_watching_outlives_a_folder_that_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = tmp_path / "in", tmp_path / "o"
    (folder / "day1").mkdir(parents=True)
    (folder / "day2").mkdir()
    for seed in range(2):
        write_scan(folder / f"day{seed + 1}" / "scan.npz", seed)
    real, removed = tasks.read_file, []

    def removing(path: str, *args: object, **more: object) -> object:
        if "day1" in path and not removed:
            removed.append((folder / "day1").rename(tmp_path / "away"))
        return real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tasks, "read_file", removing)
    seen: list[int] = []

    def stop() -> bool:
        if seen and seen[-1] == 1 and removed[0].exists():
            removed[0].rename(folder / "day1")  # it comes back, and is analysed then
        return bool(seen and seen[-1] == 2)

    run = dataset.watch(
        folder,
        out,
        settle=0.0,
        every=0.01,
        stop=stop,
        updated=lambda found: seen.append(len(found.micrographs)),
        workers=1,
        structure=False,
    )
    assert seen == [1, 2]
    assert run.quarantine == []
