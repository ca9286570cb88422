"""The command ``motifgpu twist``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import DONE, AddCommand
from motifgpu.cli.streams import print_json


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command("twist", "measure the twist angle of a bilayer", "bilayer.dm4")
    parser.add_argument("path", type=Path, metavar="PATH")
    parser.add_argument("--signal", help="title of the image, if a file holds several")
    parser.add_argument("--method", choices=("fit", "search"), default="fit", help="(default: fit)")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.io.micrograph import read
    from motifgpu.moire.twist import twist_angle

    twist = twist_angle(read(args.path, args.signal).image, args.method)
    resolved = not twist.reason
    if args.json:
        print_json(
            {
                "degrees": twist.degrees if resolved else None,
                "standard_error": twist.error if resolved else None,
                "moire_px": twist.moire_px if resolved else None,
                "reason": twist.reason,
            }
        )
    elif resolved:
        print(f"{twist.degrees:.3f} +- {twist.error:.3f} degrees, moire length {twist.moire_px:.1f} px")
    else:
        print(f"not resolved: {twist.reason}")
    return DONE
