from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motifgpu import Micrograph, MicrographReadError, StageError, analyze, cli, simulate
from motifgpu.pipeline import STAGES
from motifgpu.planning import calibration
from motifgpu.planning.cost import CALIBRATION, SAVED, Plan, estimate, plan, quantities

# Neither shape nor sampling is one of the calibration's.
SCAN = simulate.monolayer("MoS2", (448, 600), lattice_constant=17.0, counts=20, vacancies=0.04, seed=5)


def test_memory_and_columns_are_as_planned(tmp_path: Path) -> None:
    analyze(SCAN.image)  # compiles
    peaks: list[float] = []

    def reading(stage: str = "", fraction: float = 0.0) -> None:
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()

    tracemalloc.start()
    found = analyze(SCAN.image.copy(), progress=reading)
    reading()
    tracemalloc.stop()
    planned = plan(SCAN.image)
    assert planned.columns == pytest.approx(len(found.points), rel=0.15)
    assert (planned.patch_samples, planned.order) == (found.parameters["patch_samples"], 10)
    assert planned.patch_size_px == found.patch_size.pixels
    assert [stage.name for stage in planned.stages] == list(STAGES)
    for stage, measured in zip(planned.stages, peaks[1:], strict=True):
        assert 0.5 < stage.bytes / measured < 2, stage.name
    assert planned.bytes == max(stage.bytes for stage in planned.stages)
    assert 0.6 < planned.bytes / max(peaks) < 1.6
    saved = found.save(tmp_path / "saved").stat().st_size
    assert 0.75 < planned.saved_bytes / saved < 1.33


def test_more_takes_more() -> None:
    small, large = estimate((512, 512)), estimate((1024, 1024))
    assert large.columns > 4 * small.columns  # the border counts less
    for a, b in zip(small.stages, large.stages, strict=True):
        assert b.bytes > a.bytes
        assert b.seconds > a.seconds
    assert large.saved_bytes > small.saved_bytes
    same = {"columns": 2000}
    assert estimate((512, 512), **same, order=12).bytes > estimate((512, 512), **same).bytes
    assert estimate((512, 512), **same, patch_size=60).bytes > estimate((512, 512), **same).bytes
    assert estimate((512, 512), **same, n_neighbors=30).seconds > estimate((512, 512), **same).seconds
    plain = estimate((512, 512), structure=False)
    assert [stage.name for stage in plain.stages] == list(STAGES[:-1])
    assert plain.seconds == pytest.approx(sum(stage.seconds for stage in small.stages[:-1]))


def test_pairs_of_columns_take_over_in_large_images() -> None:
    times = [
        {stage.name: stage.seconds for stage in estimate((side, side)).stages}["neighbors"]
        for side in (4096, 8192)
    ]
    assert 10 < times[1] / times[0] < 17


def test_every_source_gives_the_same(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", SCAN.image)
    plans = [plan(source) for source in (SCAN.image, Micrograph(SCAN.image), tmp_path / "scan.npy")]
    assert plans[0] == plans[1] == plans[2]
    given = plan((448, 600), patch_size=plans[0].patch_size_px, columns=plans[0].columns)
    assert given == plans[0]
    assert plan((448, 600)).patch_size_px == 38.0
    assert plan(SCAN.image, patch_size=15.0).order == 6


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "scan.npy", SCAN.image)
    (tmp_path / "run.toml").write_text("order = 8\nneighbors = 20\n")
    arguments = ["plan", str(tmp_path / "scan.npy"), "--config", str(tmp_path / "run.toml")]
    assert cli.main([*arguments, "--json"]) == cli.DONE
    found = json.loads(capsys.readouterr().out)
    assert found.pop("source") == str(tmp_path / "scan.npy")
    assert found == json.loads(json.dumps(plan(SCAN.image, order=8, n_neighbors=20).summary()))
    assert cli.main(arguments) == cli.DONE
    text = capsys.readouterr().out
    assert "448 x 600 px, about" in text
    assert all(name in text for name in STAGES)
    assert cli.main(["plan", str(tmp_path / "none.npy")]) == cli.FAILED


@pytest.mark.slow
def test_calibration_is_made_by_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "SIZES", ((224, 224, 22), (256, 320, 24)))
    threads = os.environ.get("MOTIFGPU_THREADS")
    mine = calibration.calibrate(tmp_path / "mine.json")
    content = json.loads(mine.read_text())
    assert set(content["stages"]) == {*STAGES, SAVED}
    assert set(content) == set(json.loads(CALIBRATION.read_text()))
    measured = content["measured"][1]
    size = measured["size"]
    other = estimate((256, 320), int(size["columns"]), patch_size=24 * 3**0.5, calibration=mine)
    for stage in other.stages:
        assert stage.bytes == pytest.approx(measured["bytes"][stage.name], rel=0.25)
    assert os.environ.get("MOTIFGPU_THREADS") == threads


def test_fit_finds_the_law() -> None:
    """Of made-up figures: what stages take is what they were made with."""
    truth = {"once": 3.0, "pairs": 2e-9, "moments": 1e-6}
    sizes = [quantities(100 * n, n, 38, 10, 10) for n in (100, 400, 2000, 9000, 30000)]
    took = [sum(c * size[name] for name, c in truth.items()) for size in sizes]
    names = {*STAGES, SAVED}
    measured = [
        {"size": size, "seconds": dict.fromkeys(names, t), "bytes": dict.fromkeys(names, t)}
        for size, t in zip(sizes, took, strict=True)
    ]
    found = calibration.fit(measured)["neighbors"]["seconds"]
    assert found == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: estimate((0, 5)), r"rows is 0; give a whole number of at least 1"),
        (lambda: estimate((5, 5, 5)), r"the shape is \(5, 5, 5\); give rows and columns"),
        (lambda: estimate((5.5, 5)), r"rows is 5\.5"),
        (lambda: estimate((64, 64), -1), r"columns is -1"),
        (lambda: estimate((64, 64), patch_size=0), r"patch_size is 0"),
        (lambda: estimate((64, 64), patch_size=float("nan")), r"patch_size is nan"),
        (lambda: estimate((64, 64), n_neighbors=1), r"n_neighbors is 1"),
        (lambda: estimate((64, 64), backend="cupy"), r"for the backend 'numpy', not 'cupy'"),
    ],
)
def test_bad_input(call: Callable[[], Plan], message: str) -> None:
    with pytest.raises(StageError, match=rf"plan: .*{message}"):
        call()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stages": {}}', "\xff"])
def test_what_is_no_calibration(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StageError, match=r"c\.json is no calibration .*python -m motifgpu\.planning"):
        estimate((64, 64), calibration=path)


def test_sources_that_cannot_be_planned(tmp_path: Path) -> None:
    with pytest.raises(MicrographReadError, match="no such file"):
        plan(tmp_path / "none.npy")
    with pytest.raises(StageError, match="constant"):
        plan(np.zeros((64, 64)))
    assert plan((16, 16)).columns == 0
