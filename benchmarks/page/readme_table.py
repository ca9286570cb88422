"""The README's table of figures."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.page.markdown import Results, figures

BEGIN = "<!-- numbers: written by benchmarks/page from benchmarks/results -->"
END = "<!-- end of numbers -->"


def _counts(number: int) -> str:
    return f"{number} count{'s' if number != 1 else ''}"


def _columns(results: Results) -> Iterator[tuple[str, str, str]]:
    for row in figures(results, "columns"):
        if row["material"] != "MoSe2" or row["lattice"] != "defects" or row["counts"] not in (1, 3, 30):
            continue
        peer = row["motif_learn"]
        yield (
            f"atom columns at {_counts(row['counts'])}: precision / recall, position error",
            f"{row['precision']:.3f} / {row['recall']:.3f}, {row['rms_px']:.2f} px",
            f"motif-learn {peer['precision']:.2f} / {peer['recall']:.2f}, {peer['rms_px']:.2f} px; "
            f"Cramér-Rao {row['cramer_rao_px']:.2f} px",
        )


def _motifs(results: Results) -> Iterator[tuple[str, str, str]]:
    for dose in (1, 3, 10):
        methods = figures(results, f"motifs_pk{dose}")["methods"]
        ours, layout = methods["columns"], methods["layout regions"]
        yield (
            f"motifs at {_counts(dose)}, their number not told: AMI identity / environment",
            f"{ours['identity']['mean']:.3f} / {ours['environment']['mean']:.3f}; single vacancies recall / "
            f"precision {ours['vacancy_recall']['mean']:.2f} / {ours['vacancy_precision']['mean']:.2f}",
            f"clumps of the layout {layout['identity']['mean']:.2f} / {layout['environment']['mean']:.2f}",
        )


def _relaxation(results: Results) -> Iterator[tuple[str, str, str]]:
    for n in (1207, 20000):
        speed = figures(results, f"relaxation_speed_{n}")
        ours, ratio = speed["cpu_s"], speed["ratio"]
        yield (
            f"force relaxation of {n:,} columns, CPU time: layout / graph and layout",
            f"{1e3 * ours['layout']['motifgpu']:.0f} / {1e3 * ours['fit_transform']['motifgpu']:.0f} ms",
            f"motif-learn takes {ratio['layout motif_learn']:.0f} / "
            f"{ratio['fit_transform motif_learn']:.0f} times as long, umap-learn's layout "
            f"{ratio['layout umap_learn']:.0f} times",
        )
    real = figures(results, "relaxation_of_a_real_micrograph")
    low, high = (pick(o["clusters"] for o in real["motifgpu"]) for pick in (min, max))
    best = real["motifgpu"][0]
    yield (
        "TiWSe2, 7,900 columns: clusters of the layout; single vacancies recall / precision",
        f"{low} to {high}; {best['vacancy_recall']:.2f} / {best['vacancy_precision']:.2f}",
        f"the paper's sequential method {real['sequential'][0]['clusters']} clusters; motif-learn takes "
        f"{real['cpu_s']['motif_learn'] / real['cpu_s']['motifgpu']:.0f} times as long",
    )


def _moments(results: Results) -> Iterator[tuple[str, str, str]]:
    rows = [r for r in figures(results, "moments_against_pca_float32") if r["size"] == 64]
    small, large = rows[0], rows[-1]
    yield (
        f"66 moments of {small['n']:,} / {large['n']:,} patches of 64 x 64",
        f"{small['moments_ms']:.0f} / {large['moments_ms']:.0f} ms",
        f"scikit-learn PCA takes {small['time_ratio']:.0f} / {large['time_ratio']:.0f} times as long",
    )


def _chain(results: Results) -> Iterator[tuple[str, str, str]]:
    for dose in (3, 30):
        chain = figures(results, f"chain_{dose}_counts")
        yield (
            f"whole chain, 512 x 512, {dose} counts, CPU time",
            f"{chain['cpu_s']['motifgpu']:.2f} s",
            f"motif-learn takes {chain['ratio']:.1f} times as long, "
            f"{chain['ratio_told_its_columns']:.1f} times when told which of its maxima are columns",
        )
    start = figures(results, "start")
    yield (
        "`motifgpu analyze` as a command, CPU time: first time ever / after that",
        f"{start['cold']:.1f} s / {start['second']:.1f} s",
        "",
    )


def table(results: Results) -> str:
    """Return the table as Markdown."""
    lines = ["| what | motifgpu | beside it |", "|---|---|---|"]
    for part in (_columns, _motifs, _relaxation, _moments, _chain):
        lines += [f"| {what} | {ours} | {beside} |" for what, ours, beside in part(results)]
    source = results["chain_30_counts"]
    lines += ["", f"Measured on one core of {source['processor']}, {source['date']}. GPU: not yet measured."]
    return "\n".join(lines)


def renewed(readme: str, results: Results) -> str:
    """Return the text of the README with the table that the results give."""
    head, rest = readme.split(BEGIN)
    return f"{head}{BEGIN}\n\n{table(results)}\n\n{END}{rest.split(END)[1]}"
