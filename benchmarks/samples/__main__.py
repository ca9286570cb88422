"""Measure columns and labels on simulated samples of all kinds.

python benchmarks/samples --jobs 8                           every kind, dose and trouble on seeds 100 to 109
python benchmarks/samples --kinds mirror_twin --seeds 2 --counts 10           two seeds of one kind: 0 and 1
python benchmarks/samples --seeds 100-109 --troubles slope --sheets FOLDER    with pictures of what was found

Seeds below 100 are there to develop on. Without --seeds, or with --record, everything is measured and
recorded in the results: troubles at 10 counts, the peers that are installed on the first three seeds at 3 and
10 counts, and images of nothing. Otherwise the table is printed alone, and written as JSON where --json names
a file. The kinds TiWSe2_adf1 and TiWSe2_adf2 are like the micrograph at --counts 50.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks import results
from benchmarks.samples import sheets, table
from benchmarks.samples.measure import MORE, TROUBLES, Case, false_columns, measure
from benchmarks.samples.peers import PEERS
from motifgpu.simulate import NOTHING, SAMPLES

KEPT = range(100, 110)
DOSES = (3.0, 10.0, 30.0)
PEER_SEEDS = 3  # of a row, which the peers see in the whole suite
PEER_HEADS = ("precision", "recall", "error_of_bound")


def seeds(text: str) -> list[int]:
    """Return the seeds that ``3``, the first three, or ``100-109`` name."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of seeds nor a range such as 100-109")
    first, last = match.groups()
    return list(range(int(last)) if first is None else range(int(first), int(last) + 1))


def cases(options: argparse.Namespace) -> Iterator[list[Case]]:
    """Return the cases of each row of the table."""
    for kind in options.kinds:
        for trouble in ["none"] if kind in MORE else options.troubles:
            for counts in options.counts:
                yield [
                    Case(kind, counts, trouble, seed, options.size, tuple(options.peers))
                    for seed in options.seeds
                ]


def name(case: Case) -> str:
    """Return the name of a row."""
    return f"{case.kind} pk {case.counts:g}" + (f" {case.trouble}" if case.trouble != "none" else "")


def measured(group: list[Case], folder: Path | None) -> dict[str, Any]:
    """Return the scores of the cases of a row together, and draw them where a folder is given."""
    with threadpool_limits(1):
        made = [measure(case) for case in group]
    if folder:
        titles = [f"{name(case)} seed {case.seed}" for case in group]
        drawn = [(title, *each[1:]) for title, each in zip(titles, made, strict=True)]
        sheets.draw(drawn, folder / f"{name(group[0]).replace(' ', '_')}.png")
    rows = [scores for scores, _, _ in made]
    refusals = sorted({row["refused"] for row in rows} - {""})
    return table.pooled(rows) | {"refusals": refusals, "peers": _compared(rows, group[0].peers)}


def _wanted(case: Case) -> bool:
    """Say whether a case belongs to the whole suite, in which troubles come at one dose."""
    return case.trouble == "none" or case.counts == DOSES[1]


def _planned(group: list[Case]) -> list[Case]:
    """Return cases of the whole suite, in which the peers, which are slow, see three images of a row."""
    seen = PEER_SEEDS if group[0].trouble == "none" and group[0].counts in DOSES[:2] else 0
    return [case if number < seen else replace(case, peers=()) for number, case in enumerate(group)]


def _compared(rows: list[dict[str, Any]], peers: tuple[str, ...]) -> dict[str, Any]:
    """Return the scores of the peers and ours on the images that they saw."""
    if not peers:
        return {}
    seen = [row for row in rows if peers[0] in row]
    return {"motifgpu": table.pooled(seen)} | {
        peer: table.pooled([row[peer] for row in seen]) for peer in peers
    }


def _nothing(arguments: tuple[str, int, int]) -> int:
    with threadpool_limits(1):
        return false_columns(*arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/samples",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = [*SAMPLES, *MORE]
    parser.add_argument("--kinds", nargs="*", default=kinds, choices=kinds, metavar="KIND")
    parser.add_argument("--seeds", type=seeds, metavar="NUMBER|FIRST-LAST")
    parser.add_argument("--counts", nargs="+", type=float, default=list(DOSES))
    parser.add_argument("--troubles", nargs="+", choices=TROUBLES, default=["none"])
    parser.add_argument("--size", type=int, default=320, help="rows and columns of an image, px")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=[], help="packages to compare with")
    parser.add_argument("--nothing", type=int, default=0, metavar="N", help="images of nothing of each kind")
    parser.add_argument("--sheets", type=Path, metavar="FOLDER", help="draw what was found, a sheet a row")
    parser.add_argument("--record", action="store_true", help="measure and record everything on these seeds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args(arguments)
    whole = options.record or options.seeds is None
    options.seeds = options.seeds or list(KEPT)
    if whole:
        options.troubles, options.counts, options.nothing = list(TROUBLES), list(DOSES), 20
        options.peers = list(PEERS)

    figures: dict[str, Any] = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        groups = list(cases(options))
        if whole:
            groups = [_planned(group) for group in groups if _wanted(group[0])]
        if options.sheets:
            options.sheets.mkdir(parents=True, exist_ok=True)
        running = [(name(group[0]), pool.submit(measured, group, options.sheets)) for group in groups]
        blank = [
            (kind, [pool.submit(_nothing, (kind, seed, options.size)) for seed in range(options.nothing)])
            for kind in NOTHING
        ]
        for row, future in running:
            figures[row] = future.result()
            print(f"{row}: {figures[row]['precision']:.3f} {figures[row]['recall']:.3f}", file=sys.stderr)
        false = {kind: [future.result() for future in futures] for kind, futures in blank if futures}
    print(table.text(figures.items()))
    for peer in options.peers:
        theirs = [(row, each["peers"][peer]) for row, each in figures.items() if peer in each["peers"]]
        print(f"\n{peer}\n{table.text(theirs, PEER_HEADS)}")
    for row, each in figures.items():
        for reason in each["refusals"]:
            print(f"refused, {row}: {reason}")
    for kind, numbers in false.items():
        wrong = sum(map(bool, numbers))
        print(f"nothing, {kind}: columns in {wrong} of {len(numbers)} images, {sum(numbers)} in all")
    content = {
        "seeds": options.seeds,
        "peer_seeds": options.seeds[:PEER_SEEDS],
        "trouble_seeds": options.seeds,
        "size_px": options.size,
        "samples": figures,
        "false_columns": false,
    }
    if options.json:
        options.json.write_text(json.dumps(content, indent=1))
    if whole:
        results.record("samples", content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
