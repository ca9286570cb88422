"""``./run``: the command takes its place, so that signals and exit codes are the command's."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.datasets import as_from_a_terminal, wait_until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the script whose environment has a shell script for Python."""
    shutil.copy(ROOT / "run", tmp_path)
    (tmp_path / "ci" / "locks").mkdir(parents=True)
    files = [tmp_path / "ci" / "locks" / name for name in ("build.txt", "dev.txt")]
    for file in (*files, tmp_path / "pyproject.toml"):
        file.touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$$ $*" > {tmp_path / "called"}.part\n'
                      f'mv {tmp_path / "called"}.part {tmp_path / "called"}\n'
                      'case "$*" in *sleep*) exec sleep 60;; esac\nexit 7\n')  # fmt: skip
    python.chmod(0o755)
    (tmp_path / ".venv" / "installed-dev").write_text(hashlib.sha256(b"").hexdigest())
    return tmp_path


def test_the_exit_code_is_the_commands(project: Path) -> None:
    assert subprocess.run([sys.executable, project / "run", "info"]).returncode == 7
    assert (project / "called").read_text().endswith(" -P -m motifgpu info\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_reaches_the_command(project: Path, number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, project / "run", "sleep"], preexec_fn=as_from_a_terminal)
    wait_until((project / "called").exists)
    assert int((project / "called").read_text().split()[0]) == process.pid
    process.send_signal(number)
    assert process.wait(timeout=30) == -number
