"""The command ``motifgpu demo``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import DONE, AddCommand, print_json


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command("demo", "analyse a simulated micrograph and compare what is found with its truth")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("demo"), help="folder to write to (default: demo)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.core.progress import Progress
    from motifgpu.demo import compare, simulated

    with Progress("demo", quiet=args.quiet) as progress:
        truth, analysis = simulated(progress)
        progress("writing the report", 0.95)
        report = analysis.report(args.out)
    comparison = compare(analysis, truth)
    if args.json:
        print_json({**comparison.figures, "report": str(report)})
    else:
        print(f"{comparison.text}\n\nreport: {report}")
    return DONE
