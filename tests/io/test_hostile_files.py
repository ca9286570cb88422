"""Files that were made to do harm end in words, within limits of memory and time, and touch nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.hostile_files import MICROSCOPE, PLAIN, SPECIAL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="measures the memory of processes as Linux counts it"),
]
# MiB that a process may have in addition, its readers included: those that are allowed the largest image
# (1 GiB of float32 and what it was made of), and all others.
LARGE, USUAL = 2600, 700
AS_LARGE = {"chunk-bomb.hspy"}  # whose reader is given so much, and ended
SECONDS = 60
_READS = """
import json, resource, sys, time
import motifgpu
import motifgpu.io.micrograph, motifgpu.io.formats.guard
from pathlib import Path
warm = sys.argv[1].replace(Path(sys.argv[1]).name, "warm.npy")
motifgpu.read(warm)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = time.monotonic()
try:
    found = f"{len(motifgpu.read_all(sys.argv[1], time_limit_s=20))} images"
except motifgpu.MicrographReadError as error:
    found = error.why
seconds = time.monotonic() - begun
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
motifgpu.io.formats.guard.close()
readers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([found, seconds, own // 1024, readers // 1024]))
"""


def _state(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(p), p.lstat().st_mtime_ns, p.lstat().st_size) for p in folder.rglob("*"))


@pytest.mark.parametrize("name", [*PLAIN, *SPECIAL, *MICROSCOPE])
def test_a_hostile_file_ends_in_words(name: str, tmp_path: Path) -> None:
    import numpy as np

    if name in MICROSCOPE:
        pytest.importorskip("rsciio")
        pytest.importorskip("h5py")
    place, outside = tmp_path / "in", tmp_path / "outside"
    place.mkdir()
    outside.mkdir()
    (outside / "secret.raw").write_bytes(b"secret" * 248)
    np.save(place / "warm.npy", np.zeros((8, 8)))
    {**PLAIN, **SPECIAL, **MICROSCOPE}[name](place / name)
    before = _state(outside)
    done = subprocess.run(
        [sys.executable, "-c", _READS, str(place / name)],
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
    )
    assert done.returncode == 0, done.stderr
    found, seconds, own, readers = json.loads(done.stdout)
    assert found
    assert "images" not in found or "outside" not in name
    assert seconds < SECONDS
    assert own < USUAL, f"{found}: {own} MiB"
    assert readers < (LARGE if name in AS_LARGE else USUAL), f"{found}: {readers} MiB"
    assert _state(outside) == before
    assert sorted(path.name for path in place.iterdir()) == sorted([name, "warm.npy"])
