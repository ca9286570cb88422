"""The command ``motifgpu merge``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import AddCommand
from motifgpu.cli.run import tell


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command("merge", "make the tables of a run whose shards are done, or one run of several")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs")
    parser.add_argument(
        "-o", "--out", type=Path, help="folder to put several runs together in (default: the one named)"
    )
    parser.add_argument("--no-report", action="store_true", help="leave report.html out")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu import dataset

    found = dataset.merge(args.runs, args.out)
    if not args.no_report:
        found.report()
    return tell(found, args.json)
