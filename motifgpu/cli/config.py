"""Run files: the options of a command in TOML, read with ``--config`` and written beside the results.

A key is the long name of an option, ``patch-size = 14.5`` for ``--patch-size 14.5``, or the name of a
positional argument, such as ``paths``. What stands on the command line wins over the file.
"""

from __future__ import annotations

import argparse
import json
import os
import tomllib
from pathlib import Path
from typing import Any

from motifgpu.cli.options import Number, Whole
from motifgpu.cli.parsers import arguments
from motifgpu.core.errors import StageError
from motifgpu.core.toml import to_toml
from motifgpu.store.sealed import write_sealed

STAGE = "config"
NAME = "config.toml"
_NOT_IN_FILES = ("help", "config", "json", "quiet")  # how to talk, not what to do


def actions(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Return what a run file may set for a command, by key."""
    found = {}
    for action in arguments(parser):
        if action.dest in _NOT_IN_FILES:
            continue
        long = [name for name in action.option_strings if name.startswith("--")]
        found[long[0].removeprefix("--") if long else action.dest] = action
    return found


def takes_config(parser: argparse.ArgumentParser) -> bool:
    """Say whether a command has the option ``--config``."""
    return any("--config" in action.option_strings for action in arguments(parser))


def given_config(argv: list[str]) -> str | None:
    """Return the run file that command-line arguments name, None if they name none."""
    finder = argparse.ArgumentParser(add_help=False)
    finder.add_argument("--config", nargs="?")  # without a file it is for the command's parser to refuse
    file: str | None = finder.parse_known_args(argv)[0].config
    return file


def apply(path: str | os.PathLike[str], parser: argparse.ArgumentParser) -> None:
    """Let a run file's values be the defaults of a command's options.

    Parameters
    ----------
    path : path-like
        The file, TOML.
    parser : ArgumentParser
        Of the command; arguments that the file gives need not be given any more.

    Raises
    ------
    StageError
        If the file cannot be read, is not TOML, has a key that is no option of the command, or a value that
        the option does not take; the message names file, key, value and what is allowed.
    """
    known = actions(parser)
    for key, value in _read(path).items():
        if key not in known:
            raise StageError(
                STAGE, f"{path}: {parser.prog} has no option {key!r}", f"choose among {', '.join(known)}"
            )
        action = known[key]
        try:
            action.default = _value(action, value)
        except (TypeError, ValueError, argparse.ArgumentTypeError) as error:
            why = f" ({error})" if isinstance(error, argparse.ArgumentTypeError) else ""
            raise StageError(STAGE, f"{path}: {key} is {value!r}{why}", f"give {wanted(action)}") from error
        action.required = False
        if not action.option_strings:
            action.nargs = "*" if action.nargs == "+" else "?"


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise StageError(STAGE, f"{path}: {error.strerror}", "give a file that can be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StageError(
            STAGE, f"{path} is not TOML: {error}", 'write lines such as smoothing = "fft"'
        ) from error


def _value(action: argparse.Action, value: Any) -> Any:
    """Return a value as the option would have it from the command line; a ValueError if it takes no such."""
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise TypeError
        return value
    if action.nargs in (None, "?"):
        return _item(action, value)
    if not isinstance(value, list):
        raise TypeError
    least = {"+": 1, "*": 0}.get(str(action.nargs), action.nargs)
    if len(value) < int(str(least)) or (isinstance(action.nargs, int) and len(value) != action.nargs):
        raise ValueError
    return [_item(action, item) for item in value]


def _item(action: argparse.Action, value: Any) -> Any:
    allowed: tuple[type, ...] = (str,) if _is_text(action) else (str, int, float)
    if isinstance(action.type, Whole):
        allowed = (int,)
    elif isinstance(action.type, Number):
        allowed = (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise TypeError
    made = action.type(str(value)) if callable(action.type) else value
    if action.choices is not None and made not in action.choices:
        raise ValueError
    return made


def _is_text(action: argparse.Action) -> bool:
    return action.type in (None, str, Path)


def wanted(action: argparse.Action) -> str:
    """Say in words what an option takes in a run file."""
    if action.nargs == 0:
        return "true or false"
    if action.choices is not None:
        one = "one of " + ", ".join(json.dumps(choice) for choice in action.choices)
    elif isinstance(action.type, (Whole, Number)):
        one = str(action.type)
    else:
        one = "text in quotes"
    if action.nargs in (None, "?"):
        return one
    many = {"+": "one or more", "*": "any number"}.get(str(action.nargs), str(action.nargs))
    return f"a list in brackets of {many}, each {one}"


def effective(args: argparse.Namespace) -> str:
    """Return the options in force as a run file, from which the command does the same again.

    Parameters
    ----------
    args : Namespace
        As parsed, with the parser of the command as `parser`.

    Returns
    -------
    str
        TOML. Options that are None, which TOML cannot write, are left out; paths are made absolute.
    """
    values = {key: getattr(args, action.dest) for key, action in actions(args.parser).items()}
    return to_toml({key: value for key, value in values.items() if value is not None})


def write(args: argparse.Namespace, folder: Path) -> Path:
    """Write the options in force into a folder, which is made if missing, as ``config.toml``.

    Parameters
    ----------
    args : Namespace
        As parsed, with the parser of the command as `parser`.
    folder : Path

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    from importlib import metadata

    folder.mkdir(parents=True, exist_ok=True)
    head = f"# motifgpu {metadata.version('motifgpu')}; again: {args.parser.prog} --config {NAME}\n"
    return write_sealed(folder / NAME, head + effective(args))
