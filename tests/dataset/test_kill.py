"""Runs whose process, workers or scheduler are killed at random moments, and what a rerun makes of that."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.datasets import KILLS, MANY, done, start, tables, wait_until

from motifgpu import dataset
from motifgpu.core.errors import StageError
from motifgpu.dataset import executors
from motifgpu.dataset.executors import Processes
from motifgpu.dataset.results import Run
from motifgpu.store.entries import DONE, read_entries, read_result

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups of POSIX")

RUN = """
import sys
from motifgpu import dataset
try:
    run = dataset.run(sys.argv[1], sys.argv[2], workers=int(sys.argv[3]))
except dataset.RunInterrupted as error:
    sys.exit(f"RunInterrupted: {error}")
"""


def _children(parent: int, name: str) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(parent), "-f", name], capture_output=True, text=True)
    return [int(number) for number in found.stdout.split()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _check_nothing_half_is_read(out: Path) -> None:
    """Read everything that a killed run left and that has a name of its own."""
    run = Run(out)
    for entry in read_entries(out)[0]:
        for image in read_result(out, entry.key).images if entry.status == DONE else ():
            table = run.columns(entry.path)
            assert len(table) == image["columns"]
            assert len(run.moments(image["key"])) == image["points"]
            assert run.thumbnail(entry.path)


def _kill_the_process(many_scans: Path, out: Path, moment: random.Random, workers: int) -> None:
    """Kill a run when a random number of files is done, or a little later."""
    process = start(RUN, many_scans, out, workers)
    goal = done(out) + moment.randrange(0, 3)
    wait_until(lambda: ((out / "run.json").exists() and done(out) >= goal) or process.poll() is not None)
    time.sleep(moment.random() * 0.3)
    theirs = _children(process.pid, "motifgpu")
    process.kill()
    process.communicate()
    wait_until(lambda: not any(map(alive, theirs)))  # workers end with the process that started them


@pytest.mark.slow
def test_killing_the_process(many_scans: Path, many_tables: dict[str, bytes], tmp_path: Path) -> None:
    for seed in range(KILLS + 1):
        out = tmp_path / f"{seed}.motif"
        for _ in range(1 + seed % 2):
            _kill_the_process(many_scans, out, random.Random(seed), workers=1 + seed % 2)
        if (out / "run.json").exists():
            _check_nothing_half_is_read(out)
        run = dataset.run(many_scans, out, workers=1)
        assert tables(run.path) == many_tables, seed
        assert run.about["state"] == "complete"


@pytest.mark.slow
def test_killing_workers_does_not_stop_a_run(
    many_scans: Path, many_tables: dict[str, bytes], tmp_path: Path
) -> None:
    for seed in range(KILLS + 1):
        moment = random.Random(seed)
        out = tmp_path / f"{seed}.motif"
        process = start(RUN, many_scans, out, 2)
        wait_until(lambda out=out: done(out) >= 1)  # type: ignore[misc]
        time.sleep(moment.random() * 0.3)
        for worker in _children(process.pid, "motifgpu.dataset.worker")[: 1 + seed % 2]:
            os.kill(worker, signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert tables(out) == many_tables, seed


@pytest.mark.slow
def test_a_file_that_kills_its_worker_ends_in_quarantine(
    many_scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = tmp_path / "site"
    poison.mkdir()
    (poison / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'motifgpu.dataset.worker' in ' '.join(sys.orig_argv):\n"
        "    from motifgpu.dataset import tasks\n"
        "    real = tasks.read_file\n"
        "    def read_file(path, *rest, **more):\n"
        "        if path.endswith('scan03.npz'):\n"
        "            os.kill(os.getpid(), 9)\n"
        "        return real(path, *rest, **more)\n"
        "    tasks.read_file = read_file\n"
    )
    monkeypatch.syspath_prepend(poison)
    run = dataset.run(many_scans, tmp_path / "o", workers=2)
    reasons = {Path(line["path"]).name: line["reason"] for line in run.quarantine}
    assert sorted(reasons) == ["damaged.npy", "scan03.npz"]
    assert reasons["scan03.npz"] == "the process that analysed it died, 3 times in 3"
    assert len(run.micrographs) == MANY - 2


def test_workers_that_cannot_start_end_the_run(
    many_scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import sys\nif 'motifgpu.dataset.worker' in ' '.join(sys.orig_argv): raise SystemExit(7)\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(StageError, match="they end at once, with exit status"):
        dataset.run(many_scans, tmp_path / "o", workers=2)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_says_how_to_go_on(scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    out = tmp_path / "o"
    process = start(RUN, scans, out, 1)
    wait_until(lambda: done(out) >= 1)
    theirs = _children(process.pid, "motifgpu")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    if process.returncode == 0:
        pytest.skip("it was done before it was interrupted")
    assert "RunInterrupted: interrupted after" in errors
    assert "the same command continues" in errors
    assert "Traceback" not in errors
    wait_until(lambda: not any(map(alive, theirs)))
    assert Run(out).about["state"] == "interrupted"
    before = done(out)
    run = dataset.run(scans, out, workers=1)
    assert run.about["last_call"]["files"] == 5 - before
    assert tables(out) == tables(undisturbed.path)


def test_a_worker_gets_no_more_than_it_can_hold(many_scans: Path, tmp_path: Path) -> None:
    job = dataset.job.Job(str(tmp_path), dataset.job.make_options({}))
    workers = Processes(job, 1)
    try:
        assert workers._workers == []  # none before there is work
        number = 0
        while workers.has_room(alone=False):
            workers.submit(number, [], alone=False)
            number += 1
        assert number == executors.AHEAD
        assert not workers.has_room(alone=True)
        assert sorted(workers.wait()[0] for _ in range(number)) == list(range(number))
        assert workers.has_room(alone=True)
    finally:
        workers.close()
