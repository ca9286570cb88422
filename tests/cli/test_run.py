"""The commands run, merge, report and export."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.datasets import tables, write_scan, write_scans

from motifgpu import cli, dataset
from motifgpu.cli.options import DONE, FAILED, INTERRUPTED, QUARANTINED, USAGE
from motifgpu.dataset.results import Run

N = 2


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for seed in range(N):
        write_scan(folder / f"scan{seed}.npz", seed)
    return folder


@pytest.fixture(scope="module")
def done(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return dataset.run(scans, tmp_path_factory.mktemp("run") / "out.motif", workers=1)


def test_run_says_what_it_found(
    scans: Path, done: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.motif"
    command = ["run", f"{scans}/**/*.npz", "-o", str(out), "--workers", "1", "-q"]
    assert cli.main(command) == DONE
    told = capsys.readouterr().out
    assert f"{out}: complete" in told
    assert f"{N} micrographs, {done.about['found']['columns']:,} atom columns" in told
    assert f"report: {out / 'report.html'}" in told
    assert (out / "report.html").exists()
    assert tables(out) == tables(done.path)
    assert cli.main([*command, "--json"]) == DONE
    again = json.loads(capsys.readouterr().out)
    assert again["last_call"]["files"] == 0
    assert again["parameters"]["n_neighbors"] == 10
    assert cli.main(["run", "-q", "--json", "--config", str(out / "config.toml")]) == DONE
    assert json.loads(capsys.readouterr().out)["last_call"]["files"] == 0


def test_quarantine_has_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_scans(tmp_path / "in", 1)
    command = ["run", str(folder), "-o", str(tmp_path / "o"), "--workers", "1", "-q", "--no-report"]
    assert cli.main(command) == QUARANTINED
    assert f"quarantine: {folder / 'damaged.npy'}: " in capsys.readouterr().out
    bad = ["run", str(folder / "damaged.npy"), "-o", str(tmp_path / "bad"), "--workers", "1", "-q"]
    assert cli.main(bad) == FAILED


def test_progress_shows_rate_time_left_and_quarantine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from motifgpu.core import progress

    class Eager(progress.Progress):
        def __init__(self, *args: object, **more: object) -> None:
            super().__init__(*args, **more, every=0.0)  # type: ignore[arg-type]

    monkeypatch.setattr(progress, "Progress", Eager)
    folder = write_scans(tmp_path / "in", 1)
    cli.main(["run", str(folder), "-o", str(tmp_path / "o"), "--workers", "1", "--no-report"])
    told = capsys.readouterr().err
    assert "run: 0 %, 0 of 2 files" in told
    assert "left, 1 in quarantine" in told


@pytest.mark.usefixtures("little_drawn")
def test_shards_merge_report_and_export(
    scans: Path, done: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.motif"
    for i in (1, 2):
        assert cli.main(["run", str(scans), "-o", str(out), "--shard", f"{i}/2", "--workers", "1", "-q"]) == 0
    assert f"when all shards are done: motifgpu merge {out}" in capsys.readouterr().out
    assert not (out / "report.html").exists()
    assert cli.main(["merge", str(out)]) == DONE
    assert tables(out) == tables(done.path)
    assert (out / "report.html").exists()
    capsys.readouterr()
    assert cli.main(["report", str(out), "--micrograph", "scan0.npz"]) == DONE
    page = Path(capsys.readouterr().out.strip())
    assert page == out / "pages" / done.micrographs["key"][0].as_py() / "report.html"
    assert page.exists()
    assert cli.main(["report", "--json", str(out)]) == DONE
    assert json.loads(capsys.readouterr().out) == {"report": str(out / "report.html"), "pages": []}
    assert cli.main(["export", str(out), str(tmp_path / "columns.csv")]) == DONE
    lines = (tmp_path / "columns.csv").read_text().splitlines()
    assert len(lines) == 1 + done.about["found"]["columns"]
    assert cli.main(["export", str(out), str(tmp_path / "columns.doc")]) == FAILED
    assert "ends in '.doc'" in capsys.readouterr().err


def test_plan_runs_nothing(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "o"
    monkeypatch.chdir(scans.parent)  # a folder below the current one is a path like any other
    assert cli.main(["run", scans.name, "-o", str(out), "--plan", "--workers", "1"]) == DONE
    assert f"{N} files" in capsys.readouterr().out
    assert cli.main(["run", str(scans), "-o", str(out), "--plan", "--workers", "1", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["files"] == N
    assert not out.exists()


def test_termination_ends_as_ctrl_c_does(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = dataset.tasks.compute

    def terminated(*args: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        return real(*args)  # type: ignore[arg-type]

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(dataset.tasks, "compute", terminated)
    code = cli.main(["run", str(scans), "-o", str(tmp_path / "o"), "--workers", "1", "-q"])
    assert code == INTERRUPTED
    assert f"interrupted after 0 of {N} files; all that is finished is kept" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before
    assert Run(tmp_path / "o").about["state"] == "interrupted"


@pytest.mark.usefixtures("ctrl_c")
def test_watching_keeps_the_report_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "in", tmp_path / "o"
    folder.mkdir()
    scan = write_scan(tmp_path / "scan.npz", 1)
    ended = threading.Event()

    def microscope() -> None:
        (folder / "scan.npz").write_bytes(scan.read_bytes())
        os.utime(folder / "scan.npz", (1e9, 1e9))  # long ago, so it need not settle
        end = time.monotonic() + 60
        while not (out / "report.html").exists() and time.monotonic() < end and not ended.wait(0.02):
            pass
        if not ended.wait(0.1):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]

    thread = threading.Thread(target=microscope)
    thread.start()
    try:
        code = cli.main(["run", str(folder), "-o", str(out), "--watch", "--workers", "1", "-q"])
    finally:
        ended.set()
        thread.join()
    assert code == DONE
    assert "scan.npz" in (out / "report.html").read_text()
    assert "1 micrograph," in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "a", "--shard", "3/2"],
        ["run", "a", "--shard", "x"],
        ["run", "a", "--pooled", "--dictionary", "d.npz"],
        ["run", "a", "--watch", "--shard", "1/2"],
        ["merge"],
        ["export", "a"],
    ],
)
def test_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == USAGE


def test_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["merge", str(tmp_path)], ["report", str(tmp_path)], ["export", str(tmp_path), "a.csv"]):
        assert cli.main(command) == FAILED
        assert "give the folder that motifgpu run wrote" in capsys.readouterr().err
    assert cli.main(["run", str(tmp_path / "nothing"), "-o", str(tmp_path / "o")]) == FAILED
    assert "no file matches" in capsys.readouterr().err
    np.save(tmp_path / "a.npy", np.eye(4))
    assert cli.main(["run", str(tmp_path / "a.npy"), "--scheduler", "tcp://127.0.0.1:bad"]) == FAILED
    assert "no scheduler answers" in capsys.readouterr().err
