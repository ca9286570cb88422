from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from motifgpu import cli
from motifgpu.cli import completion
from motifgpu.cli.parsers import arguments, command_parsers


def shell(name: str, *arguments: str, cwd: Path | None = None) -> str:
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def offered(tmp_path: Path, *words: str) -> list[str]:
    """Return what bash's completion function answers for the last of the words."""
    script = tmp_path / "completion"
    script.write_text(completion.script("bash"))
    typed = " ".join(f"'{word}'" for word in ("motifgpu", *words))
    asked = (
        f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _motifgpu; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return shell("bash", "--norc", "-c", asked).split()


def test_every_command_and_every_flag_is_offered(tmp_path: Path) -> None:
    parsers = command_parsers(cli.make_parser())
    assert offered(tmp_path, "") == [*parsers, "--version", "--help"]
    for name in ("analyze", "simulate", "info"):
        flags = [flag for action in arguments(parsers[name]) for flag in action.option_strings]
        assert offered(tmp_path, name, "-") == flags


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["an"], ["analyze"]),
        (["nonsense", ""], []),
        (["analyze", "--sm"], ["--smoothing"]),
        (["analyze", "--smoothing", ""], ["auto", "fft", "svd"]),
        (["analyze", "--smoothing", "f"], ["fft"]),
        (["analyze", "a.npy", "--backend", "c"], ["cupy"]),
        (["analyze", "--seed", "-"], []),  # a number follows
        (["analyze", "-o", ""], []),  # a file follows, which bash completes itself
        (["analyze", ""], []),
        (["occupancy", "--level", ""], ["2", "3"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["completion", "z"], ["zsh"]),
    ],
)
def test_what_bash_offers(words: list[str], wanted: list[str], tmp_path: Path) -> None:
    assert offered(tmp_path, *words) == wanted


def test_bash_falls_back_on_files(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(completion.script("bash"))
    assert "-o default -F _motifgpu motifgpu" in shell(
        "bash", "--norc", "-c", f"source {tmp_path / 'script'}; complete -p motifgpu"
    )


def test_zsh_takes_it(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(completion.script("zsh"))
    asked = f"autoload -U compinit; compinit -u -D; source {tmp_path / 'script'}; print $_comps[motifgpu]"
    assert shell("zsh", "-f", "-c", asked, cwd=tmp_path).strip() == "_motifgpu"


def test_fish_offers_the_same(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(completion.script("fish"))
    for typed, wanted in (
        ("motifgpu ana", ["analyze"]),
        ("motifgpu analyze --smoothing ", ["auto", "fft", "svd"]),
        ("motifgpu completion ", ["bash", "zsh", "fish"]),
        ("motifgpu analyze --rot", ["--rotation-invariant"]),
    ):
        asked = f"source {tmp_path / 'script'}; complete -C '{typed}'"
        found = shell("fish", "--no-config", "-c", asked, cwd=tmp_path).splitlines()
        assert sorted(line.split("\t")[0] for line in found) == sorted(wanted), typed


def test_the_command_prints_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("bash", "zsh", "fish"):
        assert cli.main(["completion", name]) == cli.DONE
        assert capsys.readouterr().out == completion.script(name)
    with pytest.raises(SystemExit):
        cli.main(["completion", "tcsh"])
