"""The command ``motifgpu reconstruct``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli import config
from motifgpu.cli.analyzing import analyzed
from motifgpu.cli.options import DONE, AddCommand, Whole, add_dictionary, add_options, dictionary, motif
from motifgpu.cli.streams import print_json, say


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "reconstruct",
        "rebuild a micrograph from its motifs and show what they do not explain",
        "scan.dm4 --classes 50",
    )
    parser.add_argument("path", type=Path, metavar="PATH")
    parser.add_argument("-o", "--out", type=Path, default=Path("reconstruction"), help="folder to write to")
    parser.add_argument(
        "--classes", type=Whole(1, 10_000), default=30, help="class averages used (default: 30)"
    )
    parser.add_argument("--hide", type=motif, nargs="*", default=[], metavar="MOTIF", help="motifs left out")
    add_options(parser)
    add_dictionary(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    import numpy as np

    from motifgpu.core.namespace import to_numpy
    from motifgpu.figures import plot_reconstruction

    analysis = analyzed(args.path, args, dictionary=dictionary(args))
    rebuilt = analysis.reconstruct(classes=args.classes, hide=args.hide)
    config.write(args, args.out)
    np.save(args.out / "reconstruction.npy", to_numpy(rebuilt.image))
    plot_reconstruction(analysis, rebuilt).savefig(args.out / "reconstruction.png")
    if args.json:
        figures = {"psnr_db": rebuilt.psnr, "ssim": rebuilt.ssim, "uncovered": rebuilt.uncovered}
        print_json({**figures, "folder": str(args.out)})
    else:
        say(
            f"against the smoothed image: PSNR {rebuilt.psnr:.1f} dB, SSIM {rebuilt.ssim:.3f}, "
            f"{100 * rebuilt.uncovered:.1f} % not covered\nfigures: {args.out}"
        )
    return DONE
