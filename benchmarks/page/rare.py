"""The section of the page of results on rare defects at low dose."""

from __future__ import annotations

from typing import Any

from benchmarks.page.markdown import Results, figures, number, table

DOSES = ("0.5", "1", "1.5", "2", "3", "10", "30")
METHODS = {
    "columns": "motifgpu",
    "oracle": "oracle: discriminant analysis on ten other micrographs",
    "layout, HDBSCAN": "layout, HDBSCAN",
    "layout, regions": "layout, dense regions",
    "layout, k-means told the number": "layout, k-means told the number",
    "moments, k-means told the number": "moments, k-means told the number",
}


def _vacancies(row: dict[str, Any]) -> str:
    return " / ".join(number(row[key]["mean"]) for key in ("vacancy_recall", "vacancy_precision"))


def _by_dose(item: tuple[str, Any]) -> tuple[str, float]:
    """Sort what is named like "MoSe2 pk 1.5"."""
    name, dose = item[0].split("pk ")
    return name, float(dose)


def rare(results: Results) -> list[str]:
    studies = {dose: figures(results, f"rare_defects_pk{dose}") for dose in DOSES}
    head = ("method", *(f"{dose} counts" for dose in DOSES))
    lines = ["Single vacancies, 5 % of the selenium sites of MoSe2, recall / precision, ten seeds:", ""]
    lines += table(
        head,
        (
            (label, *(_vacancies(studies[dose]["methods"][name]) for dose in DOSES))
            for name, label in METHODS.items()
        ),
    )
    lines += ["AMI with the identity of the column:", ""]
    lines += table(
        head,
        (
            (label, *(number(studies[dose]["methods"][name]["identity"]["mean"], 3) for dose in DOSES))
            for name, label in METHODS.items()
        ),
    )
    lines += ["How many columns of a confidence are right (share, of so many):", ""]
    ranges = sorted({row["from"] for study in studies.values() for row in study["reliability of columns"]})
    by_dose = {
        dose: {
            row["from"]: f"{row['right']:.3f} of {row['columns']:,}"
            for row in study["reliability of columns"]
        }
        for dose, study in studies.items()
    }
    lines += table(
        ("confidence from", *(f"{dose} counts" for dose in DOSES)),
        ((low, *(by_dose[dose].get(low, "–") for dose in DOSES)) for low in ranges),
    )
    lines += ["Contrast by multislice; the oracle is trained on another cell:", ""]
    lines += table(
        ("micrograph", "motifgpu", "AMI", "oracle", "AMI"),
        (
            (
                name,
                *(
                    cell
                    for method in ("columns", "oracle")
                    for cell in (_vacancies(row[method]), number(row[method]["identity"]["mean"], 3))
                ),
            )
            for name, row in sorted(figures(results, "multislice_contrast").items(), key=_by_dose)
        ),
    )
    splits, pools = figures(results, "false_splits"), figures(results, "rarity").values()
    real, grains = figures(results, "published_vacancies"), figures(results, "rare_in_two_grains")["doses"]
    dopants = [
        min(dose["recall by identity"][name]["min"] for name in ("Fe", "TeS"))
        for dose in figures(results, "rare_dopants")["doses"].values()
    ]
    return [
        *lines,
        f"- Pristine crystals: {len(splits['split'])} of {splits['runs']} split.",
        "- A dopant on 0.2 % of its sites in 50 pooled micrographs at 10 counts: recall and precision "
        f"at least {min(min(pool['recall'], pool['precision']) for pool in pools):.2f}.",
        f"- WS2 with Fe and Te at 10 and 30 counts: recall of either at least {min(dopants):.2f}.",
        "- Two grains 25 degrees apart: AMI "
        + ", ".join(
            f"{each['identity']['mean']:.3f} ({dose})" for dose, each in sorted(grains.items(), key=_by_dose)
        )
        + ".",
        "- Published vacancies of TiWSe2: F1 "
        + ", ".join(f"{row['f1']:.2f} ({name})" for name, row in real.items())
        + ".",
        "",
    ]
