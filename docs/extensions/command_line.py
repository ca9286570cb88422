"""Sphinx extension: ``command-line`` writes the reference of the commands from their parsers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_WIDTH = 78  # of the usage lines, characters


def plain(text: str) -> str:
    """Return text such that Markdown shows every character of it."""
    return re.sub(r"([\\`*_{}\[\]<>$|#~])", r"\\\1", text)


def _usage(parser: argparse.ArgumentParser) -> str:
    formatter = argparse.HelpFormatter(parser.prog, width=_WIDTH)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups, prefix="")
    return formatter.format_help().rstrip()


def _argument(action: argparse.Action, formatter: argparse.HelpFormatter) -> Iterator[str]:
    """Yield the lines of a definition: how the argument is written, and what it does."""
    said = formatter._expand_help(action) if action.help else ""
    if action.choices and action.metavar:
        said = f"{said}; one of {', '.join(map(str, action.choices))}".removeprefix("; ")
    stated = action.default not in (None, False, argparse.SUPPRESS, [])
    if stated and action.option_strings and "default" not in said:
        shown = " ".join(map(str, action.default)) if isinstance(action.default, tuple) else action.default
        said = f"{said} (default: {shown})".strip()
    # A wide space would make the term of the definition a literal block in a narrow window.
    yield f"`{formatter._format_action_invocation(action)}`"
    yield f": {plain(said) or '(see the choices)'}"
    yield ""


def command_lines(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the reference of one command, as lines of Markdown.

    Parameters
    ----------
    name : str
        Of the command.
    parser : ArgumentParser

    Yields
    ------
    str
    """
    formatter = argparse.HelpFormatter(parser.prog)
    yield from (f"({name}-command)=", f"## `{name}`", "", plain(parser.description or ""), "")
    example = (parser.epilog or "").partition(": ")[2]
    yield from ("```text", _usage(parser), "```", "", "For example:", "", "```sh", example, "```", "")
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            yield from _argument(action, formatter)


class CommandLine(SphinxDirective):
    """All commands with all their arguments."""

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the reference."""
        from motifgpu.cli import command_parsers, make_parser

        parsers = command_parsers(make_parser())
        lines = [line for name, parser in parsers.items() for line in command_lines(name, parser)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("command-line", CommandLine)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
