"""The command ``motifgpu warmup``."""

from __future__ import annotations

import argparse

from motifgpu.cli.options import DONE, AddCommand, add_option
from motifgpu.cli.streams import print_json


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command("warmup", "compile the GPU kernels ahead of time, into CuPy's kernel cache", "")
    add_option(parser, "n_neighbors")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.core import device
    from motifgpu.cuda import warmup

    number = warmup.run(device.select("cupy").zeros(1), args.n_neighbors)
    if args.json:
        print_json({"kernels": number})
    else:
        print(f"{number} kernels are ready")
    return DONE
