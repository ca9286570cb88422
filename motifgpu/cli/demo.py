"""The command ``motifgpu demo``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from motifgpu.cli.options import DONE, AddCommand
from motifgpu.cli.streams import print_json, say


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "demo", "analyse a simulated micrograph and compare what is found with its truth", "-o demo"
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("demo"), help="folder to write to (default: demo)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.core.progress import Progress
    from motifgpu.demo import COUNTS, compare, simulated

    with Progress("demo", quiet=args.quiet) as progress:
        truth, analysis = simulated(progress)
        progress("writing the report", 0.95)
        report = analysis.report(args.out)
    found = compare(analysis, truth)
    if args.json:
        print_json({**found, "report": str(report)})
    else:
        say(f"{_described(found, truth.image.shape, COUNTS)}\n\nreport: {report}")
    return DONE


def _described(figures: dict[str, Any], shape: tuple[int, int], counts: float) -> str:
    """Return what was found and what is true as a table to read."""
    height, width = shape
    kinds = sum(map(bool, figures["true_counts"].values()))
    lines = [
        f"Simulated MoSe2 monolayer, {height} x {width} px, {counts:g} counts at the peak, analysed in "
        f"{figures['seconds']:.2f} s",
        "",
        f"{'':28}{'found':>10}{'truth':>10}",
        f"{'atom columns':28}{figures['columns']:>10,}{figures['true_columns']:>10,}",
        f"{'sites without an atom':28}{figures['empty_sites']:>10,}{figures['true_empty_sites']:>10,}",
        f"{'precision':28}{figures['precision']:>10.3f}{1:>10}",
        f"{'recall':28}{figures['recall']:>10.3f}{1:>10}",
        f"{'position error (px RMS)':28}{figures['position_error_px']:>10.3f}{0:>10}",
        f"{'kinds of column':28}{len(figures['motifs']):>10}{kinds:>10}",
        f"{'AMI, identity':28}{figures['identity_ami']:>10.3f}{1:>10}",
        f"{'AMI, environment':28}{figures['environment_ami']:>10.3f}{1:>10}",
        "",
        f"{'motif':>6}{'columns':>10}  {'which is':<8}{'in truth':>10}{'precision':>11}{'recall':>9}",
    ]
    lines += [
        f"{row['motif']:>6}{row['columns']:>10,}  {row['truth']:<8}{row['true_columns']:>10,}"
        f"{row['agree']:>11.3f}{row['recall']:>9.3f}"
        for row in figures["motifs"]
    ]
    return "\n".join(lines)
