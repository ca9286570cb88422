"""The command ``motifgpu analyze``."""

from __future__ import annotations

import argparse
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.cli import config
from motifgpu.cli.analyzing import analyzed, noted
from motifgpu.cli.options import (
    DONE,
    FAILED,
    QUARANTINED,
    AddCommand,
    Whole,
    add_dictionary,
    add_options,
    dictionary,
)
from motifgpu.cli.parsers import group
from motifgpu.cli.streams import print_json, say
from motifgpu.cli.words import in_own_words
from motifgpu.core.choices import FIGURES
from motifgpu.core.sizes import LARGEST_IMAGE
from motifgpu.core.text import counted, percent
from motifgpu.store.layout import ARCHIVE

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "analyze",
        "find the motifs of micrographs and write a report of each",
        "scan.dm4 -o results --motifs 4",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="npy, npz, TIFF, PNG, JPEG, MRC; with the extra em dm3, dm4, EMD, SER, HSPY, NeXus",
    )
    written = group(parser, "what is written", "-o results --figures svg --no-save")
    written.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("motifs"),
        help="folder to write to, with one folder per image",
    )
    written.add_argument("--reconstruction", action="store_true", help="show what the motifs do not explain")
    written.add_argument("--twist", action="store_true", help="show the twist angle of a bilayer")
    written.add_argument("--still", action="store_true", help="a report of still pictures, without Bokeh")
    written.add_argument(
        "--movie", action="store_true", help="also write layout.gif, the relaxation of the layout"
    )
    written.add_argument(
        "--figures",
        choices=FIGURES,
        default=FIGURES[0],
        help=f"form of the files in the folder figures (default: {FIGURES[0]})",
    )
    written.add_argument(
        "--save",
        action=argparse.BooleanOptionalAction,
        default=True,
        help=f"write {ARCHIVE}, which edit, view and dictionary go on from (default)",
    )
    where = group(parser, "where to look", "--region 0 512 0 512 --mask valid.png")
    where.add_argument(
        "--region",
        nargs=4,
        type=Whole(0, LARGEST_IMAGE),
        metavar=("ROW", "END", "COL", "END"),
        help="analyse these rows and columns of pixels alone, the ends not included",
    )
    where.add_argument(
        "--mask", type=Path, metavar="FILE", help="image, npy or npz that is 0 where a pixel is no data"
    )
    where.add_argument(
        "--points",
        type=Path,
        metavar="FILE",
        help="positions of the columns (row, col) px, npy or CSV, in place of finding them",
    )
    add_options(parser)
    add_dictionary(parser)


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the user says of where columns and data are, as arguments of `analyze`.

    Raises
    ------
    MicrographReadError
        If the mask cannot be read.
    StageError
        If there are no points in the file, or points and several micrographs.
    """
    import numpy as np

    from motifgpu.core.errors import StageError
    from motifgpu.io.micrograph import read

    found: dict[str, Any] = {}
    if args.region is not None:
        found["region"] = tuple(args.region)
    if args.mask is not None:
        found["mask"] = read(args.mask).image != 0
    if args.points is not None:
        if len(args.paths) > 1:
            raise StageError("columns", f"there are points and {len(args.paths)} images", "give one image")
        try:
            if args.points.suffix == ".npy":
                points = np.load(args.points, allow_pickle=False)
            else:
                points = np.genfromtxt(args.points, delimiter=",", usecols=(0, 1), ndmin=2)
                points = points[np.isfinite(points).all(axis=1)]  # without a line of names
        except (OSError, ValueError) as error:
            why = f"{args.points} holds no points ({error})"
            raise StageError("columns", why, "give an npy of shape (n, 2) or a CSV of row, col") from error
        found["points"] = points
    return found


def _folders(args: argparse.Namespace) -> list[Path]:
    """Return a folder of its own for each micrograph, numbered where several have the same name."""
    stems = [path.name if set(path.stem) <= {"."} else path.stem for path in args.paths]
    # Names that differ in case alone are one on some systems; and what is beside the folders has a name too.
    taken = {config.NAME.casefold(), *map(str.casefold, stems)}
    seen: set[str] = {config.NAME.casefold()}
    folders = []
    for stem in stems:
        name = stem
        if name.casefold() in seen:
            name = next(one for n in count(2) if (one := f"{stem}-{n}").casefold() not in taken)
        seen.add(name.casefold())
        taken.add(name.casefold())
        folders.append(args.out / name)
    return folders


def _write(analysis: Analysis, folder: Path, args: argparse.Namespace) -> None:
    """Write the report and what else was requested."""
    extra = {name: True for name in ("reconstruction", "twist") if getattr(args, name)}
    analysis.report(folder, linked=not args.still, figures=args.figures, **extra)
    if args.movie:
        analysis.movie(folder / "layout.gif")
    if args.save:
        analysis.save(folder / ARCHIVE)


def _describe(analysis: Analysis, folder: Path, seconds: float) -> str:
    summary = analysis.summary()
    lines = [
        f"{summary['source']}: {counted(summary['columns'], 'atom column')}, "
        f"{counted(summary['n_motifs'], 'motif')}, {counted(summary['n_environments'], 'environment')}, "
        f"{seconds:.1f} s with the report",
        f"  {summary['in_words']}",
    ]
    lines += [
        f"  {m['name']:<10}  {m['count']:>7,}  {percent(m['fraction']):>8}"
        + (f"  beside {m['shell']}" if m["shell"] else "")
        for m in summary["motifs"]
    ]
    lines += [f"  note: {in_own_words(text)}" for text in summary["warnings"]]
    return "\n".join([*lines, f"  report: {folder / 'report.html'}"])


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    results: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    known, given = dictionary(args), _given(args)
    for path, folder in zip(args.paths, _folders(args), strict=True):

        def write(analysis: Analysis, folder: Path = folder) -> None:
            if not results:
                config.write(args, args.out)
            _write(analysis, folder, args)

        with noted(path, failed):
            begun = time.perf_counter()
            analysis = analyzed(path, args, write, dictionary=known, **given)
            results.append({**analysis.summary(), "report": str(folder / "report.html")})
            if not args.json:
                say(_describe(analysis, folder, time.perf_counter() - begun))
    if args.json:
        print_json({"analyses": results, "failed": failed})
    return (QUARANTINED if results else FAILED) if failed else DONE
