"""What the benchmarks stand on: the result file, the guard of speed, and the page of results."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from benchmarks import guard, results
from benchmarks.page import __main__ as page
from benchmarks.page import results_page
from benchmarks.page.outline import SECTIONS
from benchmarks.page.rows import ROWS, paper_rows

ROOT = Path(__file__).parents[2]

RECORDER = """
import sys
from pathlib import Path
from benchmarks import results
results.FOLDER = Path(sys.argv[1])
for index in range(5):
    results.record(f"{sys.argv[2]} {index}", {"value": float("nan"), "pair": (1, 2)})
"""


def test_figures_of_processes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RECORDER, str(tmp_path)]
    running = [subprocess.Popen([*command, f"process {number}"], cwd=ROOT) for number in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    content = json.loads((tmp_path / "cpu.json").read_text())
    assert sorted(content) == sorted(f"process {number} {index}" for number in range(3) for index in range(5))
    assert content["process 0 0"]["figures"] == {"value": None, "pair": [1, 2]}
    assert [path.name for path in tmp_path.iterdir()] == ["cpu.json"]


def test_a_quick_run_leaves_the_full_ones_figures_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    results.record("study", 1)
    monkeypatch.setenv(results.QUICK, "1")
    assert results.record("study", 2).name == "quick.json"
    assert json.loads((tmp_path / "cpu.json").read_text())["study"]["figures"] == 1


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.mark.parametrize(("cost", "code"), [(2.0, 1), (1.4, 0)])
def test_the_guard_fails_at_half_the_speed_and_not_by_noise(
    cost: float,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    committed = tmp_path / "guard.json"
    committed.write_text(json.dumps({"steady": 1.0, "changed": 1.0}))
    monkeypatch.setattr(guard, "COMMITTED", committed)
    yardstick = partial(busy, 0.002)
    works = {"steady": (yardstick, yardstick), "changed": (partial(busy, 0.002 * cost), yardstick)}
    monkeypatch.setattr(guard, "stages", lambda: works)
    monkeypatch.setattr(guard, "commands", lambda folder: {})
    assert guard.main([]) == code
    assert ("what is committed: changed;" in capsys.readouterr().out) == bool(code)


def test_the_page_says_what_is_missing() -> None:
    measured = results.load()
    assert "not measured yet" not in "".join(paper_rows(measured, {}))
    del measured["nine_cases"]
    without = results_page.page(measured)
    assert "not measured yet (`nine_cases`)" in without
    assert "Not measured yet: `nine_cases`." in without


def test_the_pages_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert page.main(["--check"]) == 0
    readme = tmp_path / "README.md"
    readme.write_text(
        page.README.read_text(encoding="utf-8").replace("| 1.000 /", "| 0.999 /"), encoding="utf-8"
    )
    monkeypatch.setattr(page, "README", readme)
    assert page.main(["--check"]) == 1
    assert capsys.readouterr().err.startswith("README.md: ")


def test_every_sentence_by_hand_has_its_place() -> None:
    places = {"preface", "not possible", "repeat"}
    places |= {section.key for section in SECTIONS} | {f"row {row.name}" for row in ROWS}
    assert set(results_page.conclusions()) <= places
