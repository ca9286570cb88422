"""The section of the page of results on samples of all kinds."""

from __future__ import annotations

from typing import Any

from benchmarks.page.markdown import Results, figures, number, table

DOSES = ("3", "10", "30")


def _pair(scores: dict[str, Any]) -> str:
    return " / ".join(number(scores[name], 3) for name in ("precision", "recall"))


def _kinds(scores: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name.split(" pk ")[0] for name in scores))


def samples(results: Results) -> list[str]:
    study = figures(results, "samples")
    scores = study["samples"]
    doses = [dose for dose in DOSES if any(name.endswith(f" pk {dose}") for name in scores)]
    seeds = study["seeds"]
    lines = [
        f"Seeds {seeds[0]} to {seeds[-1]} of `motifgpu.simulate.sample`, {study['size_px']} px wide; nothing "
        "is told but that the atoms of `atoms` have no lattice. Precision / recall of columns; what is "
        "undecided counts as missed. The oracle is told all places and how many columns there are. The error "
        "is the root mean square over that of the Cramér-Rao bound of a joint fit; knowledge of the lattice "
        "may pass it.",
        "",
    ]
    lines += table(
        (
            "sample",
            *(f"{dose} counts" for dose in doses),
            "oracle",
            "undecided",
            "error / bound",
            "empty sites",
        ),
        (
            (
                kind,
                *(_pair(scores[f"{kind} pk {dose}"]) for dose in doses),
                *(
                    " ".join(number(scores[f"{kind} pk {dose}"][name], digits) for dose in doses)
                    for name, digits in (
                        ("oracle", 3),
                        ("undecided", 3),
                        ("error_of_bound", 2),
                        ("empty_precision", 2),
                    )
                ),
            )
            for kind in _kinds(scores)
        ),
    )
    lines += [
        "Labels, at the same doses: adjusted mutual information (AMI) with identity and domain, of columns "
        "with a whole patch that are not at a boundary; where there is one class, the share of the largest "
        "label. Its oracle is told all but which sites have a defect. F1 of boundary columns is that of the "
        "label that fits best; columns next to a boundary count as neither. The calibration error is that of "
        "the confidences of identities.",
        "",
    ]
    names = (
        ("ami", 3),
        ("oracle_ami", 3),
        ("hdbscan_ami", 3),
        ("boundary_f1", 2),
        ("hdbscan_boundary_f1", 2),
        ("ami_border", 3),
        ("calibration_identities", 3),
    )
    lines += table(
        ("sample", "AMI", "oracle", "layout, HDBSCAN", "boundary F1", "HDBSCAN", "border AMI", "calibration"),
        (
            (
                kind,
                *(
                    " ".join(number(scores[f"{kind} pk {dose}"][name], digits) for dose in doses)
                    for name, digits in names
                ),
            )
            for kind in _kinds(scores)
        ),
    )
    troubled = sorted({name.partition(" pk 10 ")[2] for name in scores} - {""})
    if troubled:
        first, *_, last = study["trouble_seeds"]
        lines += [
            f"With what troubles a recording, at 10 counts, seeds {first} to {last}, precision / recall, and "
            "AMI:",
            "",
        ]
        lines += table(
            ("sample", *troubled),
            (
                (
                    kind,
                    *(
                        f"{_pair(row)}, {number(row['ami'])}"
                        for row in (scores[f"{kind} pk 10 {name}"] for name in troubled)
                    ),
                )
                for kind in _kinds(scores)
                if f"{kind} pk 10 {troubled[0]}" in scores
            ),
        )
    compared = {name: row["peers"] for name, row in scores.items() if row["peers"]}
    if compared:
        methods = list(next(iter(compared.values())))
        seen = ", ".join(map(str, study["peer_seeds"]))
        lines += [
            "Other packages, told the distance of nearest columns and which image has dark ones (atomap the "
            f"best of four separations), seed {seen}; precision / recall:",
            "",
        ]
        lines += table(
            ("sample", *methods),
            ((name, *(_pair(row[method]) for method in methods)) for name, row in compared.items()),
        )
    lines += [
        "Images in which there is nothing: "
        + "; ".join(
            f"{kind}, columns in {sum(map(bool, numbers))} of {len(numbers)}"
            for kind, numbers in study["false_columns"].items()
        )
        + ".",
        "",
    ]
    return lines
