from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motifgpu import cli, pipeline, simulate
from motifgpu.cli import options
from motifgpu.core import device
from motifgpu.options import RULES


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scans") / "scan.npy"
    np.save(path, simulate.monolayer("MoSe2", (192, 192), counts=30, vacancies=0.05, seed=1).image)
    return path


@pytest.mark.usefixtures("little_drawn")
def test_analyze_writes_what_it_says(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["analyze", str(scan), "-o", str(tmp_path), "--pixel-size", "0.015"])
    out = capsys.readouterr()
    assert code == options.DONE
    report = tmp_path / "scan" / "report.html"
    assert f"report: {report}" in out.out
    assert report.exists()
    assert json.loads((tmp_path / "scan" / "summary.json").read_text())["pixel_size_nm"] == 0.015


@pytest.mark.usefixtures("little_drawn")
def test_json_is_all_of_standard_output(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["analyze", "--json", "-q", str(scan), str(scan), "-o", str(tmp_path), "--motifs", "3"])
    result = json.loads(capsys.readouterr().out)
    assert code == options.DONE
    assert result["failed"] == []
    assert [item["n_motifs"] for item in result["analyses"]] == [3, 3]
    assert (tmp_path / "scan-2" / "report.html").exists()


@pytest.mark.usefixtures("little_drawn")
def test_dark_columns_and_single_atoms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("dark_perovskite", "atoms"):
        np.save(tmp_path / f"{kind}.npy", simulate.sample(kind, (160, 160), seed=1).image)

    def analysed(kind: str, *flags: str) -> dict[str, Any]:
        given = [
            "analyze",
            "--json",
            "-q",
            "--still",
            str(tmp_path / f"{kind}.npy"),
            "-o",
            str(tmp_path),
            *flags,
        ]
        cli.main(given)
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    decided, chosen, left = (
        analysed("dark_perovskite", *flags)["analyses"][0] for flags in ((), ("--invert",), ("--no-invert",))
    )
    assert any("columns are dark" in text for text in decided["warnings"])
    assert not any("columns are dark" in text for text in chosen["warnings"] + left["warnings"])
    assert chosen["columns"] == decided["columns"] != left["columns"]
    assert [item["parameters"]["invert"] for item in (decided, chosen, left)] == [None, True, False]
    assert "the image has no lattice" in str(analysed("atoms")["failed"])
    assert analysed("atoms", "--lattice", "none")["analyses"][0]["columns"] > 30


@pytest.mark.usefixtures("little_drawn")
def test_a_bad_file_does_not_stop_the_others(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"no image")
    np.save(tmp_path / "flat.npy", np.zeros((64, 64)))
    code = cli.main(
        ["analyze", "-q", "--json", str(bad), str(scan), str(tmp_path / "flat.npy"), "-o", str(tmp_path)]
    )
    out = capsys.readouterr()
    result = json.loads(out.out)
    assert code == options.QUARANTINED
    assert len(result["analyses"]) == 1
    assert [item["source"] for item in result["failed"]] == [str(bad), str(tmp_path / "flat.npy")]
    assert "the image is constant" in out.err
    assert cli.main(["analyze", "-q", str(bad), "-o", str(tmp_path)]) == options.FAILED


