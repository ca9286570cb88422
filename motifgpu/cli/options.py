"""What commands share: argument types, the options of an analysis, and where output goes."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis
    from motifgpu.dictionary import MotifDictionary

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


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an analysis."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file of options, such as the config.toml of a run"
    )
    parser.add_argument("--signal", help="which image, where a file holds several")
    parser.add_argument(
        "--pixel-size", type=positive, metavar="NM", help="pixel size in nm, if the file lacks it"
    )
    parser.add_argument("--smoothing", choices=("auto", "fft", "svd"), default="auto", help="(default: auto)")
    parser.add_argument(
        "--remove-background", action="store_true", help="take uneven brightness off before the moments"
    )
    parser.add_argument(
        "--patch-size", type=positive, metavar="PX", help="side of a patch (default: measured)"
    )
    parser.add_argument("--order", type=int, help="largest Zernike order (default: 10, coarse images 6)")
    parser.add_argument("--rotation-invariant", action="store_true", help="do not tell orientations apart")
    parser.add_argument(
        "--neighbors", type=int, default=10, help="of the graph, itself counted (default: 10)"
    )
    parser.add_argument(
        "--metric",
        choices=("correlation", "euclidean"),
        default="correlation",
        help="distance in the graph (default: correlation)",
    )
    parser.add_argument("--motifs", type=int, metavar="N", help="number of motifs (default: found)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: 0)")
    parser.add_argument(
        "--backend", choices=("auto", "numpy", "cupy"), default="auto", help="(default: auto)"
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
    return {
        "pixel_size_nm": args.pixel_size,
        "smoothing": args.smoothing,
        "remove_background": args.remove_background,
        "patch_size": args.patch_size,
        "order": args.order,
        "rotation_invariant": args.rotation_invariant,
        "n_neighbors": args.neighbors,
        "metric": args.metric,
        "n_motifs": args.motifs,
        "seed": args.seed,
        "backend": args.backend,
    }


def log(text: str) -> None:
    """Write a line to standard error."""
    print(f"motifgpu: {text}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Write the result to standard output as JSON."""
    print(json.dumps(value, indent=1))


def analyzed(args: argparse.Namespace) -> Analysis:
    """Return the analysis of the one micrograph that a command names."""
    from motifgpu.core.progress import Progress
    from motifgpu.io.micrograph import read
    from motifgpu.pipeline import analyze

    with Progress(args.path.name, quiet=args.quiet) as progress:
        return analyze(
            read(args.path, args.signal), dictionary=dictionary(args), progress=progress, **options(args)
        )
