"""The command ``motifgpu merge``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import AddCommand
from motifgpu.cli.run import tell


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "merge", "write the tables of a run whose shards are finished, or combine several runs", "out.motif"
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs")
    parser.add_argument(
        "-o", "--out", type=Path, help="folder for several runs together (default: the one named)"
    )
    parser.add_argument("--no-report", action="store_true", help="do not write report.html")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu import dataset

    found = dataset.merge(args.runs, args.out)
    if not args.no_report:
        found.report()
    return tell(found, args.json)
