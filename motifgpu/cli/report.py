"""The command ``motifgpu report``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import DONE, AddCommand
from motifgpu.cli.streams import print_json, say


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command("report", "write the report of a run, or the page of one of its micrographs")
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument("--micrograph", metavar="NAME", help="write the page of this one, analysed again")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.dataset.results import Run

    path = Run(args.run).report(args.micrograph)
    if args.json:
        print_json({"report": str(path)})
    else:
        say(path)
    return DONE
