"""The page RESULTS.md: what was measured, with the sentences of conclusions.md."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.page.markdown import Results
from benchmarks.page.outline import SECTIONS
from benchmarks.page.rows import paper_rows

CONCLUSIONS = Path(__file__).parent / "conclusions.md"


def conclusions() -> dict[str, str]:
    """Return what was written by hand, by its heading."""
    parts = re.split(r"^## (.+)$", CONCLUSIONS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {title.strip(): text.strip() for title, text in zip(parts[::2], parts[1::2], strict=True)}


def contents(results: Results) -> list[str]:
    """Return the table of all studies that have been measured."""
    lines = ["## All studies", "", "| study | date | load | |", "|---|---|---|---|"]
    for name, entry in sorted(results.items()):
        load_average = entry.get("load")
        load_average = "–" if load_average is None else f"{load_average:.1f}"
        lines.append(
            f"| {name} | {entry['date']} | {load_average} | {'quick' if entry.get('quick') else ''} |"
        )
    return lines


def page(results: Results) -> str:
    """Return the page as Markdown."""
    said = conclusions()
    newest = max(results.values(), key=lambda entry: entry["date"])
    versions = ", ".join(f"{name} {value}" for name, value in sorted(newest["versions"].items()) if value)
    lines = [
        "<!-- written by benchmarks/page; sentences are in benchmarks/page/conclusions.md -->",
        "# Results",
        "",
        said["preface"],
        "",
        f"Python {newest['python']}; {versions}.",
        "",
        "## The paper, row by row",
        "",
        *paper_rows(results, {key.removeprefix("row "): text for key, text in said.items()}),
        said["not possible"],
        "",
    ]
    for section in SECTIONS:
        lines += section.lines(results, said.get(section.key, ""))
    lines += ["## How to repeat it", "", said["repeat"], "", *contents(results)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"
