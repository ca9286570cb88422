"""The command ``motifgpu occupancy``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from motifgpu.cli import config
from motifgpu.cli.analyzing import analyzed
from motifgpu.cli.options import DONE, AddCommand, Whole, add_dictionary, add_options, dictionary, motif
from motifgpu.cli.streams import print_json, say


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "occupancy",
        "measure how ordered the occupancy of sites is, from two motifs of a micrograph",
        "scan.dm4 --filled 0 --hollow 1",
    )
    parser.add_argument("path", type=Path, metavar="PATH")
    parser.add_argument("-o", "--out", type=Path, default=Path("occupancy"), help="folder to write to")
    parser.add_argument(
        "--filled", type=motif, nargs="+", required=True, metavar="MOTIF", help="motifs of filled sites"
    )
    parser.add_argument(
        "--hollow", type=motif, nargs="*", default=[], metavar="MOTIF", help="motifs of hollow sites"
    )
    parser.add_argument(
        "--level", type=Whole(2, 3), choices=(2, 3), default=2, help="2: 2 x 2 sites, 3: 4 x 4"
    )
    add_options(parser)
    add_dictionary(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.core.namespace import to_numpy
    from motifgpu.figures.occupancy import plot_pattern_map, plot_patterns
    from motifgpu.occupancy.statistics import occupancy_statistics

    analysis = analyzed(args.path, args, dictionary=dictionary(args))
    sites = analysis.site_grid(args.filled, args.hollow)
    found = occupancy_statistics(sites.grid, args.level)
    config.write(args, args.out)
    picture = to_numpy(analysis.micrograph.image)
    pattern_map: Any = plot_pattern_map(found, sites.centers, picture).figure
    pattern_map.savefig(args.out / "map.png")
    plot_patterns(found).savefig(args.out / "patterns.png")
    figures = {
        "windows": found.windows,
        "dropped": found.dropped,
        "fraction_filled": found.fraction,
        "entropy_nats": found.entropy,
        "null_entropy_nats": found.null.entropy,
        "null_deviation_nats": found.null.deviation,
        "ceiling_nats": found.ceiling,
        "patterns": len(found.counts),
    }
    if args.json:
        print_json({**figures, "folder": str(args.out)})
    else:
        say(
            f"{found.windows:,} windows of {found.side} x {found.side} sites, {found.fraction:.3f} filled\n"
            f"entropy {found.entropy:.3f} nats; by chance {found.null.entropy:.3f} +- "
            f"{found.null.deviation:.3f}, at most {found.ceiling:.3f}\nfigures: {args.out}"
        )
    return DONE
