from __future__ import annotations

from pathlib import Path

import pytest

from motifgpu import Run, dataset
from motifgpu.core.errors import StageError


@pytest.mark.usefixtures("little_drawn")
def test_reports_show_what_was_found(undisturbed: Run) -> None:
    text = undisturbed.report().read_text()
    for told in ("4</dd>", "damaged.npy", "explained least", "n_neighbors", "scan03.npz"):
        assert told in text
    for forbidden in ("http://", "https://", "<script src", "@import", "url("):
        assert forbidden not in text
    name = undisturbed.micrographs["micrograph"][2].as_py()
    page = undisturbed.report(name)
    assert page == undisturbed.path / "pages" / undisturbed.find(name).key / "report.html"
    assert page.relative_to(undisturbed.path).as_posix() in undisturbed.report().read_text()
    with pytest.raises(StageError, match="has no micrograph 'nothing'"):
        undisturbed.report("nothing")


def test_a_run_of_nothing_but_bad_files_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"no image")
    run = dataset.run(tmp_path / "bad.npy", tmp_path / "o", workers=1)
    assert len(run.micrographs) == 0
    assert len(run.columns()) == 0
    assert run.hierarchy is None
    assert "bad.npy" in run.report().read_text()
