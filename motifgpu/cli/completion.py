"""The command ``motifgpu completion``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import NamedTuple

from motifgpu.cli.options import DONE, AddCommand
from motifgpu.cli.parsers import arguments, command_parsers


class Word(NamedTuple):
    """An option or a positional argument, as a shell needs to know it.

    Attributes
    ----------
    flags : tuple of str
        Empty for a positional argument.
    help : str
    takes : bool
        Whether a value follows.
    choices : tuple of str
        What the value may be, if it is one of a few.
    """

    flags: tuple[str, ...]
    help: str
    takes: bool
    choices: tuple[str, ...]


class Command(NamedTuple):
    """A command with its help and its arguments."""

    name: str
    help: str
    words: tuple[Word, ...]


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "completion", "print a script that completes motifgpu's commands and options in a shell", "bash"
    )
    parser.add_argument("shell", choices=tuple(_SHELLS), help="which shell")
    parser.description = (
        f"{parser.description} "
        'bash: eval "$(motifgpu completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc, after compinit; '
        "fish: motifgpu completion fish > ~/.config/fish/completions/motifgpu.fish"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    print(script(args.shell), end="")
    return DONE


def script(shell: str) -> str:
    """Return the completion script for ``"bash"``, ``"zsh"`` or ``"fish"``."""
    from motifgpu.cli import make_parser

    return _SHELLS[shell](described(command_parsers(make_parser())))


def described(parsers: Mapping[str, argparse.ArgumentParser]) -> list[Command]:
    """Return what shells need to know of commands; where a value is none of a few, it is a file."""
    found = []
    for name, parser in parsers.items():
        words = (
            Word(
                tuple(action.option_strings),
                str(action.help or ""),
                action.nargs != 0,
                tuple(map(str, action.choices or ())),
            )
            for action in arguments(parser)
        )
        found.append(Command(name, str(parser.description), tuple(words)))
    return found


def _bash(commands: list[Command]) -> str:
    def reply(words: str) -> str:
        return f'COMPREPLY=($(compgen -W "{words}" -- "$word"))'

    names = " ".join(command.name for command in commands)
    cases = []
    for command in commands:
        flags = " ".join(flag for word in command.words for flag in word.flags)
        choices = [word for word in command.words if word.flags and word.takes and word.choices]
        values = [word for word in command.words if word.flags and word.takes and not word.choices]
        places = [choice for word in command.words if not word.flags for choice in word.choices]
        lines = [
            f"            {'|'.join(word.flags)}) {reply(' '.join(word.choices))}; return ;;"
            for word in choices
        ]
        if values:
            lines.append(f"            {'|'.join(flag for word in values for flag in word.flags)}) return ;;")
        arm = [f"    {command.name})"]
        arm += ['        case "$before" in', *lines, "        esac"] if lines else []
        arm += [f'        flags="{flags}"', f'        places="{" ".join(places)}" ;;']
        cases.append("\n".join(arm))
    body = "\n".join(cases)
    return f"""# bash completion of motifgpu; without an answer of its own bash completes file names
_motifgpu() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" flags="" places=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        {reply(names + " --version --help")}
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{body}
    esac
    if [[ "$word" == -* ]]; then
        {reply("$flags")}
    elif [ -n "$places" ]; then
        {reply("$places")}
    fi
}}
complete -o default -F _motifgpu motifgpu
"""


def _zsh(commands: list[Command]) -> str:
    def quoted(text: str) -> str:
        for special in "\\[]:":
            text = text.replace(special, "\\" + special)
        return "'" + text.replace("'", "'\\''") + "'"

    def spec(word: Word) -> str:
        values = f"({' '.join(word.choices)})" if word.choices else "_files"
        if not word.flags:
            return f"'*:{values if word.choices else 'file'}:{values}'"
        names = f"({' '.join(word.flags)})" + (
            f"'{{{','.join(word.flags)}}}'" if len(word.flags) > 1 else word.flags[0]
        )
        text = quoted(word.help)[1:-1]
        return f"'{names}[{text}]{f':value:{values}' if word.takes else ''}'"

    listed = "\n".join(f"    {quoted(c.name)[:-1]}:{quoted(c.help)[1:]}" for c in commands)
    cases = "\n".join(
        f"    {c.name})\n      _arguments \\\n"
        + " \\\n".join(f"        {spec(word)}" for word in c.words)
        + " ;;"
        for c in commands
    )
    return f"""#compdef motifgpu
_motifgpu() {{
  local -a commands=(
{listed}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
{cases}
  esac
}}
if [ "$funcstack[1]" = "_motifgpu" ]; then
  _motifgpu "$@"
else
  compdef _motifgpu motifgpu
fi
"""


def _fish(commands: list[Command]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = ["# fish completion of motifgpu"]
    for command in commands:
        lines.append(
            f"complete -c motifgpu -n __fish_use_subcommand -f -a {command.name} -d {quoted(command.help)}"
        )
        for word in command.words:
            names = " ".join(
                f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in word.flags
            )
            values = f"-f -a {quoted(' '.join(word.choices))}" if word.choices else ""
            needs = ("-x" if word.choices else "-r") if word.takes and word.flags else ""
            about = [f"-n '__fish_seen_subcommand_from {command.name}'", names, needs, values]
            if word.flags or word.choices:
                about.append(f"-d {quoted(word.help)}")
                lines.append(" ".join(["complete -c motifgpu", *filter(None, about)]))
    return "\n".join(lines) + "\n"


_SHELLS: dict[str, Callable[[list[Command]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
