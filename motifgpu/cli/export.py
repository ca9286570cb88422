"""The command ``motifgpu export``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import DONE, AddCommand
from motifgpu.cli.streams import print_json, say


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "export", "write the columns of a run as one file for other programs", "out.motif columns.csv"
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "out",
        type=Path,
        metavar="OUT",
        help="a file ending in .parquet or .csv (columns), .h5ad (AnnData), or .hspy (class averages)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.dataset.export import export
    from motifgpu.dataset.results import Run

    path = export(Run(args.run), args.out)
    if args.json:
        print_json({"file": str(path)})
    else:
        say(path)
    return DONE
