from __future__ import annotations

import os
from pathlib import Path

import pytest

from motifgpu import Run, dataset
from motifgpu.core.errors import StageError
from motifgpu.dataset.lock import locked


def test_two_runs_in_one_folder(scans: Path, undisturbed: Run) -> None:
    with (
        locked(undisturbed.path),
        pytest.raises(StageError, match=rf"process {os.getpid()} on .* is working in .*; wait"),
    ):
        dataset.run(scans, undisturbed.path, workers=1)
    with (
        locked(undisturbed.path, (1, 2)),
        locked(undisturbed.path, (2, 2)),
        pytest.raises(StageError, match="is working in"),
        locked(undisturbed.path),
    ):
        pass
    with (
        locked(undisturbed.path, (1, 2)),
        pytest.raises(StageError, match="is working in"),
        locked(undisturbed.path, (1, 2)),
    ):
        pass
    with locked(undisturbed.path):  # nothing is left behind
        pass
