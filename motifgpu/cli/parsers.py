"""The parts of argparse's parsers: what commands there are and what each takes."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the options and positional arguments of a parser, in the order of its help."""
    return list(parser._actions)  # argparse has no public name for them


def command_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    [commands] = (action.choices for action in arguments(parser) if action.dest == "command")
    assert isinstance(commands, dict)
    return dict(commands)
