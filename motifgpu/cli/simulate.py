"""The command ``motifgpu simulate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from motifgpu.cli.options import DONE, AddCommand, Number, Whole, fraction, seed
from motifgpu.cli.streams import print_json, say
from motifgpu.core.sizes import LARGEST_SIDE


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "simulate",
        "write a simulated micrograph of a monolayer with its truth",
        "scan.npz --vacancies 0.05 --dopant W=0.03",
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT.npz", help="archive with image, points, labels and names"
    )
    parser.add_argument("--material", choices=("MoS2", "MoSe2", "WS2", "WSe2"), default="MoSe2")
    parser.add_argument(
        "--shape", type=Whole(1, LARGEST_SIDE), nargs=2, default=(512, 512), metavar=("ROWS", "COLS")
    )
    parser.add_argument("--lattice-constant", type=Number(2, LARGEST_SIDE), default=22.0, metavar="PX")
    parser.add_argument("--angle", type=Number(-360, 360), default=0.0, metavar="DEGREES")
    parser.add_argument(
        "--counts",
        type=Number(1e-6, 1e9),
        default=30.0,
        help="expected counts per pixel at the peak of the brightest column",
    )
    parser.add_argument("--vacancies", type=fraction, default=0.0, metavar="FRACTION")
    parser.add_argument("--divacancies", type=fraction, default=0.0, metavar="FRACTION")
    parser.add_argument("--dopant", type=_dopant, action="append", default=[], metavar="ELEMENT=FRACTION")
    parser.add_argument("--seed", type=seed, default=0)


def _dopant(text: str) -> tuple[str, float]:
    element, equals, share = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form W=0.03")
    return element, fraction(share)


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    import numpy as np

    from motifgpu import simulate

    made = simulate.monolayer(
        args.material,
        tuple(args.shape),
        lattice_constant=args.lattice_constant,
        angle=args.angle,
        counts=args.counts,
        vacancies=args.vacancies,
        divacancies=args.divacancies,
        dopants=dict(args.dopant),
        seed=args.seed,
    )
    path = args.out if args.out.suffix == ".npz" else args.out.with_name(args.out.name + ".npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        image=made.image,
        points=made.points,
        labels=made.labels,
        names=np.array(made.names),
        environments=made.environments,
        occupied=made.occupied,
        pixel_size_nm=made.pixel_size_nm,
    )
    counts = np.bincount(made.labels, minlength=len(made.names)).tolist()
    if args.json:
        print_json({"file": str(path), "sites": dict(zip(made.names, counts, strict=True))})
    else:
        sites = ", ".join(
            f"{count:,} {name}" for name, count in zip(made.names, counts, strict=True) if count
        )
        say(f"{path}: {made.image.shape[0]} x {made.image.shape[1]} px, {sites}")
    return DONE
