"""The paper row by row: what it says, what this library gets, what the authors' package gets."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.page.markdown import NotMeasured, Results, figures, number, seconds, span, table

NO_SUCH_STEP = "has no such step"


class Row(NamedTuple):
    """A row of the paper; `ours` and `theirs` make text of the results."""

    name: str
    paper: str
    ours: Callable[[Results], str]
    theirs: Callable[[Results], str]


def _iterations(package: str) -> Callable[[Results], str]:
    def cell(results: Results) -> str:
        rows = figures(results, "relaxation_over_iterations")
        return " / ".join(seconds(row[package]["median_s"]) for row in rows)

    return cell


def _steps(results: Results) -> str:
    steps = figures(results, "time_of_the_papers_steps")
    parts = (
        ("identify", steps["lattice"] + steps["identify"]),
        ("connect", steps["connect"]),
        ("construct", steps["construct with edges"]),
    )
    return ", ".join(f"{name} {seconds(value)}" for name, value in parts) + f" ({steps['columns']:,} columns)"


def _crystal(kind: str) -> Callable[[Results], str]:
    def cell(results: Results) -> str:
        rows = [row for row in figures(results, "crystal_broadening") if row["sigma"] > 0]
        first, last = rows[0], rows[-1]
        return (
            f"silhouette {first[kind]['silhouette']:.2f} to {last[kind]['silhouette']:.2f}, Davies-Bouldin "
            f"{first[kind]['davies_bouldin']:.2f} to {last[kind]['davies_bouldin']:.2f}, sigma "
            f"{first['sigma']} to {last['sigma']}"
        )

    return cell


def _broadening(kind: str) -> Callable[[Results], str]:
    def cell(results: Results) -> str:
        parts = []
        for noise in ("poisson", "gaussian", "scan"):
            rows = figures(results, f"patch_broadening_{noise}")
            parts.append(f"{noise} {span(row[kind]['silhouette'] for row in rows)}")
        return "silhouette: " + ", ".join(parts)

    return cell


def _truncation(kind: str) -> Callable[[Results], str]:
    def cell(results: Results) -> str:
        rows = figures(results, "truncation")
        return "; ".join(f"{row['noisy_db']:.1f} → {row[kind]:.1f}" for row in rows) + " dB"

    return cell


def _against_pca(kind: str) -> Callable[[Results], str]:
    def cell(results: Results) -> str:
        gains = []
        for turned in ("aligned", "turned"):
            rows = figures(results, f"reconstruction_against_pca {turned}")
            gains.append(
                f"{turned} {span((row[kind] - row['pca_db'] for row in rows), 1)} (above PCA of its best "
                f"number of components {span((row[kind] - row['pca_best_db'] for row in rows), 1)})"
            )
        return "dB above PCA of 136: " + "; ".join(gains)

    return cell


def _bases(results: Results) -> str:
    parts = []
    for noise in ("counts", "gaussian", "scan"):
        rows = figures(results, f"bases {noise}")
        kinds = {
            basis: statistics.mean(row["bases"][basis]["ami"] for row in rows) for basis in rows[0]["bases"]
        }
        best = max(("zernike", "pseudo-zernike", "fourier-bessel"), key=lambda basis: kinds[basis])
        parts.append(
            f"{noise}: Zernike {kinds['zernike']:.2f}, best {best} {kinds[best]:.2f}, PCA {kinds['pca']:.2f}"
        )
    return "mean AMI over doses; " + "; ".join(parts)


def _their_bases(results: Results) -> str:
    parts = []
    for noise in ("counts", "gaussian", "scan"):
        rows = figures(results, f"bases {noise}")
        parts.append(f"{noise}: {statistics.mean(row['bases']['motif-learn']['ami'] for row in rows):.2f}")
    return "its Zernike moments: " + "; ".join(parts)


def _pca_speed(results: Results) -> str:
    rows = figures(results, "moments_against_pca_float64")
    return (
        f"{span((row['time_ratio'] for row in rows), 1)} times as fast, "
        f"{span((row['memory_ratio_with_input'] for row in rows), 1)} times as lean"
    )


def _embedding(case: str, methods: tuple[str, ...]) -> Callable[[Results], str]:
    def cell(results: Results) -> str:
        study = figures(results, f"embeddings {case}")["methods"]
        return ", ".join(
            f"{method} {number(study[method]['ami_kmeans']['mean'])}" for method in methods if method in study
        )

    return cell


OURS = ("motifgpu", "motifgpu, Euclidean", "t-SNE", "UMAP", "UMAP for clustering", "PaCMAP")


def _windows(results: Results) -> str:
    rows = figures(results, "few_windows_look_ordered")
    few = rows[0]
    return (
        f"independent sites of the same fractions seen through {few['windows']} windows: "
        f"H = {few['entropy']:.2f}, top 36 = {100 * few['top36']:.0f} %; true H = {few['theory']:.2f}"
    )


def _search(results: Results) -> str:
    rows = figures(results, "twist_by_search")
    at = min(rows, key=lambda row: abs(row["twist"] - 3.15))
    return (
        f"at 3.15: fit wrong by {abs(at['fit']):.4f} degrees, the paper's search by {abs(at['search']):.2f}; "
        f"1.5 to 29 degrees: fit within {max(abs(row['fit']) for row in rows):.4f}, search within "
        f"{max(abs(row['search']) for row in rows if row['search'] is not None):.2f}, "
        f"{sum(row['search'] is None for row in rows)} of {len(rows)} not found"
    )


def _divergence(results: Results) -> str:
    rows = figures(results, "nine_cases")
    means = [each["mean"] for row in rows for each in row["divergence"].values()]
    nulls = [each["null"] for row in rows for each in row["divergence"].values()]
    return (
        f"KL {span(means, 3)} over the nine cases, null {span(nulls, 3)}; twist within "
        f"{max(abs(row['twist_error']) for row in rows):.4f} degrees"
    )


def _defects(specimen: str, methods: tuple[str, ...], rates: bool = True) -> Callable[[Results], str]:
    def cell(results: Results) -> str:
        study = figures(results, f"defects {specimen}")["methods"]
        parts = []
        for method in methods:
            row = study[method]
            rare = f" ({row['recall']:.2f} / {row['precision']:.2f})" if rates else ""
            parts.append(f"{method} {row['ami']:.2f}{rare}")
        return "AMI" + (" (recall / precision)" if rates else "") + ": " + ", ".join(parts)

    return cell


FOUND = ("analyze", "motifgpu", "motifgpu, Euclidean", "t-SNE", "UMAP")
LAID_OUT = ("motifgpu", "motifgpu, Euclidean", "t-SNE", "UMAP")
ROWS = (
    Row("Table S2, FR", "1,207 features, k = 15, k' = 5, 10 / 20 / 40 / 80 / 160 iterations: "
        "0.57 / 0.70 / 0.87 / 1.28 / 2.17 s", _iterations("motifgpu"), _iterations("motif_learn")),
    Row("Table S2, hierarchy", "identify 0.17, connect 0.10, construct 0.32 s", _steps,
        lambda _: NO_SUCH_STEP),
    Row("Fig. S1", "a crystal of two blob kinds has two motifs",
        lambda r: f"{figures(r, 'crystal_broadening')[0]['motifs_found']} motifs, their number not told",
        lambda _: "the number of classes has to be told"),
    Row("Fig. S2", "silhouette falls, Davies-Bouldin rises over sigma 0 to 0.8 (flattened patches, curves)",
        lambda r: f"flattened: {_crystal('flattened')(r)}; moments: {_crystal('motifgpu')(r)}",
        _crystal("motif_learn")),
    Row("Fig. S3", "clusters broaden under Poisson, Gaussian and scan noise (pictures only)",
        lambda r: f"flattened, {_broadening('flattened')(r)}; moments, {_broadening('motifgpu')(r)}",
        _broadening("motif_learn")),
    Row("Fig. S5", "66 polynomials raise the PSNR at sigma 0.1, 0.3, 0.5, 0.7; \"three orders of magnitude\"",
        _truncation("motifgpu_db"), _truncation("motif_learn_db")),
    Row("Fig. S6", "136 polynomials rebuild patches better than 136 components of PCA of 500 patches",
        _against_pca("motifgpu_db"), _against_pca("motif_learn_db")),
    Row("Fig. S7, S8", "fixed bases beat PCA and kernel PCA under three noises; Zernike best under Poisson",
        _bases, _their_bases),
    Row("Fig. S9", "moments 7.8 times as fast and 1.5 times as lean as scikit-learn's PCA", _pca_speed,
        lambda r: "; ".join(
            f"{row['size']} px: {row['ratio']:.1f}x our time, moments wrong by {row['motif_learn_error']:.2f}"
            for row in figures(r, "moments_of_both_packages"))),
    Row("Fig. S13, balanced", "FR comparable with t-SNE and UMAP (curves only)",
        lambda r: f"AMI by KMeans at 2 counts: {_embedding('500/500, 2 counts', OURS)(r)}",
        _embedding("500/500, 2 counts", ("motif-learn",))),
    Row("Fig. S14, imbalanced", "FR ahead of t-SNE and UMAP (curves only)",
        lambda r: f"AMI by KMeans, 950/50 at 2 counts: {_embedding('950/50, 2 counts', OURS)(r)}; "
        f"at 4 counts: {_embedding('950/50, 4 counts', OURS)(r)}",
        lambda r: f"{_embedding('950/50, 2 counts', ('motif-learn',))(r)}; "
        f"{_embedding('950/50, 4 counts', ('motif-learn',))(r)}"),
    Row("Fig. S20, S27", "level 3: top 36 patterns are 74 %, entropy 4.13 against ln 65536 = 11.09", _windows,
        lambda _: NO_SUCH_STEP),
    Row("Fig. S21", "twist of bilayer MoS2 3.1 degrees by the search, 3.15 in the text", _search,
        lambda _: NO_SUCH_STEP),
    Row("Fig. S22", "KL between domains in nine synthetic cases (plot); in the micrograph 0.184 ± 0.025",
        _divergence, lambda _: NO_SUCH_STEP),
    Row("Fig. S23", "single Se vacancies of MoSe2 are a cluster of FR, less clearly of t-SNE and UMAP",
        lambda r: f"2 counts, {_defects('vacancies, 2 counts', FOUND)(r)}; 10 counts, "
        f"{_defects('vacancies, 10 counts', FOUND)(r)}",
        lambda r: f"{_defects('vacancies, 2 counts', ('motif-learn',))(r)}; "
        f"{_defects('vacancies, 10 counts', ('motif-learn',))(r)}"),
    Row("Fig. S24", "the columns of a mirror twin boundary are clusters of FR",
        _defects("twin boundary", FOUND),
        _defects("twin boundary", ("motif-learn",))),
    Row("Fig. S25", "2H and 3R stacking are told apart", _defects("stacking boundary", FOUND),
        _defects("stacking boundary", ("motif-learn",))),
    Row("Fig. S28", "vacancies of PtTe2 fall into isolated ones, clusters and chains",
        _defects("tunnelling", LAID_OUT),
        _defects("tunnelling", ("motif-learn",))),
)  # fmt: skip


def _cell(text: Callable[[Results], str], results: Results) -> str:
    try:
        return text(results)
    except NotMeasured as missing:
        return f"not measured yet (`{missing.args[0]}`)"


def paper_rows(results: Results, remarks: dict[str, str]) -> list[str]:
    """Return the table of the paper's rows, with the remark that conclusions.md has on each."""
    return table(
        ("row", "the paper", "motifgpu", "motif-learn", "remark"),
        (
            (
                row.name,
                row.paper,
                _cell(row.ours, results),
                _cell(row.theirs, results),
                " ".join(remarks.get(row.name, "").split()),
            )
            for row in ROWS
        ),
    )
