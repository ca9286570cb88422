"""The command ``motifgpu run``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.cli import config
from motifgpu.cli.interruption import plain_interrupts
from motifgpu.cli.options import (
    DONE,
    FAILED,
    INTERRUPTED,
    QUARANTINED,
    AddCommand,
    Number,
    add_options,
    options,
    workers,
)
from motifgpu.cli.parsers import group
from motifgpu.cli.streams import log, print_json, say
from motifgpu.core.text import counted

if TYPE_CHECKING:
    from motifgpu.dataset.results import Run

_SHOWN = 5  # quarantined files that are listed


def shard(text: str) -> tuple[int, int]:
    """Return i and n of ``i/n``."""
    i, slash, n = text.partition("/")
    if not (slash and i.isdigit() and n.isdigit() and 1 <= int(i) <= int(n)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form 3/8, with the first from 1 to the second"
        )
    return int(i), int(n)


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "run",
        "analyse thousands of micrographs into one folder; an interrupted run continues",
        "'scans/**/*.dm4' -o out.motif --pooled",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="files, folders, or patterns in quotes: 'scans/**/*.dm4'",
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("out.motif"), help="folder of the run (default: out.motif)"
    )
    spread = group(parser, "how the work is spread", "--workers 4, or --shard 3/8 in a job of an array")
    spread.add_argument("--workers", type=workers, metavar="N", help="processes (default: one per processor)")
    spread.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="analyse every N-th file from the I-th on; then motifgpu merge",
    )
    spread.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="address of a Dask cluster's scheduler, or the file that it wrote",
    )
    common = group(parser, "motifs that all micrographs share", "--pooled, or --dictionary known.motifs")
    shared = common.add_mutually_exclusive_group()
    shared.add_argument(
        "--dictionary", type=Path, metavar="FILE", help="label all micrographs with its motifs"
    )
    shared.add_argument(
        "--pooled", action="store_true", help="first learn such a dictionary from a sample of the micrographs"
    )
    course = group(parser, "what the run does", "--plan, before anything else")
    course.add_argument("--retry", action="store_true", help="analyse quarantined files again")
    course.add_argument(
        "--verify", action="store_true", help="read all files again to see whether their content changed"
    )
    course.add_argument(
        "--plan", action="store_true", help="estimate time and memory from a few of the files, and stop"
    )
    course.add_argument("--watch", action="store_true", help="analyse new files as they appear, until Ctrl-C")
    course.add_argument(
        "--time-limit",
        type=Number(0.001, 86400),
        default=60.0,
        metavar="S",
        help="seconds for reading one file (default: 60)",
    )
    course.add_argument("--no-report", action="store_true", help="do not write report.html")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    try:
        with plain_interrupts():
            return _run(args)
    except KeyboardInterrupt as interruption:
        log(str(interruption) or f"interrupted; {_state(args.out)}")
        return INTERRUPTED


def _run(args: argparse.Namespace) -> int:
    from motifgpu import dataset
    from motifgpu.core.progress import Progress

    if args.watch and (args.pooled or args.shard or args.scheduler):
        args.parser.error("--watch goes with --dictionary, but not with --pooled, --shard or --scheduler")
    given: dict[str, Any] = {
        "workers": args.workers,
        "dictionary": args.dictionary,
        "signal": args.signal,
        "seconds": args.time_limit,
        **options(args),
    }
    if args.plan:
        return _plan(args, given)
    with Progress("run", quiet=args.quiet) as progress:
        if args.watch:
            log(f"watching; Ctrl-C ends it, and {args.out / 'report.html'} is kept current")
            renew = None if args.no_report else _renew
            done = dataset.watch(args.paths, args.out, updated=renew, progress=progress, **given)
        else:
            with _client(args.scheduler) as client:
                done = dataset.run(
                    args.paths,
                    args.out,
                    client=client,
                    shard=args.shard,
                    pooled=args.pooled,
                    retry=args.retry,
                    verify=args.verify,
                    progress=progress,
                    **given,
                )
        if not args.shard:
            config.write(args, args.out)
            if not args.no_report:
                progress("writing the report", 1.0)
                done.report()
    return tell(done, args.json)


def _state(out: Path) -> str:
    """Say how far a run is that was interrupted before or after it worked on files."""
    from motifgpu.core.errors import StageError
    from motifgpu.store import layout

    try:
        state = layout.read_run(out)["state"]
    except StageError:
        return f"{out} holds no run yet, and the same command begins it"
    number = len(list((out / layout.FILES).glob("*.json")))
    return (
        f"the run in {out} is {state}, with {number:,} files; all that is finished is kept, and the same "
        "command continues"
    )


def _plan(args: argparse.Namespace, given: dict[str, Any]) -> int:
    from motifgpu.dataset.plan import plan_run

    found = plan_run(args.paths, out=args.out, pooled=args.pooled, **given)
    if args.json:
        print_json(found.summary())
    else:
        say(found)
    return DONE


def _renew(found: Run) -> None:
    found.report()


def _client(scheduler: str | None) -> Any:
    """Return a client of the Dask cluster, or a context that gives None."""
    from contextlib import nullcontext

    if scheduler is None:
        return nullcontext()
    from motifgpu.dataset.cluster import connect

    return connect(scheduler)


def tell(found: Run, as_json: bool) -> int:
    """Print what a run found and return the exit code that follows from it."""
    about, quarantine = found.about, found.quarantine
    numbers = about["found"]
    if as_json:
        print_json({"folder": str(found.path), **about, "quarantine": quarantine})
    else:
        say(f"{found.path}: {about['state']}")
        if "micrographs" in numbers:
            say(
                f"  {counted(numbers['micrographs'], 'micrograph')}, "
                f"{counted(numbers['columns'], 'atom column')}, "
                f"{numbers['points']:,} with a patch"
            )
        if about["state"] == "sharded":
            say(f"  when all shards are done: motifgpu merge {found.path}")
        for folder in about.get("last_call", {}).get("left_out", []):
            say(f"  left out: {folder}, which holds results of motifgpu")
        for line in quarantine[:_SHOWN]:
            say(f"  quarantine: {line['path']}: {line['reason']}")
        if len(quarantine) > _SHOWN:
            say(f"  and {len(quarantine) - _SHOWN:,} more in {found.path / 'quarantine.jsonl'}")
        if (found.path / "report.html").exists():
            say(f"  report: {found.path / 'report.html'}")
    if not quarantine:
        return DONE
    return FAILED if numbers.get("micrographs") == 0 else QUARANTINED
