from __future__ import annotations

import threading
import time
from pathlib import Path

from support.datasets import write_scan

from motifgpu import dataset


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
