"""Write RESULTS.md, its plots and the README's table from the result files.

python benchmarks/page            from results/cpu.json and conclusions.md
python benchmarks/page --quick    RESULTS.md alone, what results/quick.json holds in place of the full run's
python benchmarks/page --check    writes nothing, and fails where a page is not the one that the results give
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import results
from benchmarks.page import plots, readme_table, results_page

BENCHMARKS = Path(__file__).resolve().parents[1]
PAGE = BENCHMARKS / "RESULTS.md"
README = BENCHMARKS.parent / "README.md"


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="with the figures of quick runs")
    which.add_argument("--check", action="store_true", help="write nothing, and fail where a page is old")
    options = parser.parse_args(arguments)
    measured = results.load(quick=options.quick)
    pages = {PAGE: results_page.page(measured)}
    if not options.quick:
        pages[README] = readme_table.renewed(README.read_text(encoding="utf-8"), measured)
    if options.check:
        old = [path.name for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
        if old:
            print(f"{', '.join(old)}: not what the results give; run python benchmarks/page", file=sys.stderr)
        return int(bool(old))
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    plots.draw(measured, BENCHMARKS / "plots")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
