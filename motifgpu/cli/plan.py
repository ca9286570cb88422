"""The command ``motifgpu plan``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import DONE, AddCommand, add_options
from motifgpu.cli.streams import print_json, say


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command("plan", "estimate memory and time of an analysis, without running it", "scan.dm4")
    parser.add_argument("path", type=Path, metavar="PATH", help="a micrograph")
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="file of python -m motifgpu.planning.calibration, measured on this machine",
    )
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.planning.cost import plan

    found = plan(
        args.path,
        signal=args.signal,
        patch_size=args.patch_size,
        order=args.order,
        n_neighbors=args.n_neighbors,
        backend="numpy" if args.backend == "auto" else args.backend,
        calibration=args.calibration,
    )
    if args.json:
        print_json({"source": str(args.path), **found.summary()})
    else:
        say(f"{args.path}: {found}")
    return DONE
