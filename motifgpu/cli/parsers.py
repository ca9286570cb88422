"""The parts of argparse's parsers: what commands there are, what each takes, and what was perhaps meant."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable

OptionGroup = argparse._ArgumentGroup  # argparse has no public name for it


def arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the options and positional arguments of a parser, in the order of its help."""
    return list(parser._actions)  # argparse has no public name for them


def command_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    [commands] = (action.choices for action in arguments(parser) if action.dest == "command")
    assert isinstance(commands, dict)
    return dict(commands)


def group(parser: argparse.ArgumentParser, title: str, example: str) -> OptionGroup:
    """Return the group of options with this title, which is made with its example where there is none yet."""
    for known in parser._action_groups:
        if known.title == title:
            return known
    return parser.add_argument_group(title, f"for example: {example}")


def meant(given: str, known: Iterable[str]) -> str:
    """Return what was perhaps meant by a word that is unknown, as a question."""
    near = difflib.get_close_matches(given, list(known), n=2)
    return f"; did you mean {' or '.join(near)}?" if near else "."


def refuse_unknown(parser: argparse.ArgumentParser, left: list[str]) -> None:
    """End with the usage of a command that was given arguments it does not take."""
    options = [name for action in arguments(parser) for name in action.option_strings]
    first = next((word for word in left if word.startswith("-")), left[0])
    word = first.partition("=")[0]
    what = "option" if word.startswith("-") else "argument"
    parser.error(f"there is no {what} {word}{meant(word, options)} See {parser.prog} --help")
