"""The command ``motifgpu check``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import DONE, FAILED, AddCommand, workers
from motifgpu.cli.streams import print_json, say


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "check", "hold everything in the folder of a run against its checksums", "out.motif --repair"
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--repair", action="store_true", help="make again what is damaged or missing, from the input files"
    )
    parser.add_argument("--workers", type=workers, metavar="N", help="processes (default: one per processor)")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu import dataset
    from motifgpu.core.progress import Progress

    with Progress("check", quiet=args.quiet) as progress:
        found = dataset.check(args.run, repair=args.repair, workers=args.workers, progress=progress)
    if args.json:
        said = {"damage": found.damage, "repaired": found.repaired, "lost": found.lost}
        print_json({"folder": str(args.run), **said})
    else:
        for text in found.damage:
            say(f"{text}: repaired" if text in found.repaired else text)
        say(f"{args.run}: {_verdict(len(found.damage), len(found.lost), args.repair)}")
    return FAILED if found.lost else DONE


def _verdict(damage: int, lost: int, repair: bool) -> str:
    if not damage:
        return "all is as it was written"
    if not repair:
        return f"{damage:,} damaged or missing; --repair makes them again"
    return f"{damage - lost:,} repaired" + (f", {lost:,} cannot be" if lost else "")
