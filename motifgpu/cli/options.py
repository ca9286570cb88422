"""What commands share: argument types, the options of an analysis, and where output goes."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from motifgpu.options import RULES, Options

if TYPE_CHECKING:
    from motifgpu.dictionary import MotifDictionary

ARCHIVE = "analysis.zip"  # a saved analysis in the folder of its report
DONE, FAILED, USAGE, QUARANTINED, NO_GPU, INTERRUPTED = 0, 1, 2, 3, 4, 130


class AddCommand(Protocol):
    """Makes the parser of a command with the options that all have."""

    def __call__(self, name: str, text: str) -> argparse.ArgumentParser:
        """Return the parser of the command `name`, with `text` as its help."""


def positive(text: str) -> float:
    """Return the positive number that an argument states."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def fraction(text: str) -> float:
    """Return the number from 0 to 1 that an argument states."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


# How an option of a kind is read; a whole number is checked where it is used.
_ARGUMENT: dict[type, Any] = {float: positive, int: int, str: None}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an analysis."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file of options, such as the config.toml of a run"
    )
    parser.add_argument("--signal", help="title of the image, if a file holds several")
    for name in RULES:
        add_option(parser, name)


def add_option(parser: argparse.ArgumentParser, name: str) -> None:
    """Add one option of `motifgpu.options.Options`; the parsed value stands under its name there."""
    rule, default = RULES[name], getattr(Options, name)
    usual = rule.unset if default is None else default
    if rule.kind is bool:
        action: Any = "store_true" if default is False else argparse.BooleanOptionalAction
        about = rule.about if default is False else f"{rule.about} (default: {usual})"
        parser.add_argument(rule.flag, dest=name, action=action, default=default, help=about)
        return
    parser.add_argument(
        rule.flag,
        dest=name,
        type=_ARGUMENT[rule.kind],
        default=default,
        choices=rule.choices or None,
        metavar=rule.metavar or (None if rule.choices else rule.flag.lstrip("-").upper()),
        help=" ".join(filter(None, (rule.about, "" if usual == "" else f"(default: {usual})"))),
    )


def add_dictionary(parser: argparse.ArgumentParser) -> None:
    """Add the option of an analysis that names motifs by a dictionary."""
    parser.add_argument(
        "--dictionary", type=Path, metavar="FILE", help="name columns by the motifs of this dictionary"
    )


def dictionary(args: argparse.Namespace) -> MotifDictionary | None:
    """Return the dictionary that a command names, if it does."""
    from motifgpu.dictionary import MotifDictionary

    return None if args.dictionary is None else MotifDictionary.load(args.dictionary)


def options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `analyze` that the options mean."""
    return {name: getattr(args, name) for name in RULES}


def log(text: str) -> None:
    """Write a line to standard error."""
    print(f"motifgpu: {text}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Write the result to standard output as JSON."""
    print(json.dumps(value, indent=1))
