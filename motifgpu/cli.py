"""The command ``motifgpu``: standard output is the result, standard error the log and the progress."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

DONE, FAILED, USAGE, QUARANTINED, NO_GPU, INTERRUPTED = 0, 1, 2, 3, 4, 130


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _dopant(text: str) -> tuple[str, float]:
    element, equals, fraction = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form W=0.03")
    return element, _fraction(fraction)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="motifgpu",
        description="Motifs and their hierarchies in atomic-resolution micrographs.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 done with some files left out, 4 no usable GPU, "
        "130 interrupted.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.add_argument("--json", action="store_true", help="print the result as JSON")
        made.add_argument("-q", "--quiet", action="store_true", help="show no progress")
        return made

    demo = command("demo", "analyse a simulated micrograph and compare what is found with its truth")
    demo.add_argument(
        "-o", "--out", type=Path, default=Path("demo"), help="folder to write to (default: demo)"
    )

    analyze = command("analyze", "find the motifs of micrographs and write a report of each")
    analyze.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="npy, npz, TIFF, PNG or dm4")
    analyze.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("motifs"),
        help="folder to write to, one folder an image inside",
    )
    _add_options(analyze)

    twist = command("twist", "measure the twist angle of a bilayer")
    twist.add_argument("path", type=Path, metavar="PATH")
    twist.add_argument("--signal", help="which image, where a file holds several")
    twist.add_argument("--method", choices=("fit", "search"), default="fit", help="(default: fit)")

    occupancy = command(
        "occupancy", "say how ordered the filling of sites is, from two motifs of a micrograph"
    )
    occupancy.add_argument("path", type=Path, metavar="PATH")
    occupancy.add_argument("-o", "--out", type=Path, default=Path("occupancy"), help="folder to write to")
    occupancy.add_argument(
        "--filled", type=int, nargs="+", required=True, metavar="MOTIF", help="of filled sites"
    )
    occupancy.add_argument(
        "--hollow", type=int, nargs="*", default=[], metavar="MOTIF", help="of hollow sites"
    )
    occupancy.add_argument("--level", type=int, choices=(2, 3), default=2, help="2: 2 x 2 sites, 3: 4 x 4")
    _add_options(occupancy)

    reconstruct = command("reconstruct", "rebuild a micrograph from its motifs and show what they leave over")
    reconstruct.add_argument("path", type=Path, metavar="PATH")
    reconstruct.add_argument(
        "-o", "--out", type=Path, default=Path("reconstruction"), help="folder to write to"
    )
    reconstruct.add_argument("--classes", type=int, default=30, help="class averages used (default: 30)")
    reconstruct.add_argument(
        "--hide", type=int, nargs="*", default=[], metavar="MOTIF", help="motifs left out"
    )
    _add_options(reconstruct)

    simulate = command("simulate", "write a simulated micrograph of a monolayer with its truth")
    simulate.add_argument(
        "out", type=Path, metavar="OUT.npz", help="archive with image, points, labels and names"
    )
    simulate.add_argument("--material", choices=("MoS2", "MoSe2", "WS2", "WSe2"), default="MoSe2")
    simulate.add_argument("--shape", type=int, nargs=2, default=(512, 512), metavar=("ROWS", "COLS"))
    simulate.add_argument("--lattice-constant", type=_positive, default=22.0, metavar="PX")
    simulate.add_argument("--angle", type=float, default=0.0, metavar="DEGREES")
    simulate.add_argument(
        "--counts", type=_positive, default=30.0, help="at the peak of the brightest column"
    )
    simulate.add_argument("--vacancies", type=_fraction, default=0.0, metavar="FRACTION")
    simulate.add_argument("--divacancies", type=_fraction, default=0.0, metavar="FRACTION")
    simulate.add_argument("--dopant", type=_dopant, action="append", default=[], metavar="ELEMENT=FRACTION")
    simulate.add_argument("--seed", type=int, default=0)

    warmup = command("warmup", "compile the GPU kernels ahead of time, into CuPy's kernel cache")
    warmup.add_argument(
        "--neighbors", type=int, default=10, help="of the graph, itself counted (default: 10)"
    )

    command("info", "print versions, processors and whether a GPU can be used")
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an analysis."""
    parser.add_argument("--signal", help="which image, where a file holds several")
    parser.add_argument(
        "--pixel-size", type=_positive, metavar="NM", help="pixel size in nm, if the file lacks it"
    )
    parser.add_argument("--smoothing", choices=("auto", "fft", "svd"), default="auto", help="(default: auto)")
    parser.add_argument(
        "--patch-size", type=_positive, metavar="PX", help="side of a patch (default: measured)"
    )
    parser.add_argument("--order", type=int, help="largest Zernike order (default: 10, coarse images 6)")
    parser.add_argument("--rotation-invariant", action="store_true", help="do not tell orientations apart")
    parser.add_argument(
        "--neighbors", type=int, default=10, help="of the graph, itself counted (default: 10)"
    )
    parser.add_argument("--motifs", type=int, metavar="N", help="number of motifs (default: found)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: 0)")
    parser.add_argument(
        "--backend", choices=("auto", "numpy", "cupy"), default="auto", help="(default: auto)"
    )


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `analyze` that the options mean."""
    return {
        "pixel_size_nm": args.pixel_size,
        "smoothing": args.smoothing,
        "patch_size": args.patch_size,
        "order": args.order,
        "rotation_invariant": args.rotation_invariant,
        "n_neighbors": args.neighbors,
        "n_motifs": args.motifs,
        "seed": args.seed,
        "backend": args.backend,
    }


def _log(text: str) -> None:
    print(f"motifgpu: {text}", file=sys.stderr)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1))


def _describe(analysis: Analysis, folder: Path) -> str:
    summary = analysis.summary()
    lines = [
        f"{summary['source']}: {summary['columns']:,} atom columns, {summary['n_motifs']} motifs, "
        f"{summary['n_environments']} environments, {sum(summary['timings_s'].values()):.2f} s"
    ]
    lines += [
        f"  motif {m['label']:>2}  {m['count']:>7,}  {100 * m['fraction']:5.1f} %  {m['shell']}"
        for m in summary["motifs"]
    ]
    lines += [f"  note: {text}" for text in summary["warnings"]]
    return "\n".join([*lines, f"  report: {folder / 'report.html'}"])


def _analyze(args: argparse.Namespace) -> int:
    from motifgpu.analysis import analyze
    from motifgpu.errors import MicrographReadError, StageError
    from motifgpu.micrograph import read
    from motifgpu.progress import Progress

    results, failed = [], []
    names: dict[str, int] = {}
    for path in args.paths:
        count = names[path.stem] = names.get(path.stem, 0) + 1
        folder = args.out / (path.stem if count == 1 else f"{path.stem}-{count}")
        try:
            micrograph = read(path, args.signal)
            with Progress(path.name, quiet=args.quiet) as progress:
                analysis = analyze(micrograph, progress=progress, **_options(args))
                progress("writing the report", 0.95)
                analysis.report(folder)
        except MicrographReadError as error:
            failed.append({"source": str(path), "error": error.why})
        except StageError as error:
            if error.stage == "backend":
                raise
            failed.append({"source": str(path), "error": str(error)})
        else:
            results.append({**analysis.summary(), "report": str(folder / "report.html")})
            if not args.json:
                print(_describe(analysis, folder), flush=True)
        if failed and failed[-1]["source"] == str(path):
            _log(f"{path}: {failed[-1]['error']}")
    if args.json:
        _print_json({"analyses": results, "failed": failed})
    return (QUARANTINED if results else FAILED) if failed else DONE


def _analyzed(args: argparse.Namespace) -> Analysis:
    """Return the analysis of the one micrograph that a command names."""
    from motifgpu.analysis import analyze
    from motifgpu.micrograph import read
    from motifgpu.progress import Progress

    with Progress(args.path.name, quiet=args.quiet) as progress:
        return analyze(read(args.path, args.signal), progress=progress, **_options(args))


def _twist(args: argparse.Namespace) -> int:
    from motifgpu.micrograph import read
    from motifgpu.moire import twist_angle

    twist = twist_angle(read(args.path, args.signal).image, args.method)
    resolved = not twist.reason
    if args.json:
        _print_json(
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


def _occupancy(args: argparse.Namespace) -> int:
    from motifgpu.backend import to_numpy
    from motifgpu.occupancy import occupancy_statistics
    from motifgpu.occupancy_plots import plot_pattern_map, plot_patterns

    analysis = _analyzed(args)
    sites = analysis.site_grid(args.filled, args.hollow)
    found = occupancy_statistics(sites.grid, args.level)
    args.out.mkdir(parents=True, exist_ok=True)
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
        _print_json({**figures, "folder": str(args.out)})
    else:
        print(
            f"{found.windows:,} windows of {found.side} x {found.side} sites, {found.fraction:.3f} filled\n"
            f"entropy {found.entropy:.3f} nats; by chance {found.null.entropy:.3f} +- "
            f"{found.null.deviation:.3f}, at most {found.ceiling:.3f}\nfigures: {args.out}"
        )
    return DONE


def _reconstruct(args: argparse.Namespace) -> int:
    import numpy as np

    from motifgpu.backend import to_numpy
    from motifgpu.plots import plot_reconstruction

    analysis = _analyzed(args)
    rebuilt = analysis.reconstruct(classes=args.classes, hide=args.hide)
    args.out.mkdir(parents=True, exist_ok=True)
    np.save(args.out / "reconstruction.npy", to_numpy(rebuilt.image))
    plot_reconstruction(analysis, rebuilt).savefig(args.out / "reconstruction.png")
    if args.json:
        figures = {"psnr_db": rebuilt.psnr, "ssim": rebuilt.ssim, "uncovered": rebuilt.uncovered}
        _print_json({**figures, "folder": str(args.out)})
    else:
        print(
            f"against the smoothed image: PSNR {rebuilt.psnr:.1f} dB, SSIM {rebuilt.ssim:.3f}, "
            f"{100 * rebuilt.uncovered:.1f} % not covered\nfigures: {args.out}"
        )
    return DONE


def _demo(args: argparse.Namespace) -> int:
    from motifgpu.demo import compare, simulated
    from motifgpu.progress import Progress

    with Progress("demo", quiet=args.quiet) as progress:
        truth, analysis = simulated(progress)
        progress("writing the report", 0.95)
        report = analysis.report(args.out)
    comparison = compare(analysis, truth)
    if args.json:
        _print_json({**comparison.figures, "report": str(report)})
    else:
        print(f"{comparison.text}\n\nreport: {report}")
    return DONE


def _simulate(args: argparse.Namespace) -> int:
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
        _print_json({"file": str(path), "sites": dict(zip(made.names, counts, strict=True))})
    else:
        sites = ", ".join(
            f"{count:,} {name}" for name, count in zip(made.names, counts, strict=True) if count
        )
        print(f"{path}: {made.image.shape[0]} x {made.image.shape[1]} px, {sites}")
    return DONE


def _warmup(args: argparse.Namespace) -> int:
    from motifgpu import backend
    from motifgpu.cuda import warmup

    number = warmup.run(backend.select("cupy").zeros(1), args.neighbors)
    if args.json:
        _print_json({"kernels": number})
    else:
        print(f"{number} kernels are ready")
    return DONE


def _info(args: argparse.Namespace) -> int:
    from motifgpu import backend

    problem = backend.gpu_problem()
    facts: dict[str, Any] = {
        "gpu": backend.gpu_name() if problem is None else None,
        "why_no_gpu": problem,
        "cpu_threads": backend.threads(),
        "python": sys.version.split()[0],
        "versions": vars(backend.versions()),
    }
    if args.json:
        _print_json(facts)
        return DONE
    print(f"GPU          {facts['gpu'] or 'none usable: ' + str(problem)}")
    print(f"CPU threads  {facts['cpu_threads']}")
    print(f"Python       {facts['python']}")
    for name, version in facts["versions"].items():
        print(f"{name:<12} {version or 'not installed'}")
    return DONE


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : list of str, optional
        The arguments after the program's name; those of the process unless given.

    Returns
    -------
    int
        0 done, 1 failed, 2 usage, 3 done with some files left out, 4 no usable GPU, 130 interrupted.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    if args.version:
        from importlib import metadata

        print(metadata.version("motifgpu"))
        return DONE
    if args.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    run = {
        "demo": _demo,
        "analyze": _analyze,
        "twist": _twist,
        "occupancy": _occupancy,
        "reconstruct": _reconstruct,
        "simulate": _simulate,
        "warmup": _warmup,
        "info": _info,
    }[args.command]
    try:
        return run(args)
    except KeyboardInterrupt:
        _log("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, which is its right
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        _log(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        return FAILED
    except ValueError as error:
        from motifgpu.backend import GpuMissingError

        _log(str(error))
        return NO_GPU if isinstance(error, GpuMissingError) else FAILED
