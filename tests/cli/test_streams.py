"""Streams that are closed, names that no terminal can show, and folders that must not meet."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from motifgpu import cli, simulate
from motifgpu.core.progress import Progress
from motifgpu.core.text import printable

SCAN = simulate.monolayer(shape=(128, 128), counts=60).image


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    np.save(tmp_path / "scan.npy", SCAN)
    return tmp_path / "scan.npy"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="closes streams as a shell does")
@pytest.mark.parametrize("closed", ["2>&-", "2>&- <&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_fault(scan: Path, tmp_path: Path, closed: str) -> None:
    command = f'exec "$0" -m motifgpu analyze --still -o "$1" "$2" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, tmp_path / "out", scan], capture_output=True, timeout=120
    )
    assert done.returncode == cli.DONE
    assert (tmp_path / "out" / "scan" / "report.html").stat().st_size > 10_000
    if ">&- 2" not in closed:
        assert b"report: " in done.stdout


def test_without_standard_error_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    with Progress("scan", every=0) as progress:
        progress("columns", 0.5)
    assert cli.main(["report", "there-is-none"]) == cli.FAILED
    assert capsys.readouterr().out == ""


def test_a_stream_that_closes_meanwhile_is_no_fault() -> None:
    class Broken(io.StringIO):
        def isatty(self) -> bool:
            return True

        def flush(self) -> None:
            raise BrokenPipeError

    for stream in (Broken(), io.StringIO()):
        with Progress("scan", stream=stream, every=0) as progress:
            progress("columns", 0.5)
            stream.close()
            progress("layout", 0.6)
    with Progress("scan", stream=stream) as progress:  # closed before
        progress("columns", 0.5)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes")
@pytest.mark.usefixtures("little_drawn")
def test_names_that_cannot_be_shown_stop_no_other(tmp_path: Path) -> None:
    names = [b"m\xb5.npy", "µ \x1b[2J\u202e.npy".encode(), b"last.npy"]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            np.save(file, SCAN[:64, :64])  # too small, so that each is told of
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    paths = [os.path.join(os.fsencode(tmp_path), name) for name in names]
    command = [sys.executable, "-m", "motifgpu", "analyze", "--still", "-q", "-o", tmp_path / "o", *paths]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    told = done.stdout + done.stderr
    assert done.returncode in (cli.DONE, cli.FAILED)
    for shown in (rb"m\xb5.npy", rb"\x1b[2J\u202e.npy", b"last.npy"):
        assert shown in told
    assert b"\x1b" not in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("scan 1.npy", "scan 1.npy"),
        ("µ å 原子", "µ å 原子"),
        ("a\x1b]0;b\x07c", r"a\x1b]0;b\x07c"),
        ("a\rb\x9bc", r"a\rb\x9bc"),
        ("a\u202eb", r"a\u202eb"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_what_commands_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.usefixtures("little_drawn")
def test_every_micrograph_has_a_folder_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / name for name in ("x/a.npy", "y/A.npy", "z/a-2.npy", "v/...npy")]
    for number, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        np.save(path, SCAN + number)
    code = cli.main(["analyze", "--json", "-q", "--still", "-o", str(tmp_path / "o"), *map(str, paths)])
    reports = [Path(one["report"]) for one in json.loads(capsys.readouterr().out)["analyses"]]
    assert code == cli.DONE
    assert [report.parent.parent for report in reports] == [tmp_path / "o"] * 4
    assert len({report.parent.name.casefold() for report in reports}) == 4
    assert not (tmp_path / "report.html").exists()
