from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motifgpu import Analysis, StageError, cli, simulate
from motifgpu.cli import config
from motifgpu.cli.options import Whole
from motifgpu.cli.parsers import command_parsers
from motifgpu.core.toml import to_toml
from motifgpu.store.sealed import seal_damage


def parsed(*argv: str) -> argparse.Namespace:
    return cli.parse(list(argv))[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.toml"


EVERY_OPTION = """
paths = ["a.npy", "b c.tif"]
out = "results"
signal = "HAADF"
pixel-size = 0.0125
smoothing = "fft"
patch-size = 30
order = 8
rotation-invariant = true
neighbors = 12
motifs = 3
seed = 7
backend = "numpy"
"""


def test_every_option_can_stand_in_the_file(file: Path) -> None:
    file.write_text(EVERY_OPTION)
    from_file = parsed("analyze", "--config", str(file))
    flags = ["analyze", "a.npy", "b c.tif", "-o", "results", "--signal", "HAADF", "--pixel-size", "0.0125"]
    flags += ["--smoothing", "fft", "--patch-size", "30", "--order", "8", "--rotation-invariant"]
    flags += ["--neighbors", "12", "--motifs", "3", "--seed", "7", "--backend", "numpy"]
    from_flags = parsed(*flags)
    for name in tomllib.loads(EVERY_OPTION):
        dest = config.actions(from_flags.parser)[name].dest
        a, b = getattr(from_file, dest), getattr(from_flags, dest)
        assert (type(a), a) == (type(b), b), name


def test_flags_win(file: Path) -> None:
    file.write_text('paths = ["a.npy"]\nseed = 7\norder = 8\n')
    args = parsed("analyze", "c.npy", "--seed", "0", "--config", str(file))
    assert (args.paths, args.seed, args.order) == ([Path("c.npy")], 0, 8)
    assert parsed("analyze", "c.npy").seed == 0  # the file of one call does not stay for the next
    assert parsed("analyze", "c.npy").order is None
    assert parsed("analyze", f"--conf={file}").seed == 7


def test_required_options_may_come_from_the_file(file: Path) -> None:
    file.write_text('filled = [0, 2]\nlevel = 3\npath = "a.npy"\n')
    args = parsed("occupancy", "--config", str(file))
    assert (args.filled, args.hollow, args.level, args.path) == ([0, 2], [], 3, Path("a.npy"))
    with pytest.raises(SystemExit):
        parsed("occupancy", "a.npy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 3", "motifgpu analyze has no option 'colour'; choose among paths, out, reconstruction"),
        ("pixel_size = 3", "has no option 'pixel_size'"),
        ("quiet = true", "has no option 'quiet'"),
        ('config = "b"', "has no option 'config'"),
        ("seed = 1.5", "seed is 1.5; give a whole number"),
        ("seed = true", "seed is True; give a whole number"),
        ('seed = "3"', "seed is '3'; give a whole number"),
        ('pixel-size = "small"', "pixel-size is 'small'; give a number"),
        ("pixel-size = -1", "pixel-size is -1 (-1 is not a number from 0.0001 to 1e+06); give a number"),
        ("pixel-size = nan", "pixel-size is nan (nan is not a number from 0.0001"),
        ('smoothing = "median"', 'smoothing is \'median\'; give one of "auto", "fft", "svd"'),
        ("smoothing = 1", 'give one of "auto"'),
        ("rotation-invariant = 1", "rotation-invariant is 1; give true or false"),
        ('paths = "a.npy"', "paths is 'a.npy'; give a list in brackets of one or more, each text in quotes"),
        ("paths = []", "paths is []"),
        ("paths = [1]", "paths is [1]"),
        ("out = 3", "out is 3; give text in quotes"),
        ("seed = [1]", "seed is [1]"),
        ("[analyze]\nseed = 1", "has no option 'analyze'"),
        ("seed 3", "is not TOML"),
        ("seed = 1\nseed = 2", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
    ],
)
def test_refused(file: Path, text: str | bytes, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SystemExit) as caught:
        cli.main(["analyze", "a.npy", "--config", str(file)])
    assert caught.value.code == cli.USAGE
    error = capsys.readouterr().err.split("error: ", 1)[1]
    assert str(file) in error
    assert message in error


