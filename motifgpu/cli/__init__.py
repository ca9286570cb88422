"""The command ``motifgpu``: standard output is the result, standard error the log and the progress."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from types import ModuleType

from motifgpu.cli import config
from motifgpu.cli.interruption import as_interrupts
from motifgpu.cli.options import DONE, FAILED, INTERRUPTED, NO_GPU, USAGE
from motifgpu.cli.parsers import command_parsers, meant, refuse_unknown
from motifgpu.cli.streams import log, prepare
from motifgpu.cli.words import in_own_words
from motifgpu.core.errors import StageError

# In the order of the help; a module each, whose `add` makes the parser and whose `run` does the work.
COMMANDS = (
    "demo",
    "analyze",
    "run",
    "merge",
    "check",
    "report",
    "edit",
    "view",
    "export",
    "plan",
    "twist",
    "occupancy",
    "reconstruct",
    "dictionary",
    "simulate",
    "warmup",
    "info",
    "completion",
)


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"motifgpu.cli.{command}")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="motifgpu",
        description="Motifs and their hierarchies in atomic-resolution micrographs.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 done with some files left out, 4 no usable GPU, "
        "130 interrupted.",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, text: str, example: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"for example: motifgpu {name} {example}".rstrip(),
        )
        made.add_argument("--json", action="store_true", help="print the result as JSON")
        made.add_argument("-q", "--quiet", action="store_true", help="show no progress")
        made.set_defaults(parser=made)
        return made

    for name in COMMANDS:
        _module(name).add(command)
    return parser


def parse(argv: list[str]) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """Return the parser, and the arguments over those of the run file that they name."""
    parser = make_parser()
    commands = command_parsers(parser)
    command = commands.get(argv[0]) if argv else None
    if argv and command is None and not argv[0].startswith("-"):
        parser.error(f"there is no command {argv[0]!r}{meant(argv[0], commands)} See motifgpu --help")
    path = config.given_config(argv) if command and config.takes_config(command) else None
    if command and path is not None:
        try:
            config.apply(path, command)
        except StageError as error:
            command.error(str(error))
    args, left = parser.parse_known_args(argv)
    if left:
        refuse_unknown(command or parser, left)
    return parser, args


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
    prepare()
    # Imports and figures make many objects that live on, which Python would go through again and again.
    gc.set_threshold(20_000, 20, 100)
    begun = False
    try:
        with as_interrupts():
            parser, args = parse(sys.argv[1:] if argv is None else argv)
            begun = True
            return _run(parser, args)
    except KeyboardInterrupt:
        log("interrupted" if begun else "interrupted before it began; the same command begins it")
        return INTERRUPTED


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    if args.version:
        from importlib import metadata

        print(metadata.version("motifgpu"))
        return DONE
    if args.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    try:
        code: int = _module(args.command).run(args)
        return code
    except BrokenPipeError:  # the reader of our output closed it early, which is allowed
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    except OSError as error:
        said = error.strerror or str(error)
        log(f"{said}: {error.filename}" if error.filename else said)
        return FAILED
    except MemoryError as error:
        log(f"there is not enough memory; give the process more, or --workers 1 {error}".strip())
        return FAILED
    except ValueError as error:
        from motifgpu.core.device import GpuMissingError

        log(in_own_words(str(error)))
        return NO_GPU if isinstance(error, GpuMissingError) else FAILED
