"""Words of the command line: examples that can be typed, and messages with its own options."""

from __future__ import annotations

import shlex

import pytest

from motifgpu import cli
from motifgpu.cli import COMMANDS, make_parser, parse
from motifgpu.cli.parsers import command_parsers
from motifgpu.cli.words import in_own_words


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_of_a_command_can_be_typed(command: str) -> None:
    epilog = command_parsers(make_parser())[command].epilog
    assert epilog.startswith(f"for example: motifgpu {command}")
    words = shlex.split(epilog.removeprefix("for example: motifgpu "))
    assert parse(words)[1].command == command


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_groups_are_options_of_the_command(command: str) -> None:
    parser = command_parsers(make_parser())[command]
    known = {name for action in parser._actions for name in action.option_strings}
    for group in parser._action_groups:
        words = shlex.split((group.description or "").replace(",", ""))
        assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("motifs: n_motifs is 9; leave n_motifs out", "motifs: --motifs is 9; leave --motifs out"),
        ("3 are nearly as likely; n_motifs=4 shows them", "3 are nearly as likely; --motifs 4 shows them"),
        ("give signal='HAADF', say", "give --signal HAADF, say"),
        ('choose backend="numpy".', "choose --backend numpy."),
        ("give rotation_invariant=True, or invert=False", "give --rotation-invariant, or --no-invert"),
        (
            "patch_size: there is none; give patch_size=20.5",
            "patch_size: there is none; give --patch-size 20.5",
        ),
        ("the order of the lattice, mask and seed", "the order of the lattice, mask and seed"),
        (
            "scan.tif: my_patch_size.n_motifs and metric.n_motifs",
            "scan.tif: my_patch_size.n_motifs and metric.n_motifs",
        ),
    ],
)
def test_messages_name_options_and_no_arguments_of_functions(said: str, words: str) -> None:
    assert in_own_words(said) == words


def test_what_is_out_of_range_is_said_with_the_option(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    np.save(tmp_path / "two.npy", np.random.default_rng(0).random((2, 2, 64, 64)))
    assert cli.main(["analyze", str(tmp_path / "two.npy"), "-o", str(tmp_path / "out"), "-q"]) == 1
    assert "signal=" not in capsys.readouterr().err
