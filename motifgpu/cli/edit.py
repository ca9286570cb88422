"""The command ``motifgpu edit``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motifgpu.cli.options import DONE, QUARANTINED, AddCommand
from motifgpu.cli.streams import print_json, say
from motifgpu.core.choices import FIGURES
from motifgpu.core.text import counted
from motifgpu.store.layout import ARCHIVE

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "edit",
        "name, merge, split and correct motifs and columns of a saved analysis",
        "results/scan --apply scan-decisions.toml",
    )
    parser.add_argument(
        "analysis",
        type=Path,
        metavar="ANALYSIS",
        help=f"folder that analyze wrote for a micrograph, or its {ARCHIVE}",
    )
    parser.add_argument(
        "--apply",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="decisions that the report saved; may be given several times. Without it: show what was decided",
    )
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="write there, not over the analysis")
    parser.add_argument("--decisions", type=Path, metavar="FILE", help="also write all decisions to a file")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.analysis import Analysis
    from motifgpu.core.errors import StageError
    from motifgpu.decisions import read_decisions, write_decisions

    path = args.analysis / ARCHIVE if args.analysis.is_dir() else args.analysis
    if args.analysis.is_dir() and not path.exists():
        raise StageError(
            "edit",
            f"{args.analysis} holds no {ARCHIVE}",
            "give the folder of one micrograph; if it was analysed with --no-save, analyse it again without",
        )
    given = [read_decisions(file) for file in args.apply]
    analysis = before = Analysis.load(path)
    for decisions in given:
        analysis = analysis.apply(decisions)
    new = analysis.decisions[len(before.decisions) :]
    out = args.out or path
    written = []
    if new or args.out:
        written.append(analysis.save(out))
        report = out.parent / "report.html"
        if report.exists():
            linked = 'id="linked"' in report.read_text(encoding="utf-8")
            written.append(analysis.report(out.parent, linked=linked, figures=_form(out.parent)))
    if args.decisions:
        written.append(write_decisions(args.decisions, analysis.decisions))
    if args.json:
        print_json(
            {
                "analysis": str(out),
                "decisions": [str(decision) for decision in analysis.decisions],
                "new": len(new),
                "misfits": [str(decision) for decision in new if decision.misfit],
                "known": sum(map(len, given)) - len(new),
                "written": list(map(str, written)),
            }
        )
    else:
        say("\n".join(_described(analysis, len(new), sum(map(len, given)) - len(new), written)))
    return QUARANTINED if any(decision.misfit for decision in new) else DONE


def _form(folder: Path) -> str:
    """Return in what form a report has its figures, in which it is written again."""
    known = {path.suffix[1:] for path in (folder / "figures").glob("*.*")}
    return next((form for form in FIGURES if form in known), "none")


def _described(analysis: Analysis, new: int, known: int, written: list[Path]) -> list[str]:
    made = counted(len(analysis.decisions), "decision")
    lines = [f"{analysis.micrograph.source}: {made}, {new or 'none'} new"]
    lines += [f"  {place:>3}  {decision}" for place, decision in enumerate(analysis.decisions, 1)]
    if known:
        lines.append(f"  {known} of those given were carried out before")
    return [*lines, *(f"  written: {path}" for path in written)]
