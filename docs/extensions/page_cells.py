"""The examples in pages as cells of a notebook; how they are marked is said in `conf.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})\s*(?P<language>[^`]*?)\s*$")
_REASON = re.compile(r"^\s*<!-- not run: (?P<reason>\S.*?) -->\s*$")
_LANGUAGES = "python", "sh"
KERNEL = "motifgpu-page"
SHELL = "%%sh"  # the first line of a cell that the kernel gives to a shell
_HEAD = f"---\nfile_format: mystnb\nkernelspec:\n  name: {KERNEL}\n---\n"


@dataclass(frozen=True)
class Block:
    """An example of a page.

    Attributes
    ----------
    language : str
        "python" or "sh".
    line : int
        Of the page, where the code begins, from 1.
    code : str
    not_run : str
        The reason, empty where it is run.
    """

    language: str
    line: int
    code: str
    not_run: str


def blocks(text: str) -> Iterator[Block]:
    """Yield the examples of a page in order.

    Parameters
    ----------
    text : str
        The page, Markdown.

    Yields
    ------
    Block

    Raises
    ------
    ValueError
        If a fence is not closed or a code-block directive, or a mark stands before nothing that could run.
    """
    lines = text.splitlines()
    at, reason = 0, ""
    while at < len(lines):
        marked = _REASON.match(lines[at])
        opened = _FENCE.match(lines[at])
        if marked:
            reason = marked["reason"]
            follows = _FENCE.match(lines[at + 1]) if at + 1 < len(lines) else None
            if follows is None or follows["language"] not in _LANGUAGES:
                raise ValueError(f"line {at + 1}: 'not run' belongs in the line before a python or sh block")
        elif opened:
            first = at + 1
            closing = opened["indent"] + opened["fence"]
            at = next((i for i in range(first, len(lines)) if lines[i].rstrip() == closing), -1)
            if at < 0:
                raise ValueError(f"line {first}: the block that begins here is not closed")
            if opened["language"].startswith(("{code-block}", "{code}")):
                raise ValueError(f"line {first}: write a plain fence, so that it is known whether it runs")
            if opened["language"] in _LANGUAGES:
                indent = len(opened["indent"])
                code = "".join(line[indent:] + "\n" for line in lines[first:at])
                yield Block(opened["language"], first + 1, code, reason)
            reason = ""
        at += 1


def as_notebook(text: str) -> str:
    """Return a page whose examples are cells; a page without any as it is.

    Raises
    ------
    ValueError
        If the page's marks are not in order, or an example that runs is within a list or a directive.
    """
    run = [block for block in blocks(text) if not block.not_run]
    lines = text.splitlines()
    for block in run:
        fence = lines[block.line - 2]
        if fence != f"```{block.language}":
            raise ValueError(
                f"line {block.line - 1}: an example that runs stands at the margin, in backticks"
            )
        shell = f"\n{SHELL}" if block.language == "sh" else ""
        lines[block.line - 2] = f"```{{code-cell}} ipython3{shell}"
    page = "\n".join(lines) + "\n"
    if not run:
        return page
    if page.startswith("---\n"):
        raise ValueError("a page with examples has no head of its own")
    return _HEAD + page
