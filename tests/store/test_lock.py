from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.datasets import write_scan

from motifgpu import dataset
from motifgpu.core.errors import StageError
from motifgpu.store.lock import kept_still, locked


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    scan, out = write_scan(tmp_path / "a.npz", 1), tmp_path / "o"
    with kept_still(out):  # nobody has worked there yet
        out.mkdir()
    with (
        locked(out),
        pytest.raises(StageError, match=rf"process {os.getpid()} on .* is working in .*; wait"),
    ):
        dataset.run(scan, out, workers=1)
    with locked(out, (1, 2)), locked(out, (2, 2)):
        for other in (locked(out), locked(out, (1, 2)), kept_still(out)):
            with pytest.raises(StageError, match="is working in"), other:
                pass
    with locked(out), pytest.raises(StageError, match="is working in"), kept_still(out):
        pass
    with kept_still(out), pytest.raises(StageError, match="is working in"), locked(out):
        pass
    with locked(out):  # nothing is left behind
        pass
