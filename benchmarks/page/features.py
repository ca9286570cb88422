"""The sections of the page of results on speed, noise, bases and layouts."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.page.markdown import (
    Results,
    figures,
    number,
    ours_first,
    seconds,
    seeds,
    span,
    table,
    with_error,
)


def speed(results: Results) -> list[str]:
    rows = figures(results, "relaxation_over_iterations")
    lines = ["Table S2, graph and layout of 1,207 columns of a simulated monolayer, k = 15, k' = 5:", ""]
    lines += table(
        ("iterations", "paper, 1.8 GHz Xeon", "motif-learn", "motifgpu", "ratio"),
        (
            (
                row["iterations"],
                f"{paper} s",
                seconds(row["motif_learn"]["median_s"]),
                seconds(row["motifgpu"]["median_s"]),
                f"{row['motif_learn']['median_s'] / row['motifgpu']['median_s']:.0f}",
            )
            for row, paper in zip(rows, (0.57, 0.70, 0.87, 1.28, 2.17), strict=True)
        ),
    )
    lines += ["At the sweeps that either package takes by itself, layout alone and with its graph:", ""]
    lines += table(
        (
            "columns",
            "motifgpu layout",
            "motif-learn",
            "umap-learn",
            "motifgpu graph and layout",
            "motif-learn",
        ),
        (
            (
                f"{n:,}",
                seconds(study["cpu_s"]["layout"]["motifgpu"]),
                f"{study['ratio']['layout motif_learn']:.0f}x",
                f"{study['ratio']['layout umap_learn']:.0f}x",
                seconds(study["cpu_s"]["fit_transform"]["motifgpu"]),
                f"{study['ratio']['fit_transform motif_learn']:.0f}x",
            )
            for n in (1207, 5000, 20000)
            for study in (figures(results, f"relaxation_speed_{n}"),)
        ),
    )
    lines += ["Nine neighbours by correlation, CPU time and recall against float64 differences:", ""]
    lines += table(
        ("columns", "motifgpu", "pynndescent", "scikit-learn, brute"),
        (
            (
                f"{row['n']:,}",
                *(
                    f"{seconds(row[name]['cpu_s'])}, {row[name]['recall']:.3f}"
                    for name in ("motifgpu", "pynndescent", "scikit-learn")
                ),
            )
            for row in figures(results, "neighbors")
        ),
    )
    million = figures(results, "neighbors_million")
    lines += [
        f"{million['n']:,} columns on one thread: {million['cpu_s'] / 60:.1f} minutes of CPU time, "
        f"{million['peak_gb']:.1f} GB, recall {million['recall']:.3f}.",
        "",
    ]
    lines += ["The whole chain on 512 x 512 pixels, image to labels, as far as motif-learn goes:", ""]
    lines += table(
        ("counts", "motifgpu", "motif-learn", "told which maxima are columns"),
        (
            (
                dose,
                seconds(study["cpu_s"]["motifgpu"]),
                f"{study['ratio']:.1f}x",
                f"{study['ratio_told_its_columns']:.1f}x",
            )
            for dose in (3, 30)
            for study in (figures(results, f"chain_{dose}_counts"),)
        ),
    )
    return lines


def noise(results: Results) -> list[str]:
    kinds = ("flattened", "motifgpu", "motif_learn")

    def rows(study: list[dict[str, Any]], key: str) -> list[tuple[object, ...]]:
        return [
            (
                row[key],
                *(
                    f"{row[kind]['silhouette']:.2f}"
                    + (f" ± {row[kind]['silhouette_sd']:.2f}" if row["seeds"] > 1 else "")
                    + f" / {row[kind]['davies_bouldin']:.2f}"
                    for kind in kinds
                ),
            )
            for row in study
        ]

    head = ("flattened patches", "motifgpu moments", "motif-learn moments")
    crystal = figures(results, "crystal_broadening")
    lines = [
        f"Silhouette ± standard deviation / Davies-Bouldin of the true classes in the plane of two principal "
        f"components. Fig. S1 and S2: about {crystal[0]['patches']} patches of 64 px of the p4m crystal, "
        f"heights 0.8 and 1, {seeds(crystal[0]['seeds'])}.",
        "",
        *table(("Gaussian sigma", *head), rows(crystal, "sigma")),
        "![Cluster broadening](plots/noise.png)",
        "",
    ]
    for name, key in (("poisson", "counts at height 1"), ("gaussian", "sigma"), ("scan", "px")):
        study = figures(results, f"patch_broadening_{name}")
        lines += [f"Fig. S3, {name} noise, {study[0]['patches']:,} patches, {seeds(study[0]['seeds'])}:", ""]
        lines += table((key, *head), rows(study, "level"))
    return lines


def bases(results: Results) -> list[str]:
    truncation = figures(results, "truncation")
    lines = [
        "Fig. S5: PSNR within the disc for a peak of 1, and the share of the noise's power that is left:",
        "",
    ]
    lines += table(
        (
            "sigma",
            "noisy, dB",
            "motifgpu, dB",
            "motif-learn, dB",
            "truncation alone, dB",
            "noise left",
            "theory",
        ),
        (
            (
                row["sigma"],
                number(row["noisy_db"], 1),
                number(row["motifgpu_db"], 1),
                number(row["motif_learn_db"], 1),
                number(row["without_noise_db"], 1),
                f"1/{1 / row['noise_power_left']:.0f}",
                f"1/{row['pixels_per_moment']:.0f}",
            )
            for row in truncation
        ),
    )
    for turned in ("aligned", "turned"):
        study = figures(results, f"reconstruction_against_pca {turned}")
        what = "all of one orientation" if turned == "aligned" else "each turned by a random angle"
        lines += [f"Fig. S6: 500 patches of 3 to 7 folds, {what}, PSNR in dB, 136 numbers a patch:", ""]
        lines += table(
            ("noise", "level", "noisy", "motifgpu", "motif-learn", "PCA", "PCA at its best", "of components"),
            (
                (
                    row["noise"],
                    row["level"],
                    *(
                        number(row[f"{k}_db"], 1)
                        for k in ("noisy", "motifgpu", "motif_learn", "pca", "pca_best")
                    ),
                    number(row["pca_best_components"], 0),
                )
                for row in study
            ),
        )
    for name in ("counts", "gaussian", "scan"):
        study = figures(results, f"bases {name}")
        kinds = tuple(ours_first(study[0]["bases"]))
        lines += [f"Fig. S8, {name}: AMI / FMI / silhouette of KMeans, {seeds(study[0]['seeds'])}:", ""]
        lines += table(
            ("level", *kinds),
            (
                (
                    row["level"],
                    *(
                        " / ".join(
                            number(row["bases"][kind][score]) for score in ("ami", "fmi", "silhouette")
                        )
                        for kind in kinds
                    ),
                )
                for row in study
            ),
        )
    lines += [
        "Fig. S9: 66 moments, pseudo-inverse counted in, against scikit-learn's PCA of 66 components:",
        "",
    ]
    lines += table(
        (
            "patches",
            "side, px",
            "moments",
            "PCA",
            "times as fast",
            "times as lean, input counted in",
            "not counted in",
        ),
        (
            (
                f"{row['n']:,}",
                row["size"],
                seconds(row["moments_ms"] / 1e3),
                seconds(row["pca_ms"] / 1e3),
                number(row["time_ratio"], 1),
                number(row["memory_ratio_with_input"], 1),
                number(row["memory_ratio_beyond_input"], 1),
            )
            for row in figures(results, "moments_against_pca_float64")
        ),
    )
    return lines


def embeddings(results: Results) -> list[str]:
    names = [name for name in results if name.startswith("embeddings ")]
    lines = [
        "Mean and standard error over seeds. KMeans and the Gaussian mixture are told the number of classes; "
        "HDBSCAN (smallest cluster 15) is not, and has its number of clusters beside it. The silhouette is "
        "that of KMeans' labels, as in the paper. Times are CPU time of one thread after a warm-up.",
        "",
        "![AMI of the layouts](plots/embeddings.png)",
        "",
    ]
    if not names:
        figures(results, "embeddings")
    for name in sorted(names):
        study = figures(results, name)
        lines += [f"**{name.removeprefix('embeddings ')}**, {seeds(study['seeds'])}:", ""]
        lines += table(
            (
                "layout",
                "AMI KMeans",
                "AMI mixture",
                "AMI HDBSCAN",
                "clusters",
                "FMI",
                "silhouette",
                "neighbours kept",
                "CPU",
            ),
            (
                (
                    method,
                    *(with_error(row[f"ami_{k}"]) for k in ("kmeans", "mixture", "hdbscan")),
                    number(row["clusters"]["mean"], 1),
                    with_error(row["fmi_kmeans"]),
                    with_error(row["silhouette_kmeans"]),
                    number(row["neighbors_kept"]["mean"]),
                    seconds(row["cpu_s"]["mean"]),
                )
                for method, row in ours_first(study["methods"]).items()
            ),
        )
    return lines + _of_a_real_micrograph(results)


def _mean(rows: list[dict[str, float]], key: str) -> float:
    return statistics.mean(row[key] for row in rows)


def _of_a_real_micrograph(results: Results) -> list[str]:
    study = figures(results, "relaxation_of_a_real_micrograph")
    names = {
        "motifgpu": "motifgpu",
        "euclidean": "motifgpu, Euclidean",
        "sequential": "the paper's sequential method",
    }
    return [
        "On TiWSe2, a real micrograph of 7,900 columns with published vacancies, means over seeds of the "
        "layout, clustered by HDBSCAN(15):",
        "",
        *table(
            ("layout", "clusters", "AMI", "vacancies recall / precision", "neighbours kept"),
            (
                (
                    label,
                    span([row["clusters"] for row in study[name]], 0),
                    number(_mean(study[name], "ami")),
                    f"{number(_mean(study[name], 'vacancy_recall'))} / "
                    f"{number(_mean(study[name], 'vacancy_precision'))}",
                    number(_mean(study[name], "neighbors_kept")),
                )
                for name, label in names.items()
                if name in study
            ),
        ),
    ]
