"""Every number that the command line takes has bounds, which are told before any work."""

from __future__ import annotations

import argparse

import pytest

from motifgpu import Micrograph, StageError, analyze, cli, simulate
from motifgpu.cli.options import Number, Whole
from motifgpu.cli.parsers import arguments, command_parsers

ODD = "1e400", "-1e400", "nan", "1" * 400, "-" + "1" * 400, "1e300", "", "²", "0x10", "few"
NEEDED = {"occupancy": ["a", "--filled", "0"], "dictionary": ["show", "a"], "demo": []}


def _numbers() -> list[tuple[str, argparse.Action]]:
    """Return the commands and their options that are numbers."""
    return [
        (name, action)
        for name, parser in command_parsers(cli.make_parser()).items()
        for action in arguments(parser)
        if isinstance(action.type, (Whole, Number))
    ]


def test_no_number_is_read_without_bounds() -> None:
    """Each option that has a number for its default, or is read as one, is read within bounds."""
    for parser in command_parsers(cli.make_parser()).values():
        for action in arguments(parser):
            assert action.type not in (int, float)
            if isinstance(action.default, (int, float)) and not isinstance(action.default, bool):
                assert isinstance(action.type, (Whole, Number)), action.option_strings
    assert len(_numbers()) > 30


@pytest.mark.parametrize("text", ODD)
def test_odd_numbers_are_told(text: str) -> None:
    for _, action in _numbers():
        assert callable(action.type)
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            action.type(text)
        assert str(caught.value).endswith(f" is not {action.type}")
        assert len(str(caught.value)) < 120


def test_odd_numbers_are_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for name, action in _numbers():
        given = ["few"] * (action.nargs if isinstance(action.nargs, int) else 1)
        with pytest.raises(SystemExit) as caught:
            cli.main([name, *NEEDED.get(name, ["a"]), action.option_strings[-1], *given])
        assert caught.value.code == cli.USAGE
        assert f"few is not {action.type}" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("order", 99),
        ("order", -1),
        ("patch_size", 1e9),
        ("patch_size", 1e-3),
        ("pixel_size_nm", 1e300),
        ("pixel_size_nm", 1e-300),
        ("n_neighbors", 10**24),
        ("n_motifs", 10**24),
        ("seed", -1),
        ("seed", 2**64),
    ],
)
def test_the_same_bounds_hold_in_python(option: str, value: float) -> None:
    image = simulate.monolayer(shape=(64, 64)).image
    with pytest.raises(StageError, match=rf"{option} is .*; give a (whole )?number from"):
        analyze(image, **{option: value})


@pytest.mark.parametrize("size", [1e-300, 1e300, float("nan"), 0.0, -1.0])
def test_pixels_have_a_size_that_a_microscope_has(size: float) -> None:
    with pytest.raises(StageError, match=r"pixel_size_nm is .* give a length from 0\.0001 to 1e"):
        Micrograph.from_array([[0.0, 1.0]], size)
