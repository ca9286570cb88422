"""The sections of the page of results that compare with simulated truth, and those on time and memory."""

from __future__ import annotations

import statistics

from benchmarks.page.markdown import Results, figures, number, seconds, table

DOSES = (1, 3, 10, 30, 100)


def columns(results: Results) -> list[str]:
    lines = [
        "Five seeds, lattice constant 22 px, 5 % single and 1.5 % double vacancies; position error is root "
        "mean square; the bound is that of an isolated column of known shape, and knowledge of the lattice "
        "may pass it.",
        "",
        "![Position error over dose](plots/columns.png)",
        "",
    ]
    lines += table(
        (
            "material",
            "counts",
            "precision / recall",
            "error, px",
            "Cramér-Rao, px",
            "motif-learn",
            "its error, px",
        ),
        (
            (
                row["material"],
                row["counts"],
                f"{row['precision']:.3f} / {row['recall']:.3f}",
                number(row["rms_px"]),
                number(row["cramer_rao_px"]),
                f"{row['motif_learn']['precision']:.2f} / {row['motif_learn']['recall']:.2f}",
                number(row["motif_learn"]["rms_px"]),
            )
            for row in figures(results, "columns")
            if row["lattice"] == "defects"
        ),
    )
    rows = figures(results, "columns_by_atomap")
    lines += [f"The same against atomap, {rows[0]['seeds']} of the seeds; it is told the separation:", ""]
    return lines + table(
        ("counts", "motifgpu", "error, px", "CPU", "atomap", "error, px", "CPU"),
        (
            (
                row["counts"],
                *(
                    cell
                    for found in (row["motifgpu"], row["atomap"])
                    for cell in (
                        f"{found['precision']:.3f} / {found['recall']:.3f}",
                        number(found["rms_px"]),
                        seconds(found["cpu_s"]),
                    )
                ),
            )
            for row in rows
        ),
    )


def motifs(results: Results) -> list[str]:
    names = {
        "columns": "motifgpu",
        "layout hdbscan": "layout, HDBSCAN",
        "layout regions": "layout, dense regions",
        "k-means on layout, told": "layout, KMeans told the number",
        "BIC mixture on two PCs, 0.82 a": "mixture by BIC on two components",
        "oracle": "discriminant analysis told the truth",
    }
    studies = {dose: figures(results, f"motifs_pk{dose}")["methods"] for dose in DOSES}
    lines = [
        "AMI of identity / environment by dose, ten seeds; five identities, their number not told:",
        "",
    ]

    def cell(row: dict[str, dict[str, float]]) -> str:
        return " / ".join(number(row[k]["mean"]) if k in row else "–" for k in ("identity", "environment"))

    lines += table(
        ("method", *(f"{dose} count{'s' if dose > 1 else ''}" for dose in DOSES)),
        (
            (label, *(cell(studies[dose][name]) if name in studies[dose] else "–" for dose in DOSES))
            for name, label in names.items()
        ),
    )
    lines += ["Other materials and images:", ""]
    lines += table(
        ("case", "identity", "environment", "vacancies recall / precision"),
        (
            (
                case,
                *(number(row[k]["mean"]) if k in row else "–" for k in ("identity", "environment")),
                " / ".join(
                    number(row[k]["mean"]) if k in row else "–"
                    for k in ("vacancy_recall", "vacancy_precision")
                ),
            )
            for case, row in figures(results, "motifs_elsewhere")["cases"].items()
        ),
    )
    real = figures(results, "motifs_of_a_real_micrograph")
    found = (
        f"{name}: AMI {row['ami_with_published_labels']:.2f}, vacancies recall / precision "
        f"{row['vacancy_recall']:.2f} / {row['vacancy_precision']:.2f}"
        for name, row in real.items()
    )
    return [*lines, f"TiWSe2, a real micrograph with published labels of vacancies: {'; '.join(found)}.", ""]


def hierarchy(results: Results) -> list[str]:
    rows = [
        (f"true labels, positions {j} px off", f"components_with_true_labels_{j}") for j in ("0.3", "0.8")
    ]
    rows += [
        (f"from the image, counts: {dose}", f"components_from_the_image_{dose}_counts")
        for dose in (1, 3, 10, 30)
    ]
    found = [(what, figures(results, name)) for what, name in rows]
    lines = table(
        ("connected non-dominant cells", "true", "precision", "recall"),
        ((what, row["true"], number(row["precision"], 3), number(row["recall"], 3)) for what, row in found),
    )
    rebuilt = figures(results, "reconstruction_against_truth")
    lines += ["Reconstruction from 30 class averages against the image without noise, PSNR in dB:", ""]
    by_dose = {dose: [row for row in rebuilt if row["counts"] == dose] for dose in DOSES}

    def mean(key: str) -> list[str]:
        return [number(statistics.mean(row[key] for row in by_dose[dose]), 1) for dose in DOSES]

    return lines + table(
        ("from", *(f"{dose} count{'s' if dose > 1 else ''}" for dose in DOSES)),
        (
            ("class averages, columns found", *mean("found_auto")),
            ("class averages, true columns", *mean("true_auto")),
            ("smoothing alone", *mean("smoothing")),
        ),
    )


def scaling(results: Results) -> list[str]:
    study = figures(results, "scaling")
    threads = study["threads"]
    rows = [row for row in threads["1"] if "stages" in row]
    head = [f"{row['columns']:,}" for row in rows]
    lines = [
        "One thread, CPU time, and in brackets the most memory that a stage held beyond its input, MB; "
        "exponents are fitted where a stage takes at least 3 ms, or 1 MB.",
        "",
        *table(
            ("stage", *head, "time ~ n to the", "memory ~ n to the"),
            (
                (
                    stage,
                    *(
                        f"{seconds(row['stages'][stage]['cpu_s'])} ({row['stages'][stage]['peak_mb']:.0f})"
                        if stage in row["stages"]
                        else "failed"
                        for row in rows
                    ),
                    number(study["time exponents"][stage]),
                    number(study["memory exponents"][stage]),
                )
                for stage in rows[0]["stages"]
            ),
        ),
        "![Time and memory of the stages](plots/scaling.png)",
        "",
    ]
    two = {row["columns"]: row for row in threads.get("2", []) if "stages" in row}
    both = [row for row in rows if row["columns"] in two]
    if both:
        last = both[-1]
        lines += [f"One thread against two at {last['columns']:,} columns, elapsed time:", ""]
        lines += table(
            ("stage", "one", "two"),
            (
                (
                    stage,
                    seconds(last["stages"][stage]["wall_s"]),
                    seconds(two[last["columns"]]["stages"][stage]["wall_s"]),
                )
                for stage in last["stages"]
                if stage in two[last["columns"]]["stages"]
            ),
        )
    failed = [row for rows_ in threads.values() for row in rows_ if "failed" in row]
    why = dict.fromkeys(f"{row['asked']:,} columns asked for: {' '.join(row['failed'])}." for row in failed)
    return [*lines, *why, ""]
