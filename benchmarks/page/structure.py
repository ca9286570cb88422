"""The sections of the page of results on occupancy, twisted bilayers and defects."""

from __future__ import annotations

from benchmarks.page.markdown import Results, figures, number, ours_first, seeds, table


def occupancy(results: Results) -> list[str]:
    lines = [
        "Independent sites with the paper's fractions (36.3 % filled, 4.3 % excluded), by windows in view:",
        "",
    ]
    lines += table(
        ("windows", "entropy", "ceiling", "null", "p", "top 36, %", "null, %", "true entropy"),
        (
            (
                f"{row['windows']:,}",
                number(row["entropy"]),
                number(row["ceiling"]),
                f"{row['null'][0]:.2f} ± {row['null'][1]:.2f}",
                number(row["p_value"]),
                number(100 * row["top36"], 0),
                number(100 * row["top36_null"], 0),
                number(row["theory"]),
            )
            for row in figures(results, "few_windows_look_ordered")
        ),
    )
    theory = figures(results, "entropies_against_theory")
    worst = {
        level: max(abs(r["corrected"] - r["theory"]) for r in theory if r["level"] == level)
        for level in (2, 3)
    }
    tiling = [row for row in figures(results, "tiling_from_its_image") if row["counts"] >= 10]
    right = {by: 100 * min(row[f"states_right_by_{by}"] for row in tiling) for by in ("label", "patch")}
    return [
        *lines,
        f"Against theory on 1,200 x 1,200 sites (independent, ordered, Ising): level 2 within "
        f"{worst[2]:.4f} nats, level 3 within {worst[3]:.3f}. From the image of a pentagonal tiling at 10 "
        f"counts and more, in the worst of {len(tiling)} images, {right['label']:.1f} % of the states are "
        f"right by motif and {right['patch']:.1f} % by patch.",
        "",
    ]


def twist(results: Results) -> list[str]:
    lines = ["Fig. S21, degrees of error without noise of the image:", ""]
    lines += table(
        ("twist", "fit of peak pairs", "the paper's search"),
        (
            (
                row["twist"],
                f"{row['fit']:+.5f}",
                "not found" if row["search"] is None else f"{row['search']:+.2f}",
            )
            for row in figures(results, "twist_by_search")
        ),
    )
    lines += [
        "Fig. S22, nine cases (KL ± its deviation over pairs of domains, and the permutation null):",
        "",
    ]
    rows = []
    for row in figures(results, "nine_cases"):
        kinds = [
            f"{each['mean']:.3f} ± {each['deviation']:.3f} (null {each['null']:.3f})"
            for each in (row["divergence"][kind] for kind in ("AA'", "A'B", "AB'"))
        ]
        rows.append(
            (
                row["case"],
                f"{row['twist_error']:+.4f}",
                *kinds,
                f"{100 * row['labels_right']:.0f} / {100 * row['labels_right_in_cores']:.0f}",
                f"{row['domains_found']} of {row['domains_whole']}",
            )
        )
    head = (
        "case",
        "twist error",
        "AA'",
        "A'B",
        "AB'",
        "columns labelled right, all / in cores, %",
        "domains found",
    )
    return lines + table(head, rows)


def defects(results: Results) -> list[str]:
    lines = [
        "AMI with the truth, number of clusters, and recall / precision of the cluster that holds most of "
        "the rare kind. `analyze` are our motifs, which do not come from the layout; the layouts are "
        "clustered by HDBSCAN(15), all from the same moments of the same columns.",
        "",
    ]
    what = {
        "vacancies, 2 counts": "Fig. S23: MoSe2, 6 % single, 1 % double vacancies, 2 counts; rare: single",
        "vacancies, 10 counts": "The same at 10 counts",
        "twin boundary": "Fig. S24: a mirror twin boundary at 5 counts; rare: the row both grains share",
        "stacking boundary": "Fig. S25: 2H beside 3R at 10 counts; rare: columns in the hollow sites of 2H",
        "tunnelling": "Fig. S28: vacancies of a triangular lattice; rare: isolated ones",
    }
    for specimen, title in what.items():
        study = figures(results, f"defects {specimen}")
        methods = {name: row for name, row in ours_first(study["methods"]).items() if "ami" in row}
        lines += [f"{title}; {seeds(study['seeds'])}:", ""]
        lines += table(
            ("method", "AMI", "clusters", "recall / precision"),
            (
                (
                    name,
                    number(row["ami"]),
                    number(row["clusters"], 1),
                    f"{row['recall']:.2f} / {row['precision']:.2f}",
                )
                for name, row in methods.items()
            ),
        )
    empty = figures(results, "defects tunnelling")["methods"]["found empty"]
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in empty.items() if name != "false")
    lines += [
        "The layouts of S28 get the true vacancies. `find_columns` calls these shares of them empty: "
        f"{shares}, and {empty['false']:.0f} sites wrongly.",
        "",
    ]
    real = figures(results, "defects_of_real_micrographs")
    lines += [
        "Real micrographs, of which no truth is known: columns by motif, and clusters of each layout:",
        "",
    ]
    lines += table(
        ("micrograph", "shows", "columns by motif", "environments", "clusters of the layouts"),
        (
            (
                name,
                row["shows"],
                row.get("failed") or ", ".join(map(str, row["motifs"])),
                row.get("environments", "–"),
                ", ".join(f"{k} {v}" for k, v in row.get("clusters of the layout", {}).items()),
            )
            for name, row in real.items()
        ),
    )
    return lines
