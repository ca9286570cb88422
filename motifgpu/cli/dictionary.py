"""The command ``motifgpu dictionary``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.cli.analyzing import analyzed, noted
from motifgpu.cli.options import DONE, QUARANTINED, AddCommand, add_options
from motifgpu.cli.streams import print_json, say
from motifgpu.core.text import counted
from motifgpu.store.layout import ARCHIVE

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis
    from motifgpu.dictionary import MotifDictionary


def add(command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = command(
        "dictionary",
        "learn motifs with fixed numbers from micrographs, and write them to a file",
        "learn mose2.motifs results/first results/second",
    )
    parser.add_argument(
        "action",
        choices=("learn", "extend", "rename", "show"),
        help="learn: make the file; extend: add the motifs that it lacks; rename: name motifs; show: print "
        "its contents",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="file of the dictionary")
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="micrographs to learn from, or saved analyses, whose names are kept; to rename, NUMBER=NAME",
    )
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from motifgpu.core.errors import StageError
    from motifgpu.dictionary import MotifDictionary

    if (args.action == "show") == bool(args.paths):
        wanted = {"show": "give no micrographs", "rename": "give names as NUMBER=NAME"}.get(
            args.action, "give micrographs to learn from"
        )
        args.parser.error(f"{args.action}: {wanted}")
    if args.n_motifs is not None:
        args.parser.error("--motifs: a dictionary finds the number of its motifs itself")
    if args.action == "learn" and args.file.exists():
        raise StageError("dictionary", f"{args.file} exists", "extend it, or give another name")
    known = None if args.action == "learn" else MotifDictionary.load(args.file)
    failed: list[dict[str, str]] = []
    if args.action == "rename":
        assert known is not None
        known = known.renamed(dict(map(_named, args.paths)))
        known.save(args.file)
    elif args.action != "show":
        analyses: list[Analysis] = []
        for path in map(Path, args.paths):
            with noted(path, failed):
                analyses.append(_analysis(path, args, known))
        known = MotifDictionary.learn(analyses) if known is None else known.extended(analyses)
        known.save(args.file)
    assert known is not None
    if args.json:
        print_json({**_summary(known), "file": str(args.file), "failed": failed})
    else:
        say(_describe(known, args.file))
    return QUARANTINED if failed else DONE


def _named(text: str) -> tuple[int, str]:
    """Return number and name of a motif from ``NUMBER=NAME``."""
    from motifgpu.core.errors import StageError

    number, _, name = text.partition("=")
    if not (number.isdecimal() and len(number) < 10 and name):
        raise StageError("dictionary", f"a name is given as {text!r}", "give it as NUMBER=NAME, 2=V_Se say")
    return int(number), name


def _analysis(path: Path, args: argparse.Namespace, known: MotifDictionary | None) -> Analysis:
    """Return a saved analysis, or that of a micrograph."""
    from motifgpu.analysis import Analysis

    saved = path / ARCHIVE if path.is_dir() else path
    if saved.suffix == Path(ARCHIVE).suffix:
        return Analysis.load(saved)
    return analyzed(path, args, dictionary=known, structure=False)


def _summary(dictionary: MotifDictionary) -> dict[str, Any]:
    return {
        "digest": dictionary.digest,
        "motifs": [
            {"label": label, "name": name, "count": int(count)}
            for label, (name, count) in enumerate(zip(dictionary.names, dictionary.counts, strict=True))
        ],
        "environments": len(dictionary.environments.keys),
        **dictionary.provenance,
    }


def _describe(dictionary: MotifDictionary, file: Path) -> str:
    about = dictionary.provenance
    size = "unknown size" if dictionary.patch_nm is None else f"{dictionary.patch_nm:.3g} nm"
    lines = [
        f"{file}: {counted(len(dictionary.names), 'motif')}, "
        f"{counted(len(dictionary.environments.keys), 'environment')}, learned on "
        f"{counted(about['columns_looked_at'], 'column')} of {counted(len(about['sources']), 'micrograph')}",
        f"  moments of order {dictionary.order}, patches of {size}; {dictionary.digest[:16]}",
    ]
    total = max(int(dictionary.counts.sum()), 1)
    lines += [
        f"  {label:>3}  {name:<16}  {count:>9,}  {100 * count / total:5.1f} %"
        for label, (name, count) in enumerate(zip(dictionary.names, dictionary.counts.tolist(), strict=True))
    ]
    lines += [f"  left out, another crystal: {name}" for name in about["left_out"]]
    lost = about.get("not_learned", [])
    return "\n".join([*lines, *(f"  no motif of its own, so not learned: {name}" for name in lost)])
