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
    analyze.add_argument("--signal", help="which image, where a file holds several")
    analyze.add_argument(
        "--pixel-size", type=_positive, metavar="NM", help="pixel size in nm, if the file lacks it"
    )
    analyze.add_argument(
        "--smoothing", choices=("auto", "fft", "svd"), default="auto", help="(default: auto)"
    )
    analyze.add_argument(
        "--patch-size", type=_positive, metavar="PX", help="side of a patch (default: measured)"
    )
    analyze.add_argument("--order", type=int, help="largest Zernike order (default: 10, coarse images 6)")
    analyze.add_argument("--rotation-invariant", action="store_true", help="do not tell orientations apart")
    analyze.add_argument(
        "--neighbors", type=int, default=10, help="of the graph, itself counted (default: 10)"
    )
    analyze.add_argument("--motifs", type=int, metavar="N", help="number of motifs (default: found)")
    analyze.add_argument("--seed", type=int, default=0, help="of the random numbers (default: 0)")
    analyze.add_argument(
        "--backend", choices=("auto", "numpy", "cupy"), default="auto", help="(default: auto)"
    )

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

    command("info", "print versions, processors and whether a GPU can be used")
    return parser


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
    from dataclasses import replace

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
            if args.pixel_size:
                micrograph = replace(micrograph, pixel_size_nm=args.pixel_size)
            with Progress(path.name, quiet=args.quiet) as progress:
                analysis = analyze(
                    micrograph,
                    smoothing=args.smoothing,
                    patch_size=args.patch_size,
                    order=args.order,
                    rotation_invariant=args.rotation_invariant,
                    n_neighbors=args.neighbors,
                    n_motifs=args.motifs,
                    seed=args.seed,
                    backend=args.backend,
                    progress=progress,
                )
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
    run = {"demo": _demo, "analyze": _analyze, "simulate": _simulate, "info": _info}[args.command]
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
