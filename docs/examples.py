"""The examples in pages: finding them, and running them; how they are marked is said in `conf.py`."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})\s*(?P<language>[^`]*?)\s*$")
_REASON = re.compile(r"^\s*<!-- not run: (?P<reason>\S.*?) -->\s*$")
_LANGUAGES = "python", "sh"
_DEFECTS: dict[str, Any] = {"vacancies": 0.05, "divacancies": 0.015, "dopants": {"W": 0.03}}


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


def write_scans(folder: Path) -> None:
    """Write the simulated micrographs that pages begin with into a folder."""
    import tifffile

    from motifgpu import simulate

    (folder / "scans").mkdir()
    for seed, name in enumerate(["scan", "other", "scans/first", "scans/second", "scans/third"]):
        made = simulate.monolayer("MoSe2", (256, 256), counts=30.0, angle=11.0, seed=seed, **_DEFECTS)
        assert made.pixel_size_nm is not None
        per_nm = 1 / made.pixel_size_nm
        tifffile.imwrite(
            folder / f"{name}.tif",
            made.image,
            imagej=True,
            resolution=(per_nm, per_nm),
            metadata={"unit": "nm"},
        )


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_page(page: Path, folder: Path) -> int:
    """Run the examples of a page in a folder.

    Parameters
    ----------
    page : Path
    folder : Path
        Holds what the examples read, and then what they write.

    Returns
    -------
    int
        How many were run.

    Raises
    ------
    Exception
        What an example raised; its traceback has the page and its line.
    CalledProcessError
        If a shell block fails.
    ValueError
        If the page's marks are not in order.
    """
    import matplotlib.pyplot as plt

    names: dict[str, Any] = {"__name__": "__main__"}
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    ran = 0
    with _inside(folder):
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.not_run:
                continue
            if block.language == "python":
                # As many empty lines before it as stand before it in the page.
                exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)
            else:
                where = f"trap 'echo \"{page}:{block.line}: this block failed\" >&2' ERR\n"
                subprocess.run(
                    ["bash", "-Eeuc", where + block.code], check=True, env={**os.environ, "PATH": path}
                )
            ran += 1
    plt.close("all")
    return ran


def run_pages(pages: list[Path], scratch: Path) -> list[str]:
    """Run the examples of pages, each in a folder of its own with simulated micrographs.

    Parameters
    ----------
    pages : list of Path
    scratch : Path
        An empty folder.

    Returns
    -------
    list of str
        The pages that failed; why is on standard error.
    """
    import traceback

    failed = []
    for number, page in enumerate(pages):
        folder = scratch / str(number)
        folder.mkdir()
        begun = time.perf_counter()
        try:
            if not list(blocks(page.read_text(encoding="utf-8"))):
                continue
            write_scans(folder)
            ran = run_page(page, folder)
        except Exception:
            traceback.print_exc()
            failed.append(str(page))
            continue
        print(f"{page}: {ran} examples, {time.perf_counter() - begun:.1f} s", flush=True)
    return failed
