"""The scores of many samples as one row a kind and dose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.samples.columns import calibration_error

# Name of a score, its head in the table, and how it is printed.
HEADS = {
    "precision": ("prec", "{:.3f}"),
    "recall": ("recall", "{:.3f}"),
    "recall_of_decided": ("rec.dec", "{:.3f}"),
    "oracle": ("oracle", "{:.3f}"),
    "undecided": ("undec", "{:.3f}"),
    "error_of_bound": ("err/bnd", "{:.2f}"),
    "empty_precision": ("empty", "{:.2f}"),
    "empty_claims": ("n_empty", "{:.0f}"),
    "calibration_columns": ("ece.col", "{:.3f}"),
    "ami": ("AMI", "{:.3f}"),
    "oracle_ami": ("ora.AMI", "{:.3f}"),
    "ami_identity": ("AMI.id", "{:.3f}"),
    "hdbscan_ami": ("hdb.AMI", "{:.3f}"),
    "ami_border": ("border", "{:.3f}"),
    "boundary_f1": ("bnd.F1", "{:.2f}"),
    "boundary_f1_of_several": ("several", "{:.2f}"),
    "hdbscan_boundary_f1": ("hdb.F1", "{:.2f}"),
    "boundary_f1_called": ("called", "{:.2f}"),
    "vacancy_f1": ("vac.F1", "{:.2f}"),
    "vacancy_f1_of_several": ("several", "{:.2f}"),
    "ami_of_identities": ("id.AMI", "{:.3f}"),
    "ami_of_domains": ("dom.AMI", "{:.3f}"),
    "calibration": ("ece", "{:.3f}"),
    "calibration_identities": ("ece.id", "{:.3f}"),
    "labels": ("labels", "{:.1f}"),
    "classes": ("true", "{:.1f}"),
    "refused": ("refused", "{:.0f}"),
    "cpu_s": ("cpu s", "{:.2f}"),
}
_MEANS = (
    "ami", "oracle_ami", "ami_identity", "hdbscan_ami", "ami_border", "boundary_f1", "boundary_f1_of_several",
    "boundary_f1_called", "ami_of_identities", "ami_of_domains", "hdbscan_boundary_f1", "labels", "classes",
    "vacancy_f1", "vacancy_f1_of_several", "cpu_s",
)  # fmt: skip


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def pooled(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the scores of several samples: shares of all columns together, means over samples of the rest.

    A sample that was refused has no columns; the agreement of its labels is 0.
    """

    def total(name: str) -> float:
        return float(np.sum([row.get(name, 0) for row in rows]))

    result = {
        "samples": len(rows),
        "refused": float(sum(bool(row.get("refused")) for row in rows)),
        "precision": _share(total("right_claims"), total("claims")),
        "recall": _share(total("hits"), total("columns")),
        "worst_recall": min(_share(row["hits"], row["columns"]) for row in rows),
        "error_of_bound": _share(total("square_error"), total("least_square_error")) ** 0.5,
    }
    if "sites" not in rows[0]:  # of a peer
        return result
    result |= {
        "recall_of_decided": _share(total("hits"), total("columns") - total("undecided_columns")),
        "oracle": _share(total("oracle_hits"), total("columns")),
        "undecided": _share(total("undecided"), total("sites")),
        "empty_precision": _share(total("right_empty_claims"), total("empty_claims")),
        "empty_claims": total("empty_claims"),
        "empty_sites": total("empty_sites"),
    }
    for name in ("calibration", "calibration_identities", "calibration_columns"):
        bins = [np.asarray(row[name]) for row in rows if name in row]
        result[name] = calibration_error(np.sum(bins, axis=0)) if bins else float("nan")
    for name in _MEANS:
        zero = 0.0 if name.startswith(("ami", "hdbscan_ami")) else np.nan
        values = np.array([row.get(name, zero if row["refused"] else np.nan) for row in rows], float)
        known = values[~np.isnan(values)]
        result[name] = float(known.mean()) if len(known) else float("nan")
    return result


def text(rows: Iterable[tuple[str, dict[str, float]]], heads: Iterable[str] = HEADS) -> str:
    """Return a table with one line per name and scores."""
    rows, heads = list(rows), list(heads)
    width = max([len(name) for name, _ in rows], default=0) + 1
    lines = [" " * width + " ".join(f"{HEADS[head][0]:>7}" for head in heads)]
    for name, scores in rows:
        cells = []
        for head in heads:
            value = scores.get(head, float("nan"))
            cells.append(f"{'–' if np.isnan(value) else HEADS[head][1].format(value):>7}")
        lines.append(f"{name:<{width}}" + " ".join(cells))
    return "\n".join(lines)
