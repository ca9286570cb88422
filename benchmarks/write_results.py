"""Write the page of results from the result files: python benchmarks/write_results.py [--quick | --check].

Figures come from results/cpu.json and sentences from conclusions.md. With --quick what results/quick.json
holds replaces what the full run measured; with --check nothing is written, and the exit code says whether the
page is the one that the results give.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from page_markdown import Results
from page_outline import SECTIONS
from page_rows import paper_rows

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER / "RESULTS.md"


def load(quick: bool) -> Results:
    """Return all studies by name."""
    results: Results = json.loads((FOLDER / "results" / "cpu.json").read_text())
    if quick and (FOLDER / "results" / "quick.json").exists():
        results |= json.loads((FOLDER / "results" / "quick.json").read_text())
    return results


def conclusions() -> dict[str, str]:
    """Return what was written by hand, by its heading."""
    parts = re.split(r"^## (.+)$", (FOLDER / "conclusions.md").read_text(), flags=re.MULTILINE)[1:]
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
        "<!-- written by benchmarks/write_results.py; sentences are in benchmarks/conclusions.md -->",
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


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    results = load("--quick" in arguments)
    wanted = page(results)
    if "--check" in arguments:
        return int(wanted != PAGE.read_text())
    from figures_of_results import draw

    draw(results, FOLDER / "figures")
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
