"""The command ``motifgpu report``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import DONE, AddCommand
from motifgpu.cli.parsers import group
from motifgpu.cli.streams import print_json, say
from motifgpu.core.choices import FIGURES


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "report",
        "write the report of a run, and pages of its micrographs",
        "out.motif --micrograph scan07.dm4",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--figures",
        choices=FIGURES,
        help="write the figures to files too, in the folder figures of the run, with the tables that they "
        "show as CSV; and those of pages in this form",
    )
    pages = group(parser, "pages of single micrographs", "--micrograph scan07.dm4 --micrograph scan12.dm4")
    pages.add_argument(
        "--micrograph",
        action="append",
        default=[],
        metavar="NAME",
        help="write the page of this one, analysed again, to which the report then has a link; NAME is the "
        "end of its path, as much of it as tells it from the others; may be given several times",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.core.progress import Progress
    from motifgpu.dataset.results import Run

    found = Run(args.run)
    pages = []
    with Progress("report", quiet=args.quiet) as progress:
        for place, name in enumerate(args.micrograph):
            progress(f"page of {name}", place / (len(args.micrograph) + 1))
            pages.append(found.report(name, figures=args.figures))
        progress("writing the report", 0.95)
        report = found.report(figures=args.figures)
    if args.json:
        print_json({"report": str(report), "pages": list(map(str, pages))})
    else:
        say("\n".join(map(str, pages or [report])))
    return DONE
