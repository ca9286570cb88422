"""The command ``motifgpu view``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import DONE, AddCommand, Whole
from motifgpu.cli.streams import log, print_json, say


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "view",
        "look through analyses in a browser, where what is decided is saved by itself",
        "results --open",
    )
    parser.add_argument(
        "path",
        type=Path,
        metavar="OUT",
        help="folder that analyze wrote to, or of a run; or a saved analysis",
    )
    parser.add_argument(
        "--port", type=Whole(0, 65535), default=0, help="of this machine (default: one that is free)"
    )
    parser.add_argument("--open", action="store_true", help="open the browser")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code; Ctrl-C ends it."""
    import webbrowser

    from motifgpu.review import Review, find_sheets

    with Review(find_sheets(args.path), args.port) as server:
        if args.json:
            print_json({"address": server.address, "analyses": len(server.sheets)})
        else:
            say(f"{len(server.sheets):,} analyses at {server.address}")
        log("the address opens once, on this machine alone; Ctrl-C ends")
        if args.open:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            log("ended; what was decided is saved")
    return DONE
