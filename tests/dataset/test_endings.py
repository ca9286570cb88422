"""Whatever goes wrong where in a run, it ends: nobody waits for what never comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.datasets import as_from_a_terminal, done, start, tables, wait_until, write_scan, write_scans

from motifgpu import Run, dataset
from motifgpu.core.errors import StageError
from motifgpu.dataset import tasks
from motifgpu.store.entries import UNREAD

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes, links and signals of POSIX")
_PATCH = """
import sys
if "motifgpu.dataset.worker" in " ".join(sys.orig_argv):
    from motifgpu.dataset import executors, prefetch, tasks, worker
    real = {owner}.{name}
    def failing(*args, **more):
        if {when}:
            raise {error}
        return real(*args, **more)
    {owner}.{name} = failing
"""


def _break_workers(site: Path, monkeypatch: pytest.MonkeyPatch, **how: str) -> None:
    site.mkdir()
    (site / "sitecustomize.py").write_text(_PATCH.format(**{"when": "True", **how}))
    monkeypatch.syspath_prepend(site)


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        ("tasks", "save", "MemoryError"),
        pytest.param("tasks", "save", "SystemExit(0)", marks=pytest.mark.slow),
        pytest.param("tasks", "load", "RuntimeError('a bug')", marks=pytest.mark.slow),
        pytest.param("tasks", "compute", "KeyboardInterrupt", marks=pytest.mark.slow),
    ],
)
def test_whatever_ends_a_worker_or_its_threads_ends_the_run(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, name: str, error: str
) -> None:
    _break_workers(tmp_path / "site", monkeypatch, owner=owner, name=name, error=error)
    with pytest.raises(StageError, match=f"(?s)workers cannot work: .*{error.partition('(')[0]}"):
        dataset.run(scans, tmp_path / "o", workers=2)
    assert Run(tmp_path / "o").about["state"] == "stopped"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        pytest.param(RuntimeError("a bug"), marks=pytest.mark.slow),
        pytest.param(OSError(28, "No space left"), marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_saved_ends_the_run_in_words_and_loses_nothing(
    error: Exception, scans: Path, undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = tasks.save_micrograph, []

    def failing(*args: object, **more: object) -> object:
        calls.append(args)
        if len(calls) == 4:  # the last one
            raise error
        return real(*args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "save_micrograph", failing)
        with pytest.raises(StageError, match=r"cannot (save|write).*run the same command again"):
            dataset.run(scans, tmp_path / "o", workers=1)
    assert tables(dataset.run(scans, tmp_path / "o", workers=1).path) == tables(undisturbed.path)


def test_too_little_memory_for_a_micrograph_is_no_fault_of_its(
    scans: Path, undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tasks.analyze_batch

    def greedy(micrographs: list, options: object) -> list:
        if any(one.source.endswith("scan02.npz") for one in micrographs):
            raise MemoryError
        return real(micrographs, options)

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "analyze_batch", greedy)
        run = dataset.run(scans, tmp_path / "o", workers=1)
    assert {Path(line["path"]).name: line["status"] for line in run.quarantine}["scan02.npz"] == UNREAD
    assert tables(dataset.run(scans, tmp_path / "o", workers=1).path) == tables(undisturbed.path)


def test_pipes_devices_and_links_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_scan(folder / "a.npz", 1)
    os.mkfifo(folder / "pipe.npy")
    (folder / "zero.npy").symlink_to("/dev/zero")
    (folder / "self.npy").symlink_to("self.npy")
    (folder / "gone.npy").symlink_to("nothing.npy")
    for what in ([folder], [folder / "*.np*"], sorted(folder.iterdir())):
        run = dataset.run(what, tmp_path / "o", workers=1, structure=False)
        reasons = {Path(line["path"]).name: line["reason"] for line in run.quarantine}
        assert reasons.keys() == {"pipe.npy", "zero.npy", "self.npy", "gone.npy"}
        assert reasons["pipe.npy"] == "it is a named pipe and no file"
        assert reasons["zero.npy"] == "it is a device and no file"
        assert len(run.micrographs) == 1


@pytest.mark.slow
def test_the_processes_memory_may_be_short(tmp_path: Path) -> None:
    write_scans(tmp_path / "in", 2)
    command = f"ulimit -v 900000; exec {sys.executable} -m motifgpu run in -o o -q --no-report --workers 2"
    ended = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert ended.returncode in (0, 1, 3), ended.stderr
    assert ended.returncode != 1 or "motifgpu: " in ended.stderr or "enough memory" in ended.stdout
    whole = dataset.run(tmp_path / "in", tmp_path / "o", workers=1)
    assert len(whole.micrographs) == 2


def _command(folder: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    words = ["-m", "motifgpu", "run", str(folder), "-o", str(out), "-q", "--workers", "1", *more]
    return subprocess.Popen(
        [sys.executable, *words], stderr=subprocess.PIPE, text=True, preexec_fn=as_from_a_terminal
    )


@pytest.mark.parametrize(
    ("number", "seconds"),
    [
        (signal.SIGTERM, 0.7),
        pytest.param(signal.SIGHUP, 0.7, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 1.5, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 2.5, marks=pytest.mark.slow),
    ],
)
def test_signals_in_the_first_seconds_say_the_state_of_the_run(
    scans: Path, tmp_path: Path, number: int, seconds: float
) -> None:
    process = _command(scans, tmp_path / "o")
    time.sleep(seconds)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    if process.returncode in (0, 3, -number):
        pytest.skip("it was over, or had not begun")
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "the same command" in errors
    assert "Traceback" not in errors


_INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "motifgpu.cli":
            os.kill(os.getpid(), signal.{name})
sys.meta_path.insert(0, Finder())
from motifgpu.__main__ import main
main()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_before_the_command_has_begun_ends_it_without_a_word(name: str) -> None:
    code = _INTERRUPTED.format(name=name)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=as_from_a_terminal
    )
    assert (ended.returncode, ended.stderr) == (-getattr(signal, name), "")


@pytest.mark.slow
def test_a_run_that_ignores_hangups_goes_on(scans: Path, undisturbed: Run, tmp_path: Path) -> None:
    words = f"{sys.executable} -m motifgpu run {scans} -o {tmp_path / 'o'} -q --workers 1 --no-report"
    process = subprocess.Popen(["bash", "-c", f"trap '' HUP; exec {words}"], start_new_session=True)
    wait_until(lambda: done(tmp_path / "o") >= 1)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=100) == 3
    assert tables(tmp_path / "o") == tables(undisturbed.path)


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    process = start("from motifgpu import dataset; import sys; dataset.run(*sys.argv[1:], workers=2)",
                    write_scans(tmp_path / "in", 3), tmp_path / "o")  # fmt: skip
    wait_until(lambda: (tmp_path / "o" / "run.json").exists())
    time.sleep(0.5)
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(Path(f"/proc/{child}/cmdline").exists() for child in found.stdout.split()))
