"""What commands share: argument types, the options of an analysis, and where output goes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from motifgpu.cli.parsers import OptionGroup, group
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


def whole(least: int) -> Callable[[str], int]:
    """Return what reads a whole number of at least `least`."""

    def read(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return value

    read.__name__ = "whole number"  # as argparse says what a text is not
    return read


# The options of an analysis by what they are about, with an example of each.
_MOTIFS = "motifs", "--motifs 4 --seed 1"
GROUPS: dict[tuple[str, str], tuple[str, ...]] = {
    ("the image", "--pixel-size 0.015 --signal HAADF"): ("pixel_size_nm",),
    ("atom columns", "--lattice none --smoothing svd"): ("smoothing", "lattice", "invert"),
    ("patches and their moments", "--patch-size 18.5 --order 8"): (
        *("remove_background", "patch_size", "order", "rotation_invariant"),
    ),
    _MOTIFS: ("n_motifs", "n_neighbors", "metric", "seed"),
    ("how it is computed", "--backend numpy --config results/config.toml"): ("backend",),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an analysis, in groups."""
    made = []
    for about, names in GROUPS.items():
        made.append(group(parser, *about))
        for name in names:
            add_option(made[-1], name)
    made[0].add_argument("--signal", help="title of the image, if a file holds several")
    made[-1].add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file of options, such as the config.toml of a run"
    )


def add_option(parser: argparse.ArgumentParser | OptionGroup, name: str) -> None:
    """Add one option of `motifgpu.options.Options`; the parsed value stands under its name there."""
    rule, default = RULES[name], getattr(Options, name)
    usual = rule.unset if default is None else default
    if rule.kind is bool:
        action: Any = "store_true" if default is False else argparse.BooleanOptionalAction
        about = rule.about if default is False else f"{rule.about} (default: {usual})"
        parser.add_argument(rule.flag, dest=name, action=action, default=default, help=about)
        return
    read: dict[type, Any] = {float: positive, int: whole(rule.least), str: None}
    parser.add_argument(
        rule.flag,
        dest=name,
        type=read[rule.kind],
        default=default,
        choices=rule.choices or None,
        metavar=rule.metavar or (None if rule.choices else rule.flag.lstrip("-").upper()),
        help=" ".join(filter(None, (rule.about, "" if usual == "" else f"(default: {usual})"))),
    )


def add_dictionary(parser: argparse.ArgumentParser) -> None:
    """Add the option of an analysis that names motifs by a dictionary."""
    group(parser, *_MOTIFS).add_argument(
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
