"""Runs a case in a child process under a sanitizer; the caller checks the exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
RUNTIME = {"address": "libasan.so", "undefined": "", "thread": "libtsan.so"}
FOUND = 66  # exit code when a sanitizer found something
CHILD = """
import runpy, sys
path, case = sys.argv[1].split(":")
runpy.run_path(path)[case](*sys.argv[2:])
"""


def run(sanitizer: str, case: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the function `case` ("path:function", path from here) with string arguments under `sanitizer`.

    The thread sanitizer reports and goes on, and says so in the exit code, which is `FOUND` for all of them.
    """
    options = f"exitcode={FOUND}"
    environment = {
        **os.environ,
        "HOST_CUDA_SANITIZER": sanitizer,
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "ASAN_OPTIONS": f"{options}:detect_leaks=0:use_sigaltstack=0",
        "UBSAN_OPTIONS": f"{options}:print_stacktrace=1",
        "TSAN_OPTIONS": f"{options}:report_signal_unsafe=0",
    }
    if RUNTIME[sanitizer]:
        path = subprocess.run(
            ["g++", f"-print-file-name={RUNTIME[sanitizer]}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        environment["LD_PRELOAD"] = path
    return subprocess.run(
        [sys.executable, "-c", CHILD, case, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
