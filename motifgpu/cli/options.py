"""What commands share: argument types, the options of an analysis, and where output goes."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from motifgpu.cli.parsers import OptionGroup, group
from motifgpu.options import RULES, Options, Rule

if TYPE_CHECKING:
    from motifgpu.dictionary import MotifDictionary

DONE, FAILED, USAGE, QUARANTINED, NO_GPU, INTERRUPTED = 0, 1, 2, 3, 4, 130


class AddCommand(Protocol):
    """Makes the parser of a command with the options that all have."""

    def __call__(self, name: str, text: str, example: str) -> argparse.ArgumentParser:
        """Return the parser of the command `name`, with a help and an example of arguments."""


@dataclass(frozen=True)
class Number:
    """Reads a number from an argument."""

    least: float
    most: float
    kind: ClassVar[type] = float
    called: ClassVar[str] = "a number"

    def __str__(self) -> str:
        form = "d" if self.kind is int else "g"
        return f"{self.called} from {self.least:{form}} to {self.most:{form}}"

    def __call__(self, text: str) -> float:
        """Return the number that an argument states."""
        try:
            value: float = self.kind(text)
        except ValueError:
            value = math.nan
        if not self.least <= value <= self.most:
            raise argparse.ArgumentTypeError(f"{_short(text)} is not {self}")
        return value


class Whole(Number):
    """Reads a whole number from an argument."""

    kind = int
    called = "a whole number"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."


fraction = Number(0, 1)
motif = Whole(-1, 2**31 - 1)
seed = Whole(0, 2**64 - 1)
workers = Whole(1, 256)


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


def _argument(rule: Rule) -> Callable[[str], Any]:
    """Return how an option is read."""
    if rule.kind is int:
        return Whole(int(rule.least), int(rule.most))
    return Number(rule.least, rule.most) if rule.kind is float else str


def add_option(parser: argparse.ArgumentParser | OptionGroup, name: str) -> None:
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
        type=_argument(rule),
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
