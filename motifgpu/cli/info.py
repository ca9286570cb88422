"""The command ``motifgpu info``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from motifgpu.cli.options import DONE, AddCommand
from motifgpu.cli.streams import print_json


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    command("info", "print versions, processors and whether a GPU can be used", "--json")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.core import device

    problem = device.gpu_problem()
    facts: dict[str, Any] = {
        "gpu": device.gpu_name() if problem is None else None,
        "why_no_gpu": problem,
        "cpu_threads": device.threads(),
        "python": sys.version.split()[0],
        "versions": vars(device.versions()),
    }
    if args.json:
        print_json(facts)
        return DONE
    print(f"GPU          {facts['gpu'] or 'none usable: ' + str(problem)}")
    print(f"CPU threads  {facts['cpu_threads']}")
    print(f"Python       {facts['python']}")
    for name, version in facts["versions"].items():
        print(f"{name:<12} {version or 'not installed'}")
    return DONE