@pytest.mark.parametrize("number", ["[0]", "[0, 1, 2]"])
def test_as_many_as_the_option_wants(number: str, file: Path) -> None:
    parser = argparse.ArgumentParser(prog="p")
    parser.add_argument("--shape", nargs=2, type=Whole(0, 9))
    file.write_text(f"shape = {number}")
    with pytest.raises(StageError, match="give a list in brackets of 2, each a whole number from 0 to 9"):
        config.apply(file, parser)


def test_a_missing_file_is_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(SystemExit):
            cli.main(["analyze", "a.npy", "--config", str(path)])
        assert f"config: {path}: " in capsys.readouterr().err


def test_an_option_without_a_file_is_usage_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["analyze", "a.npy", "--config"])
    assert "motifgpu analyze: error: argument --config: expected one argument" in capsys.readouterr().err


def test_commands_without_options_have_no_config(file: Path) -> None:
    file.write_text("seed = 1")
    with pytest.raises(SystemExit):
        parsed("info", "--config", str(file))
    assert parsed().command is None
    assert parsed("--version").version


def test_every_analysing_command_takes_one() -> None:
    takes = [name for name, p in command_parsers(cli.make_parser()).items() if config.takes_config(p)]
    assert {"analyze", "occupancy", "reconstruct"} <= set(takes)


scalars = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text())


@settings(max_examples=50)
@given(st.dictionaries(st.from_regex(r"[a-z][a-z-]*", fullmatch=True), scalars | st.lists(scalars)))
def test_toml_of_any_value_reads_back(values: dict[str, Any]) -> None:
    read = tomllib.loads(to_toml(values))
    assert read == values
    assert [type(v) for v in read.values()] == [type(v) for v in values.values()]


def test_names_that_are_no_unicode_do_no_harm() -> None:
    assert tomllib.loads(to_toml({"a": "x\udcff"})) == {"a": "x?"}


def test_what_is_written_is_what_was_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    args = parsed("analyze", "a.npy", "b/ü.npy", "--patch-size", "14.5", "--order", "6", "-q", "--json")
    path = config.write(args, tmp_path / "out")
    assert seal_damage(path) == ""
    text = path.read_text(encoding="utf-8").rpartition("# sha256")[0]
    assert path == tmp_path / "out" / "config.toml"
    assert "motifgpu analyze --config config.toml" in text
    assert text.split("\n", 1)[1] == config.effective(args)
    monkeypatch.chdir("/")
    again = parsed("analyze", "--config", str(path))
    assert again.paths == [tmp_path / "a.npy", tmp_path / "b/ü.npy"]
    assert config.effective(again) == text.split("\n", 1)[1]
    for name in set(vars(args)) - {"paths", "out", "parser", "config", "quiet", "json"}:
        assert getattr(again, name) == getattr(args, name), name
    assert not again.quiet


def test_a_run_again_from_its_own_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Analysis, "figures", lambda *args, **more: {})  # they take most of the time
    monkeypatch.setattr("motifgpu.report.folder.render", lambda *args, **more: "")
    scan, file = tmp_path / "scan.npy", tmp_path / "my.toml"
    np.save(scan, simulate.monolayer("MoSe2", (160, 160), counts=30, vacancies=0.1, seed=1).image)
    file.write_text("patch-size = 30.0\nmotifs = 4\npixel-size = 0.02\n")
    first = ["analyze", "-q", str(scan), "-o", str(tmp_path / "one"), "--config", str(file), "--motifs", "3"]
    assert cli.main(first) == cli.DONE
    written = tmp_path / "one" / "config.toml"
    assert tomllib.loads(written.read_text())["motifs"] == 3
    assert cli.main(["analyze", "-q", "--config", str(written), "-o", str(tmp_path / "two")]) == cli.DONE
    tables = [(tmp_path / name / "scan" / "columns.csv").read_text() for name in ("one", "two")]
    assert tables[0] == tables[1]
    assert capsys.readouterr().out.count("atom columns, 3 motifs, ") == 2