def test_missing_gpu_has_its_own_code(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if device.gpu_problem() is None:
        pytest.skip("there is a GPU")
    assert cli.main(["analyze", "-q", str(scan), "-o", str(tmp_path), "--backend", "cupy"]) == options.NO_GPU
    assert "no GPU can be used" in capsys.readouterr().err


def test_interrupt(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "find_columns", stop)
    assert cli.main(["analyze", "-q", str(scan), "-o", str(tmp_path)]) == options.INTERRUPTED


def test_an_interrupt_before_the_command_begins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(argv: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "parse", stop)
    assert cli.main(["run", "in"]) == options.INTERRUPTED
    assert capsys.readouterr().err == ("motifgpu: interrupted before it began; the same command begins it\n")


def test_unwritable_folder(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["analyze", "-q", str(scan), "-o", str(tmp_path / "file")]) == options.FAILED
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_full_disk_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from motifgpu.core.files import write_text

    path = write_text(tmp_path / "report.html", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.usefixtures("little_drawn")
def test_simulate_then_analyze(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [
        "simulate",
        str(tmp_path / "a"),
        "--shape",
        "160",
        "200",
        "--vacancies",
        "0.1",
        "--dopant",
        "W=0.05",
    ]
    assert cli.main([*made, "--seed", "4"]) == options.DONE
    assert "160 x 200 px" in capsys.readouterr().out
    with np.load(tmp_path / "a.npz") as archive:
        assert archive["image"].shape == (160, 200)
        assert len(archive["points"]) == len(archive["labels"])
    assert cli.main(["analyze", "--json", "-q", str(tmp_path / "a.npz"), "-o", str(tmp_path)]) == options.DONE
    assert json.loads(capsys.readouterr().out)["analyses"][0]["pixel_size_nm"] == pytest.approx(0.3288 / 22)


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze"],
        ["analyze", "a.npy", "--pixel-size", "-1"],
        ["analyze", "a.npy", "--backend", "opencl"],
        ["simulate", "a.npz", "--vacancies", "2"],
        ["simulate", "a.npz", "--dopant", "W"],
        ["nonsense"],
    ],
)
def test_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == options.USAGE


def test_no_command_is_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == options.USAGE
    assert "usage: motifgpu" in capsys.readouterr().err


def test_info_says_why_there_is_no_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "--json"]) == options.DONE
    facts = json.loads(capsys.readouterr().out)
    assert (facts["gpu"] is None) == (facts["why_no_gpu"] is not None)
    assert facts["versions"]["numpy"] == np.__version__
    assert cli.main(["info"]) == options.DONE
    assert "CPU threads" in capsys.readouterr().out


def test_help_imports_no_science() -> None:
    code = (
        "import sys, motifgpu.cli as c\n"
        "try: c.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'scipy', 'numba', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


@pytest.mark.usefixtures("little_drawn")
def test_demo_compares_with_the_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "-q", "--json", "-o", str(tmp_path)]) == options.DONE
    found = json.loads(capsys.readouterr().out)
    assert found["precision"] > 0.99
    assert found["recall"] > 0.99
    assert found["identity_ami"] > 0.9
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["analyse", "a.npy"], "there is no command 'analyse'; did you mean analyze?"),
        (["xyzzy"], "there is no command 'xyzzy'. See motifgpu --help"),
        (
            ["analyze", "a.npy", "--patchsize", "3"],
            "there is no option --patchsize; did you mean --patch-size",
        ),
        (["run", "a.npy", "--dictonary=x"], "there is no option --dictonary; did you mean --dictionary?"),
        (["export", "a", "b.csv", "c"], "there is no argument c. See motifgpu export --help"),
        (["analyze", "a.npy", "--neighbors", "1"], "argument --neighbors: 1 is not a whole number from 2 to"),
        (["analyze", "a.npy", "--motifs", "few"], "argument --motifs: few is not a whole number from 1"),
    ],
)
def test_what_was_perhaps_meant_is_said(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == options.USAGE
    said = capsys.readouterr().err
    assert text in said
    assert f"usage: motifgpu {arguments[0]} " in said or "no command" in text


def test_options_are_in_groups_with_an_example_that_is_understood() -> None:
    """Every option of an analysis is in one group, and what a group's example says can be given."""
    grouped = [name for names in options.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(RULES)
    for _, example in options.GROUPS:
        args = cli.make_parser().parse_args(["analyze", "a.npy", *example.split()])
        assert args.command == "analyze"


def test_an_interrupt_of_which_another_error_was_made_is_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("Error calling __set_name__") from error

    monkeypatch.setattr(cli, "_run", interrupted)
    assert cli.main(["info"]) == options.INTERRUPTED
    assert "interrupted" in capsys.readouterr().err
